"""Personal data taken out of accepted rows, where the contract says so; lengths stay, and with them all positions."""

import pyarrow as pa

from data_contracts.dataset import DatasetContract, Property
from data_contracts.rules import PersonalData
from tasks.validation.personal_data import find_personal_data, mask_tokens, masked


def shown(value: object, column: str, contract: DatasetContract) -> str:
    """A value as people are told of it: without what is personal in it, where the contract takes notice of that."""
    rule, text = kept_private(column, contract), str(value)
    if rule is None:
        return text
    if isinstance(value, dict) and "tokens" in value and is_private(value, rule):
        # What is personal may be cut into several tokens, which would be found by themselves no more.
        return f"{len(value['tokens'])} tokens, {' '.join(value['tags'])}"
    return masked(text, find_personal_data(text, rule.kinds, rule.regions))


def is_private(value: object, rule: PersonalData) -> bool:
    """Whether a text, or what tokens or answers say together, holds what counts as personal."""
    said = " ".join(value.get("tokens") or value.get("text") or ()) if isinstance(value, dict) else str(value)
    return bool(find_personal_data(said, rule.kinds, rule.regions))


def kept_private(column: str, contract: DatasetContract) -> PersonalData | None:
    """What counts as personal in the column, or in the text that it is about; None where the contract allows all."""
    of = next((known for known in contract.columns if known.name == column), None)
    if of is not None and of.logical_type == "object":
        of = next((text for text in contract.text_columns if text.name == contract.text_column_of(of)), None)
    rule = of.rules.personal_data if of else None
    return None if rule is None or rule.action == "allow" else rule


def mask_table(table: pa.Table, contract: DatasetContract) -> tuple[pa.Table, int]:
    """The table with what the contract masks, and how many rows that changed."""
    changed: set[int] = set()
    for column in contract.columns:
        rule = column.rules.personal_data
        if rule is None or rule.action != "mask":
            continue
        texts = table.column(column.name).to_pylist()
        hidden = [masked(t, find_personal_data(t, rule.kinds, rule.regions)) if t else t for t in texts]
        rows = [position for position, text in enumerate(texts) if text != hidden[position]]
        if rows:
            changed.update(rows)
            table = _replace(table, column.name, hidden)
            table = _mask_tokens(table, column, contract, texts, hidden, rows)
            table = _mask_answers(table, column, contract, hidden, rows)
    return table, len(changed)


def _mask_tokens(
    table: pa.Table,
    text_column: Property,
    contract: DatasetContract,
    texts: list[str],
    hidden: list[str],
    rows: list[int],
) -> pa.Table:
    """The tokens that stand in the masked texts, masked alike."""
    for column in contract.columns:
        if column.tag_kinds is None or contract.text_column_of(column) != text_column.name:
            continue
        values = table.column(column.name).to_pylist()
        for row in rows:
            if values[row]:
                tokens = mask_tokens(texts[row], hidden[row], values[row]["tokens"])
                values[row] = {**values[row], "tokens": tokens}
        table = _replace(table, column.name, values)
    return table


def _mask_answers(
    table: pa.Table, text_column: Property, contract: DatasetContract, hidden: list[str], rows: list[int]
) -> pa.Table:
    """The answers that are parts of the masked texts, masked alike."""
    for column in contract.columns:
        if column.rules.answers_in != text_column.name:
            continue
        values = table.column(column.name).to_pylist()
        for row in rows:
            if values[row]:
                places = zip(values[row]["start"], map(len, values[row]["text"]), strict=True)
                texts = [hidden[row][start : start + length] for start, length in places]
                values[row] = {**values[row], "text": texts}
        table = _replace(table, column.name, values)
    return table


def _replace(table: pa.Table, name: str, values: list[object]) -> pa.Table:
    at = table.column_names.index(name)
    return table.set_column(at, table.schema.field(at), pa.array(values, type=table.schema.field(at).type))
