"""Labels that people give to rows which two versions answered."""

from typing import Any

from data_contracts.errors import InputError
from tasks.modeling.heads import AnyHead


def require_known(label: Any, head: AnyHead, where: str) -> None:
    """Raises InputError, saying `where`, for a label that the task does not know: no answer would be right by it."""
    if head.one_label and label not in head.labels:
        raise InputError(
            f"{where}: {head.column!r} is {label!r}; labels are {', '.join(head.labels)}. Correct it, or give null "
            "where none of them fits."
        )
