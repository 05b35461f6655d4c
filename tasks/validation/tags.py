"""Legality of BIO tag sequences."""

from collections.abc import Sequence


def tag_problem(tokens: Sequence[str], tags: Sequence[str], kinds: Sequence[str]) -> str | None:
    """What is wrong with the tags of one text, or None. An I- tag has to continue an entity of its own kind."""
    if len(tokens) != len(tags):
        return f"{len(tokens)} tokens but {len(tags)} tags"
    if len(tokens) == 0:
        return "no tokens"
    legal = {"O", *(f"{prefix}-{kind}" for kind in kinds for prefix in "BI")}
    before = "O"
    for position, tag in enumerate(tags, start=1):
        if tag not in legal:
            return f"unknown tag {tag!r} at token {position}"
        if tag.startswith("I-") and before[1:] != tag[1:]:
            return f"{tag} at token {position} continues nothing"
        before = tag
    return None


def entities_in(tokens: Sequence[str], tags: Sequence[str]) -> list[tuple[str, str]]:
    """(kind, words) of each entity of legal tags; the words without the spaces between, which hang on the tokenizer."""
    found: list[tuple[str, str]] = []
    for token, tag in zip(tokens, tags, strict=True):
        if tag.startswith("B-"):
            found.append((tag[2:], token.lower()))
        elif tag.startswith("I-"):
            kind, words = found[-1]
            found[-1] = (kind, words + token.lower())
    return found
