"""`verify` on a chain that lies in a store, with each of its links altered in turn."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.registry.passport import PASSPORT, WEIGHTS, Passport, Program, read_passport
from tasks.registry.verifying import first_broken
from tests.unit.registry.chains import PROGRAM, Chain, make_chain

OTHER = "f" * 64


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    return make_chain(tmp_path)


def alter(path: Path) -> None:
    """Changes one bit of the last byte but the final line break."""
    content = bytearray(path.read_bytes())
    content[-2] ^= 1
    path.write_bytes(content)


def test_a_chain_that_nobody_touched_holds_at_every_link(chain: Chain) -> None:
    links = chain.links()
    assert {link.status for link in links} == {"holds"}
    assert first_broken(links) is None
    assert [link.name for link in links][:2] == [
        "passport",
        f"source train {chain.passport.rows.sources.files[0].address}",
    ]  # type: ignore[union-attr]
    assert len(links) >= 20


# For each stored link: where its directory is named, and the file in it that is altered.
STORED: dict[str, tuple[Callable[[Passport], str], str]] = {
    "snapshot": (lambda p: p.rows.snapshot.digest, "read.parquet"),  # type: ignore[union-attr]
    "checked rows": (lambda p: p.snapshot.digest, "train.parquet"),
    "tokens": (lambda p: p.tokens, "train.parquet"),
    "model": (lambda p: p.model.digest, WEIGHTS),
    "predictions": (lambda p: p.assessment.predictions, "test.parquet"),
    "assessment": (lambda p: p.assessment.digest, "scores.json"),
    "cost": (lambda p: p.assessment.cost or "", "cost.json"),
    "probes": (lambda p: p.assessment.probes or "", "probes.json"),
    "label errors": (lambda p: p.assessment.label_errors or "", "label_errors.json"),
    "judgement": (lambda p: p.judgement.digest, "verdict.json"),
    "reference": (lambda p: p.reference.digest, "reference.json"),
    "report": (lambda p: p.report.digest, "page.json"),
}


@pytest.mark.parametrize("name", STORED)
def test_a_byte_altered_in_the_store_breaks_the_link_that_holds_it_and_names_the_file(chain: Chain, name: str) -> None:
    of_passport, file = STORED[name]
    digest = of_passport(chain.passport)
    alter(chain.folder(digest) / file)
    broken = first_broken(chain.links())
    assert broken is not None
    assert (broken.name, broken.expected) == (name, digest)
    assert broken.found != digest
    assert broken.found.endswith(f" (altered: {file})")


@pytest.mark.parametrize("name", STORED)
def test_a_directory_that_is_gone_breaks_its_link(chain: Chain, name: str) -> None:
    folder = chain.folder(STORED[name][0](chain.passport))
    folder.rename(folder.with_name("elsewhere"))
    broken = first_broken(chain.links())
    assert broken is not None
    assert (broken.name, broken.found) == (name, "no such directory in the store")


def test_a_quarantine_list_that_was_altered_breaks_the_checked_rows(chain: Chain) -> None:
    alter(chain.folder(chain.passport.snapshot.digest) / "quarantine.jsonl")
    broken = first_broken(chain.links())
    assert broken is not None
    assert broken.name == "checked rows"
    assert "quarantine.jsonl" in broken.found


def test_a_file_that_was_added_to_a_directory_breaks_it_too(chain: Chain) -> None:
    (chain.folder(chain.passport.model.digest) / "more.json").write_text("{}", encoding="utf-8")
    broken = first_broken(chain.links())
    assert broken is not None
    assert broken.name == "model"
    assert broken.found.endswith("(altered: more.json)")


def test_of_two_broken_links_the_one_nearer_to_the_source_is_named(chain: Chain) -> None:
    alter(chain.folder(chain.passport.report.digest) / "page.json")
    alter(chain.folder(chain.passport.tokens) / "train.parquet")
    links = chain.links()
    assert [link.name for link in links if link.status == "BROKEN"] == ["tokens", "report"]
    broken = first_broken(links)
    assert broken is not None
    assert broken.name == "tokens"


def test_an_altered_passport_is_named_before_everything_that_it_says(chain: Chain) -> None:
    path = chain.folder(chain.digest) / PASSPORT
    path.write_text(path.read_text(encoding="utf-8").replace('"PROMOTE"', '"HOLD"'), encoding="utf-8")
    links = chain.links()
    assert [(link.name, link.status) for link in links] == [("passport", "BROKEN")]
    assert links[0].found.endswith(f"(altered: {PASSPORT})")


def test_a_passport_that_is_no_passport_is_a_broken_link_and_no_crash(chain: Chain) -> None:
    with chain.store.draft() as draft:
        (draft / PASSPORT).write_text('{"pipeline": "shop"}', encoding="utf-8")
        chain.digest = chain.store.publish(draft)
    (link,) = chain.links()
    assert (link.name, link.status) == ("passport", "BROKEN")


def test_handles_that_name_other_parents_than_those_before_them_break_the_chain(chain: Chain) -> None:
    """Each with the name of the link, and a passport in which its handle says so."""
    passport = chain.passport
    assert passport.rows is not None
    other = {"parents": (OTHER,)}
    changes = {
        "snapshot": {
            "rows": passport.rows.model_copy(update={"snapshot": passport.rows.snapshot.model_copy(update=other)})
        },
        "checked rows": {
            "rows": passport.rows.model_copy(update={"checked": passport.rows.checked.model_copy(update=other)})
        },
        "model": {"model": passport.model.model_copy(update={"parents": (OTHER, passport.tokens)})},
        "assessment": {"assessment": passport.assessment.model_copy(update=other)},
        "reference": {"reference": passport.reference.model_copy(update=other)},
        "report": {"report": passport.report.model_copy(update=other)},
    }
    for name, changed in changes.items():
        chain.reissue(**{"rows": passport.rows, "model": passport.model, **passport.__dict__, **changed})
        broken = first_broken(chain.links())
        assert broken is not None, name
        assert broken.name == name
        assert broken.found.startswith("made from f")


def test_a_judgement_of_another_model_or_with_another_verdict_is_broken(chain: Chain) -> None:
    judged = chain.passport.judgement
    for changed, found in (({"candidate": OTHER}, f"candidate {OTHER}"), ({"verdict": "HOLD"}, "verdict HOLD")):
        chain.reissue(judgement=judged.model_copy(update=changed))
        broken = first_broken(chain.links())
        assert broken is not None
        assert (broken.name, broken.found) == ("judgement", found)


def test_a_contract_whose_content_has_another_digest_is_broken(chain: Chain) -> None:
    rows = chain.passport.rows
    assert rows is not None
    chain.reissue(rows=rows.model_copy(update={"contract": {**rows.contract, "version": "9.9.9"}}))
    broken = first_broken(chain.links())
    assert broken is not None
    assert broken.name == "contract"


def test_source_files_that_are_not_those_of_the_snapshot_are_broken(chain: Chain) -> None:
    rows = chain.passport.rows
    assert rows is not None
    (file,) = rows.sources.files
    sources = rows.sources.model_copy(update={"files": (file.model_copy(update={"split": "test"}),)})
    chain.reissue(rows=rows.model_copy(update={"sources": sources}))
    broken = first_broken(chain.links())
    assert broken is not None
    assert broken.name == "source files"


def test_a_registry_that_holds_another_handle_than_the_passport_is_broken(chain: Chain) -> None:
    kept = {"model": chain.passport.model.digest, "reference": chain.passport.reference.digest, "judgement": OTHER}
    chain.today = {"registered": kept}
    broken = first_broken(chain.links())
    assert broken is not None
    assert (broken.name, broken.found) == ("registered judgement", OTHER)


def test_what_lies_outside_the_store_may_differ_today_without_breaking_the_chain(chain: Chain) -> None:
    files = {**PROGRAM.files, "code tasks/training/loop.py": "9" * 16}
    chain.today = {
        "settings_digest": OTHER,
        "contract": OTHER,
        "encoder": None,
        "program": Program(files=files, constraints=OTHER),
    }
    links = {link.name: link for link in chain.links()}
    assert first_broken(list(links.values())) is None
    told = {name: link.status for name, link in links.items() if name.endswith(" today")}
    assert told == {
        "encoder today": "gone",
        "contract today": "differs today",
        "pipeline today": "differs today",
        "code today": "differs today",
        "constraints.txt today": "differs today",
    }
    assert links["code today"].found == "1 changed: tasks/training/loop.py"


def test_a_source_file_that_changed_or_is_gone_is_told_and_breaks_nothing(chain: Chain) -> None:
    rows = chain.passport.rows
    assert rows is not None
    path = Path(rows.sources.files[0].address)
    alter(path)
    links = chain.links()
    assert links[1].status == "differs today"
    assert first_broken(links) is None
    path.unlink()
    links = chain.links()
    assert (links[1].status, links[1].found) == ("gone", "nothing")
    assert first_broken(links) is None


def test_a_version_of_before_origins_were_kept_is_verified_from_its_rows_on(chain: Chain) -> None:
    chain.reissue(rows=None, quarantine=None)
    links = chain.links()
    assert [link.name for link in links[:4]] == ["passport", "rows", "training rows", "tokens"]
    assert first_broken(links) is None


def test_a_passport_comes_back_from_its_file_as_it_was(chain: Chain) -> None:
    assert read_passport(chain.folder(chain.digest)) == chain.passport
    assert chain.passport.seed == 13
