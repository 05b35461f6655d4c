"""The passport of a version in the registry: issued once, kept beside the report, and found again."""

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from mlflow import MlflowClient

from data_contracts.artifacts import ModelVersion, Opponent
from data_contracts.errors import InputError
from tasks.registry.passport import PASSPORT, program_of, read_origin, read_passport, settings_digest, write_passport
from tasks.registry.promoting import promote_if_won
from tasks.registry.task_passports import (
    code_changes,
    issue_passport,
    keep_origin,
    links_of,
    passport_of,
    program_today,
    windows_learnt,
)
from tasks.registry.task_versions import open_registry, version_numbered
from tasks.registry.verifying import first_broken
from tasks.registry.versions import RunRecord
from tasks.storage.caching import ROOT
from tasks.storage.home import open_home, open_store
from tests.unit.registry.chains import CONTRACT, SETTINGS, Chain, make_chain


@pytest.fixture
def chain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Chain:
    """A chain in the store of a home of its own."""
    monkeypatch.setenv("GRAFT_HOME", str(tmp_path))
    for name in ("GRAFT_STORE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    chain = make_chain(tmp_path)
    assert chain.store.root == open_store().root
    return chain


def registered(chain: Chain) -> ModelVersion:
    passport = chain.passport
    registry = open_registry("shop")
    return registry.register(passport.model, passport.reference, passport.judgement, RunRecord({}, {}, ()))


def issue(chain: Chain, version: ModelVersion) -> ModelVersion:
    passport = chain.passport
    assert passport.rows is not None
    rows = passport.rows
    snapshot = keep_origin.fn(passport.snapshot, rows.checked, rows.snapshot, rows.sources, None, None, CONTRACT)
    assert read_origin(open_store().directory(snapshot.origin or "")) == rows
    return issue_passport.fn(version, snapshot, passport.assessment, passport.report, SETTINGS, ["training.epochs=2"])


def test_a_passport_is_issued_once_and_leads_from_the_version_to_the_source(chain: Chain, tmp_path: Path) -> None:
    made = registered(chain)
    assert made.passport is None
    with pytest.raises(InputError, match="has no passport"):
        passport_of(made)
    stamped = issue(chain, made)
    found = version_numbered("shop", 1)
    assert (found.passport, found) == (stamped.passport, stamped)
    passport = passport_of(found)
    assert passport.rows == chain.passport.rows
    assert (passport.quarantine, passport.weights) == (chain.passport.quarantine, chain.passport.weights)
    assert passport.overrides == ("training.epochs=2",)
    assert passport.settings_digest == settings_digest(SETTINGS)
    assert passport.program == program_today()
    assert code_changes(passport) == []
    run = MlflowClient(tracking_uri=open_home().tracking_uri)
    assert PASSPORT in [artifact.path for artifact in run.list_artifacts(found.run_id)]
    assert issue(chain, found).passport == found.passport

    links = links_of(
        found, lambda _: (SETTINGS, CONTRACT), lambda file: file.sha256, lambda _: chain.passport.rows.sources.digest
    )  # type: ignore[union-attr]
    assert first_broken(links) is None
    # The package of the encoder is not installed.
    assert {link.name: link.status for link in links if link.status != "holds"} == {"encoder today": "gone"}
    unreadable = links_of(found, lambda _: None, lambda _: None, lambda _: "f" * 64)
    assert {link.name for link in unreadable if link.status == "gone"} >= {"contract today", "pipeline today"}
    broken = first_broken(unreadable)
    assert broken is not None
    assert broken.name == "source files"


def test_a_version_that_was_judged_anew_gets_another_passport(chain: Chain) -> None:
    first = issue(chain, registered(chain))
    judged = first.judgement.model_copy(update={"reasons": ("other",)})
    second = issue(chain, first.model_copy(update={"judgement": judged}))
    assert second.passport != first.passport
    assert passport_of(second).judgement == judged


def test_a_champion_that_it_was_judged_against_is_its_parent(chain: Chain) -> None:
    made = registered(chain)
    judged = made.judgement.model_copy(update={"champion": made.model.digest})
    parent = passport_of(issue(chain, made.model_copy(update={"judgement": judged}))).parent
    assert parent is not None
    assert (parent.version, parent.model) == (1, made.model.digest)


def test_a_version_that_is_not_there_is_an_error_that_says_which_are(chain: Chain) -> None:
    with pytest.raises(InputError, match=r"no champion yet\. `graft run shop` trains and judges a first model"):
        version_numbered("shop", None)
    version = registered(chain)
    said = f"Of version 1, the newest, the gate says {version.judgement.verdict}: .*`graft promote shop 1 --reason"
    with pytest.raises(InputError, match=said):
        version_numbered("shop", None)
    with pytest.raises(InputError, match="no version 2; its versions are 1"):
        version_numbered("shop", 2)
    assert version_numbered("shop", 1).version == 1
    promote_if_won(open_registry("shop"), version, Opponent(model=None, entry=0), None, datetime.now(UTC))
    assert version_numbered("shop", None).version == 1


def test_windows_that_a_version_was_trained_with_are_those_of_its_passport(chain: Chain) -> None:
    made, rows = registered(chain), chain.passport.rows
    assert rows is not None
    assert windows_learnt.fn(issue(chain, made), ("week_2",)) == ()
    file = rows.sources.files[0]
    fresh = file.model_copy(update={"held_out_split": "fresh_week_1", "held_out_share": 0.5})
    sources = rows.sources.model_copy(update={"files": (file, fresh)})
    chain.reissue(rows=rows.model_copy(update={"sources": sources}))
    assert windows_learnt.fn(made.model_copy(update={"passport": chain.digest}), ("week_2",)) == ("week_1",)


def test_windows_that_no_passport_tells_of_are_those_of_the_ledger(chain: Chain) -> None:
    made = registered(chain)
    assert windows_learnt.fn(made, ("week_2",)) == ("week_2",)
    assert windows_learnt.fn(made.model_copy(update={"passport": "f" * 64}), ("week_2",)) == ("week_2",)
    chain.reissue(rows=None)
    assert windows_learnt.fn(made.model_copy(update={"passport": chain.digest}), ("week_2",)) == ("week_2",)


def test_the_program_names_every_stage_and_what_all_of_them_share() -> None:
    files = program_today().files
    for path in ("tasks/training/loop.py", "tasks/storage/store.py", "data_contracts/artifacts.py"):
        assert f"code {path}" in files
    assert ROOT.joinpath("constraints.txt").is_file()
    assert program_today().constraints is not None


def test_a_commit_is_named_with_whether_files_changed_since_and_no_git_is_no_error(tmp_path: Path) -> None:
    assert program_of(tmp_path, {}).git is None
    (tmp_path / "a.py").write_text("", encoding="utf-8")
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    for words in (("init", "-q"), ("add", "-A"), (*identity, "commit", "-q", "-m", "a")):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True)
    clean = program_of(tmp_path, {}).git
    assert clean is not None
    assert (len(clean.commit), clean.dirty) == (40, False)
    (tmp_path / "a.py").write_text("1", encoding="utf-8")
    changed = program_of(tmp_path, {}).git
    assert changed is not None
    assert (changed.commit, changed.dirty) == (clean.commit, True)


def test_settings_have_a_digest_whatever_their_order() -> None:
    turned = json.loads(json.dumps({"b": 1, "a": {"d": 2, "c": 3}}))
    assert settings_digest(turned) == settings_digest({"a": {"c": 3, "d": 2}, "b": 1})
    assert settings_digest(turned) != settings_digest({"a": {"c": 3, "d": 2}, "b": 2})


def test_settings_have_the_same_digest_when_they_were_written_even_where_a_number_has_no_end(
    chain: Chain, tmp_path: Path
) -> None:
    passport = chain.passport.model_copy(update={"settings": {"training": {"gradient_clip": float("inf")}}})
    write_passport(tmp_path, passport)
    assert read_passport(tmp_path).settings_digest == passport.settings_digest
