"""Settings of tokenization."""

from pydantic import Field, model_validator

from tasks.modeling.limits import TokenLimit


class Tokenization(TokenLimit):
    """How texts become token ids."""

    text_column: str = "text"
    pair_column: str | None = Field(
        None, description="column of a second text, read together with the first; a row without one is read as one text"
    )

    @model_validator(mode="after")
    def _are_two(self) -> "Tokenization":
        if self.pair_column == self.text_column:
            raise ValueError(
                f"text_column and pair_column are both {self.text_column!r}. Name two columns, or leave out the second."
            )
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that texts are read from."""
        return (self.text_column, *([self.pair_column] if self.pair_column else []))

    @property
    def limit(self) -> TokenLimit:
        """What a model has to know of it."""
        return TokenLimit.model_validate(self.model_dump(include=set(TokenLimit.model_fields)))
