"""Labels that people give to rows which two versions answered."""

from typing import Any

from data_contracts.errors import InputError
from data_contracts.labelling import label_in_words
from tasks.modeling.heads import AnyHead


def known_label(label: Any, head: AnyHead, where: str) -> Any:
    """The label as the task calls it.

    Raises InputError, saying `where`, for one that it does not know: no answer would be right by it.
    """
    if not head.one_label:
        return label
    label = label_in_words(label)
    if label not in head.labels:
        raise InputError(
            f"{where}: {head.column!r} is {label!r}; labels are {', '.join(head.labels)}. Correct it, or give null "
            "where none of them fits."
        )
    return label
