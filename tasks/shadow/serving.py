"""Serving: which version answers a row when a challenger stands beside the champion."""

import hashlib
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from data_contracts.errors import InputError

# What the two versions are called, in files that hold the answers of both.
CHAMPION, CHALLENGER = "champion", "challenger"


class Serving(BaseModel):
    """What the challenger does while the champion is in use. By default nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shadow: bool = Field(
        False,
        description="the challenger answers every batch, too; nobody sees it, and `graft shadow` compares the two",
    )
    challenger_share: float = Field(0.0, ge=0, le=0.5, description="share of the keys that the challenger serves")
    key: str | None = Field(
        None, description="column, such as a customer's number, by whose value the same version always serves"
    )

    @model_validator(mode="after")
    def _a_share_goes_by_a_key(self) -> "Serving":
        if self.challenger_share and self.key is None:
            raise ValueError(
                "challenger_share needs a key: the column by whose value rows are given to champion or challenger"
            )
        return self

    @property
    def asks_challenger(self) -> bool:
        """Whether the challenger answers anything."""
        return self.shadow or self.challenger_share > 0


def is_served_by_challenger(row: dict[str, Any], where: str, serving: Serving, trial: str) -> bool:
    """Whether the challenger serves a row: always the same for the same key in the same `trial`, which names the two.

    Another trial divides the keys anew, so that nobody is in every one. Raises InputError, saying `where`, for a row
    without a key.
    """
    if not serving.challenger_share:
        return False
    drawn = int.from_bytes(hashlib.sha256(f"{trial}\0{key_of(row, where, serving)}".encode()).digest()[:8])
    return drawn < serving.challenger_share * 2**64


def key_of(row: dict[str, Any], where: str, serving: Serving) -> str:
    """What the row's version is chosen by. Raises InputError, saying `where`, for a row without a key."""
    key = row.get(serving.key or "")
    if key is None or isinstance(key, dict | list):
        raise InputError(
            f"{where}: no {serving.key!r} to choose champion or challenger by, found {key!r}. Fill it, or set "
            "serving.challenger_share to 0."
        )
    return str(key)
