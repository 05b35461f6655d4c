"""Settings of tokenization."""

from pydantic import BaseModel, ConfigDict, Field


class Tokenization(BaseModel):
    """How texts become token ids."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text_column: str = "text"
    max_tokens: int = Field(128, ge=8, le=8192, description="longer texts are cut here, and counted")
