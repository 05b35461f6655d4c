"""What a report calls splits and models."""

from tasks.evaluation.scoring import IN_DOMAIN

BASELINES_BY_NAME = {"tfidf": "TF-IDF + LR", "majority": "majority", "zero_shot": "zero shot"}


def place(split: str) -> str:
    """A split, for people."""
    return "in domain" if split == IN_DOMAIN else split


def opponent(model: str) -> str:
    """A model that graft's is held against, for people."""
    return BASELINES_BY_NAME.get(model, model)
