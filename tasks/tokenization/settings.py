"""Settings of tokenization."""

from tasks.modeling.limits import TokenLimit


class Tokenization(TokenLimit):
    """How texts become token ids."""

    text_column: str = "text"

    @property
    def limit(self) -> TokenLimit:
        """What a model has to know of it."""
        return TokenLimit.model_validate(self.model_dump(include=set(TokenLimit.model_fields)))
