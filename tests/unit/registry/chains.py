"""A version whose whole chain lies in a store: a few files a link, as the stages leave them."""

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors.numpy import save_file

from data_contracts.artifacts import (
    Assessment,
    Encoder,
    Judgement,
    Reference,
    Report,
    RowOrigin,
    Snapshot,
    SourceFile,
    SourceFiles,
    TrainedModel,
    ValidatedSnapshot,
)
from data_contracts.dataset import load_contract
from data_contracts.environment import Environment
from tasks.ingestion.task import digest_of_sources, digest_today
from tasks.registry.passport import (
    PASSPORT,
    WEIGHTS,
    GitState,
    Passport,
    Program,
    sha256_of,
    write_passport,
)
from tasks.registry.verifying import Link, Objects, Today, verify
from tasks.storage.store import Store

CONTRACT = load_contract("support")
ENCODER = Encoder(digest="e" * 64, name="package:tiny")
ENVIRONMENT = Environment(
    python="3.11.9", system="Linux", device="cpu", cuda=None, threads=2, packages={"torch": "2.13.0", "numpy": "2.1.0"}
)
SETTINGS: dict[str, Any] = {"name": "shop", "training": {"seed": 13, "epochs": 2}, "gate": {"floors": {}}}
PROGRAM = Program(
    files={"code tasks/training/loop.py": "0" * 16, "code tasks/modeling/heads.py": "1" * 16},
    git=GitState(commit="c" * 40, dirty=False),
    constraints="d" * 64,
)


@dataclass
class Chain:
    """The store, the passport in it, and what stands outside; `today` may be changed to see what verifying says."""

    store: Store
    passport: Passport
    digest: str
    today: dict[str, Any] = field(default_factory=dict)

    def folder(self, digest: str) -> Path:
        """The directory of that digest."""
        return self.store.directory(digest)

    def links(self) -> list[Link]:
        """What verifying says."""
        return verify(self.digest, Objects(self.store.hash_again, self.store.directory), self._today)

    def reissue(self, **changed: Any) -> None:
        """Another passport with those fields, in the place of the one before."""
        self.passport = self.passport.model_copy(update=changed)
        with self.store.draft() as draft:
            write_passport(draft, self.passport)
            self.digest = self.store.publish(draft)

    def _today(self, passport: Passport) -> Today:
        registered = {
            "model": passport.model.digest,
            "reference": passport.reference.digest,
            "judgement": passport.judgement.digest,
        }
        facts = {
            "settings_digest": passport.settings_digest,
            "contract": CONTRACT.digest,
            "encoder": ENCODER.digest,
            "program": PROGRAM,
            "registered": registered,
            "source": digest_today,
            "digest_of_sources": digest_of_sources,
        }
        return Today(**{**facts, **self.today})


def make_chain(root: Path, rows: tuple[str, ...] = ("a", "b", "c"), weight: float = 0.5, **changed: Any) -> Chain:
    """A version trained on rows of those ids, all of whose weights are `weight`."""
    root.mkdir(parents=True, exist_ok=True)
    store = Store(str(root / "store"), cache=root / "unused")
    source = root / "train.jsonl"
    source.write_text("".join(json.dumps({"text": row}) + "\n" for row in rows), encoding="utf-8")
    file = SourceFile(
        split="train",
        address=str(source),
        sha256=hashlib.sha256(source.read_bytes()).hexdigest(),
        reader={"kind": "json_lines", "columns": {}, "drop": []},
    )
    sources = SourceFiles(digest=digest_of_sources([file]), files=(file,))
    table = pa.table({"_id": list(rows), "text": list(rows)})
    snapshot = Snapshot(digest=_publish(store, read=table), parents=(sources.digest,), rows={"train": len(rows)})
    checked = ValidatedSnapshot(
        digest=_publish(store, train=table, quarantine="{}\n"),
        parents=(snapshot.digest, CONTRACT.digest),
        contract=CONTRACT.name,
        contract_digest=CONTRACT.digest,
        rows={"train": len(rows)},
        quarantined={"train": 1},
    )
    content = CONTRACT.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    origin = RowOrigin(
        sources=sources, lines=None, corrections=None, snapshot=snapshot, checked=checked, contract=content
    )
    tokens = _publish(store, train=pa.table({"ids": [[1, 2]] * len(rows)}))
    model = TrainedModel(
        digest=_publish(store, weights=weight, model='{"heads": {}}'),
        parents=(checked.digest, tokens, CONTRACT.digest),
        encoder=ENCODER,
        max_tokens=32,
        tasks=("intent",),
        best_epoch=1,
        epochs=2,
        steps=10,
        validation_skill=0.5,
        curves="c",
        environment=ENVIRONMENT,
    )
    predictions = _publish(store, test=pa.table({"intent": ["refund"]}), of=str(weight))
    assessment = Assessment(
        digest=_publish(store, scores=f'[{{"value": {weight}}}]'),
        parents=(predictions, checked.digest),
        model=model.digest,
        predictions=predictions,
        snapshot=checked.digest,
        scores={"intent": {"test": weight}},
        cost=_publish(store, cost='{"bytes": 1}'),
        probes=_publish(store, probes='{"results": []}'),
        label_errors=_publish(store, label_errors='{"intent": []}'),
    )
    baselines = _publish(store, majority=pa.table({"intent": ["refund"]}))
    judgement = Judgement(
        digest=_publish(store, verdict='{"verdict": "PROMOTE"}'),
        parents=(assessment.digest, baselines),
        verdict="PROMOTE",
        reasons=("so",),
        candidate=model.digest,
        champion=None,
    )
    reference = Reference(
        digest=_publish(store, reference=f"{weight}"), parents=(predictions,), model=model.digest, rows=1
    )
    report = Report(digest=_publish(store, page="<p>good</p>"), parents=(assessment.digest, judgement.digest))
    passport = Passport(
        pipeline="shop",
        made_at=datetime(2026, 11, 24, 12, tzinfo=UTC),
        rows=origin,
        snapshot=checked,
        quarantine=sha256_of(store.directory(checked.digest) / "quarantine.jsonl"),
        settings=SETTINGS,
        overrides=(),
        program=PROGRAM,
        model=model,
        weights=sha256_of(store.directory(model.digest) / WEIGHTS) or "",
        parent=None,
        assessment=assessment,
        judgement=judgement,
        reference=reference,
        report=report,
    ).model_copy(update=changed)
    with store.draft() as draft:
        write_passport(draft, passport)
        digest = store.publish(draft)
    assert (store.directory(digest) / PASSPORT).is_file()
    return Chain(store, passport, digest)


def _publish(store: Store, **files: Any) -> str:
    """A directory of Parquet files, weights and texts, by name."""
    with store.draft() as draft:
        for name, content in files.items():
            if isinstance(content, pa.Table):
                pq.write_table(content, draft / f"{name}.parquet")
            elif isinstance(content, float):
                save_file({"layer": np.full((2, 3), content, dtype=np.float32)}, draft / WEIGHTS)
            else:
                (draft / f"{name}.{'jsonl' if name == 'quarantine' else 'json'}").write_text(content, encoding="utf-8")
        return store.publish(draft)
