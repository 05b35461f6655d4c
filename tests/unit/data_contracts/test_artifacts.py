"""Handles travel between processes as JSON and say nothing that the store does not."""

import pytest
from pydantic import BaseModel, ValidationError

from data_contracts import artifacts
from data_contracts.artifacts import Encoder, Handle, TokenizedDataset

DIGEST = "0123456789abcdef" * 4
MODELS = [
    value
    for value in vars(artifacts).values()
    if isinstance(value, type) and issubclass(value, BaseModel) and value is not BaseModel
]


@pytest.fixture
def tokens() -> TokenizedDataset:
    encoder = Encoder(digest=DIGEST, name="package:some_encoder")
    return TokenizedDataset(
        digest=DIGEST[::-1],
        parents=(DIGEST,),
        encoder=encoder,
        max_tokens=128,
        rows={"train": 3},
        windows={"train": 3},
        tokens={"train": 30},
        truncated={"train": 0},
    )


def test_there_are_handles_of_many_kinds() -> None:
    kinds = [model.model_fields["kind"].default for model in MODELS if "kind" in model.model_fields]
    assert len(kinds) >= 10
    assert len(set(kinds)) == len(kinds)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_everything_that_travels_is_frozen_and_closed(model: type[BaseModel]) -> None:
    assert model.model_config["frozen"]
    assert model.model_config["extra"] == "forbid"


def test_a_handle_survives_the_way_through_json(tokens: TokenizedDataset) -> None:
    assert TokenizedDataset.model_validate_json(tokens.model_dump_json()) == tokens


def test_a_handle_of_another_kind_is_refused(tokens: TokenizedDataset) -> None:
    with pytest.raises(ValidationError, match="kind"):
        Encoder.model_validate({"digest": DIGEST, "name": "x", "kind": tokens.kind})


@pytest.mark.parametrize("digest", ["", DIGEST[:-1], DIGEST.upper(), "/" + DIGEST[1:]])
def test_only_a_whole_sha256_names_content(digest: str) -> None:
    assert Handle(digest=DIGEST).digest == DIGEST
    with pytest.raises(ValidationError, match="digest"):
        Handle(digest=digest)
