"""Personal data taken out of accepted rows, where the contract says so; lengths stay, and with them all positions."""

import pyarrow as pa

from data_contracts.dataset import DatasetContract, Property
from tasks.validation.personal_data import find_personal_data, mask_tokens, masked


def shown(value: object, column: str, contract: DatasetContract) -> str:
    """A value as people are told of it: without what is personal in it, where the contract takes notice of that."""
    of = next((known for known in contract.columns if known.name == column), None)
    if of is not None and of.logical_type == "object":
        of = next((text for text in contract.text_columns if text.name == contract.text_column_of(of)), None)
    rule, text = of.rules.personal_data if of else None, str(value)
    if rule is None or rule.action == "allow":
        return text
    return masked(text, find_personal_data(text, rule.kinds, rule.regions))


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
