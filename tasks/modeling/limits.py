"""How many tokens of a text the encoder reads at once, and what happens to a text of more."""

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

FILE = "limit.json"


class TokenLimit(BaseModel):
    """The limit of tokens a text, special ones included, and what is done beyond it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_tokens: int = Field(128, ge=8, le=8192, description="of a text, or of each of its windows")
    beyond: Literal["cut", "windows"] = Field(
        "cut", description="what happens to a text of more tokens: cut and counted, or read in several windows"
    )
    window_overlap: int = Field(32, ge=0, description="tokens that a window has in common with the next")

    @model_validator(mode="after")
    def _moves_on(self) -> "TokenLimit":
        # Windows that share half of their tokens or more cost twice the computation or more.
        if self.beyond == "windows" and 2 * self.window_overlap >= self.max_tokens:
            raise ValueError(
                f"window_overlap: {self.window_overlap} is not less than half of max_tokens: {self.max_tokens}. "
                "Lower the overlap, or raise max_tokens."
            )
        return self


def write_limit(folder: Path, limit: TokenLimit) -> None:
    """Keeps the limit beside the tokens that it led to."""
    (folder / FILE).write_text(limit.model_dump_json(), encoding="utf-8")


def read_limit(folder: Path) -> TokenLimit:
    """The limit that the tokens in that folder were made with."""
    return TokenLimit.model_validate_json((folder / FILE).read_text(encoding="utf-8"))


def limit_of(model: Path) -> TokenLimit:
    """The limit of the network saved in that folder, without loading its weights."""
    facts = json.loads((model / "model.json").read_text(encoding="utf-8"))
    # A model that was saved before there were windows has no more than `max_tokens`.
    return TokenLimit.model_validate({name: facts[name] for name in TokenLimit.model_fields if name in facts})
