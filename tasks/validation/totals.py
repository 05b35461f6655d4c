"""Rules about the whole of the accepted rows: labels that are too rare, targets that say nothing, the languages."""

import math
from collections import Counter
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from data_contracts.dataset import DatasetContract, Property
from data_contracts.splits import OWN_SPLITS, TRAIN
from tasks.validation.languages import language_shares

SAMPLE = 10_000
FEW = 8


class Totals:
    """Counts over the accepted rows, taken up batch by batch; rules about labels are rules about training."""

    def __init__(self, contract: DatasetContract) -> None:
        self._contract = contract
        self._labels: dict[str, Counter[str]] = {c.name: Counter() for c in contract.columns if c.labels is not None}
        self._limits: dict[str, list[Any]] = {}
        self._newest: dict[str, Any] = {}
        self._texts: dict[str, list[str]] = {}
        self._steps: dict[str, int] = {}
        self._masked = 0
        self._rows: Counter[str] = Counter()

    def add(self, split: str, table: pa.Table, masked: int) -> None:
        """Takes accepted rows of a split up."""
        self._masked += masked
        self._rows[split] += table.num_rows
        if split in OWN_SPLITS:
            self._sample(split, table)
        if split == TRAIN:
            for column in self._contract.columns:
                self._count(column, table.column(column.name))

    def facts(self) -> dict[str, Any]:
        """What Checks records."""
        return {
            "labels": {name: dict(sorted(of.items())) for name, of in self._labels.items() if of},
            "newest": self._newest,
            "languages": self._languages(),
            "masked": self._masked,
        }

    def failures(self) -> list[str]:
        """Rules about the whole that are broken, in words."""
        return [*self._about_labels(), *self._about_numbers(), *self._about_languages()]

    def _count(self, column: Property, values: pa.ChunkedArray) -> None:
        if column.name in self._labels:
            flat = pc.list_flatten(values) if column.logical_type == "array" else values
            for entry in pc.value_counts(flat.drop_null()).to_pylist():
                self._labels[column.name][entry["values"]] += entry["counts"]
        if column.logical_type in ("number", "integer") and column.is_label:
            found = pc.min_max(values).as_py()
            if found["min"] is not None:
                low, high = self._limits.get(column.name, [found["min"], found["max"]])
                self._limits[column.name] = [min(low, found["min"]), max(high, found["max"])]
        if column.logical_type == "timestamp" and (latest := pc.max(values).as_py()) is not None:
            self._newest[column.name] = max(latest, self._newest.get(column.name, latest))

    def _sample(self, split: str, table: pa.Table) -> None:
        for column in self._contract.text_columns:
            if column.rules.language_mix is not None:
                place = f"{split}\0{column.name}"
                kept, step = self._texts.setdefault(place, []), self._steps.setdefault(place, 1)
                kept += table.column(column.name).drop_null().to_pylist()[::step]
                # Every second one of too many, and from now on every second: the sample stays spread over all rows.
                if len(kept) > 2 * SAMPLE:
                    del kept[::2]
                    self._steps[place] = 2 * step

    def _languages(self) -> dict[str, dict[str, float]]:
        steps = {name: max(1, math.ceil(len(texts) / SAMPLE)) for name, texts in self._texts.items()}
        shares = {name: language_shares(texts[:: steps[name]]) for name, texts in self._texts.items()}
        return {
            name.replace("\0", ", "): {language: round(share, 4) for language, share in of.items()}
            for name, of in shares.items()
        }

    def _about_labels(self) -> list[str]:
        found = []
        for column in self._contract.columns:
            counts = self._labels.get(column.name)
            if counts is None or not column.is_label or not self._rows[TRAIN]:
                continue
            needed = column.rules.minimum_support
            rare = [label for label in column.labels or () if counts[label] < needed]
            if rare:
                shown = ", ".join(f"{label} ({counts[label]})" for label in rare[:FEW])
                more = f" and {len(rare) - FEW} more" if len(rare) > FEW else ""
                found.append(f"{TRAIN}, {column.name}: every label needs {needed} rows, but {shown}{more}")
            if len(counts) == 1 and len(column.labels or ()) > 1:
                (only,) = counts
                found.append(f"{TRAIN}, {column.name}: every labelled row says {only!r}; nothing can be told apart")
        return found

    def _about_numbers(self) -> list[str]:
        return [
            f"{TRAIN}, {name}: every labelled row says {low:g}; there is nothing to learn"
            for name, (low, high) in self._limits.items()
            if low == high
        ]

    def _about_languages(self) -> list[str]:
        found = []
        for name, shares in self._languages().items():
            column = self._contract.column(name.rpartition(", ")[2])
            rule = column.rules.language_mix
            assert rule is not None, "only texts of columns with a rule are sampled"
            known = sum(share for language, share in shares.items() if language != "und") or 1.0
            for language, (low, high) in rule.shares.items():
                share = shares.get(language, 0.0) / known
                if not low <= share <= high:
                    found.append(
                        f"{name}: {share:.0%} of the texts are {language}; {low:.0%} to {high:.0%} are allowed"
                    )
            others = {code: share / known for code, share in shares.items() if code not in (*rule.shares, "und")}
            if sum(others.values()) > rule.others:
                most = ", ".join(
                    f"{code} {share:.0%}" for code, share in sorted(others.items(), key=lambda e: -e[1])[:3]
                )
                found.append(
                    f"{name}: {sum(others.values()):.0%} of the texts are in other languages ({most}); "
                    f"{rule.others:.0%} are allowed"
                )
        return found
