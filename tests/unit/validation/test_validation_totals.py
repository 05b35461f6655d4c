"""What is counted over all accepted rows."""

import pyarrow as pa
import pytest

from data_contracts.dataset import DatasetContract
from data_contracts.yaml_files import model_of
from tasks.validation import totals
from tasks.validation.totals import Totals


def contract(texts: tuple[str, ...]) -> DatasetContract:
    rules = [
        {"property": "role", "value": "text"},
        {"property": "languageMix", "value": {"shares": {"old": [0, 1], "new": [0, 1]}}},
    ]
    columns = [{"name": name, "logicalType": "string", "customProperties": rules} for name in texts]
    content = {"apiVersion": "v3.0.2", "kind": "DataContract", "id": "t", "name": "t", "version": "1"}
    return model_of({**content, "schema": [{"name": "t", "properties": columns}]}, DatasetContract, "t")


@pytest.mark.parametrize("texts", [("one",), ("one", "other")])
def test_the_sample_of_texts_is_spread_over_all_rows_however_many_columns_are_sampled(
    monkeypatch: pytest.MonkeyPatch, texts: tuple[str, ...]
) -> None:
    monkeypatch.setattr(totals, "SAMPLE", 100)
    monkeypatch.setattr(totals, "language_shares", lambda of: {"new": of.count("new") / len(of)})
    found = Totals(contract(texts))
    for batch in range(100):
        values = ["old" if batch < 50 else "new"] * 50
        found.add("train", pa.table(dict.fromkeys(texts, values)), masked=0)
    assert found.facts()["languages"] == {f"train, {name}": {"new": pytest.approx(0.5, abs=0.05)} for name in texts}
