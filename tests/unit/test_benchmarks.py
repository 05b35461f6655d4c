"""Benchmarks: each says what it does, and the work of the data and drift benchmarks is what they say it is."""

import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.data_peers.task import BAD_EVERY, contract_text
from benchmarks.data_peers.task import write_rows as write_work
from benchmarks.drift_peers.aims import Aim, found_beyond, life_aims
from benchmarks.drift_peers.graft import Life, Watcher
from benchmarks.drift_peers.rows import HWU64, NOISED, OUT_OF_SCOPE, POOL, UNKNOWN, Rows, read_rows, write_rows
from benchmarks.drift_peers.scenarios import SCENARIOS, life_of, reference_of, rising, window_of
from benchmarks.drift_peers.tally import draws, few, many
from benchmarks.measuring import environment_of, peak_bytes
from data_contracts.dataset import DatasetContract
from data_contracts.yaml_files import parse_yaml
from tasks.drift.decision import triage
from tasks.drift.measuring import measure_window
from tasks.ingestion.plan import PlannedFile
from tasks.ingestion.sources import JsonLines
from tasks.ingestion.task import read_once
from tasks.validation.task import check_once

ROOT = Path(__file__).resolve().parents[2]
NAMES = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py") if path.stem not in ("__init__", "measuring"))


def test_there_are_benchmarks() -> None:
    assert {"data", "training", "scaling"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_explains_itself(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--help"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert f"python -m benchmarks.{name}" in done.stdout
    assert "JSON" in done.stdout


def test_one_row_in_a_thousand_of_the_work_is_bad_and_found(tmp_path: Path) -> None:
    rows, read, checked = tmp_path / "rows.jsonl", tmp_path / "read", tmp_path / "checked"
    read.mkdir()
    checked.mkdir()
    write_work(rows, 5 * BAD_EVERY)
    (tmp_path / "contract.yaml").write_text(contract_text(), encoding="utf-8")
    contract = parse_yaml(tmp_path / "contract.yaml", DatasetContract)
    sources = read_once([PlannedFile(split="train", source=JsonLines(path=str(rows)))], contract, read)
    checks = check_once(read, sources, contract, checked)
    assert checks.quarantined == {"train": 5}
    assert checks.verdict(contract) == "PASS_WITH_QUARANTINE"


def test_peak_memory_is_that_of_this_process() -> None:
    before = peak_bytes()
    block = bytearray(64 << 20)
    block[:: 1 << 12] = b"x" * len(block[:: 1 << 12])
    assert peak_bytes() >= before
    assert peak_bytes() > len(block)


def drift_rows(kept: int = 600, foreign: int = 90) -> Rows:
    """Rows in domain of three domains with ten labels each, the same with slips, and foreign ones of two sources."""
    label = np.arange(kept) % 30
    parts = {POOL: kept, NOISED: kept, HWU64: foreign, OUT_OF_SCOPE: foreign}
    everything = sum(parts.values())
    in_domain = np.concatenate([label, label, np.full(2 * foreign, UNKNOWN)])
    return Rows(
        source=np.repeat(list(parts), list(parts.values())),
        text=np.arange(everything).astype(str),
        domain=np.array([f"domain {at % 3}" if at != UNKNOWN else "" for at in in_domain]),
        embeddings=np.zeros((everything, 2), dtype=np.float32),
        shares=np.full((everything, 30), 1 / 30, dtype=np.float32),
        label=in_domain,
    )


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_window_has_no_row_of_its_reference_and_is_drawn_the_same_again(name: str) -> None:
    rows = drift_rows()
    reference, rest = reference_of(rows, 5, size=400)
    window = window_of(rows, rest, name, 5, size=60)
    # A row with slips is the row that it was made from.
    origins = np.where(np.isin(window, rows.of(NOISED)), window - rows.of(NOISED)[0], window)
    assert len(set(origins.tolist())) == 60
    assert not set(origins.tolist()) & set(reference.tolist())
    assert set(origins.tolist()) <= set(rest.tolist()) | {*rows.of(HWU64).tolist(), *rows.of(OUT_OF_SCOPE).tolist()}
    assert window.tolist() == window_of(rows, reference_of(rows, 5, size=400)[1], name, 5, size=60).tolist()
    assert sorted(window.tolist()) != sorted(window_of(rows, reference_of(rows, 6, 400)[1], name, 6, size=60).tolist())


def test_a_window_holds_the_share_of_foreign_rows_that_it_says() -> None:
    rows = drift_rows()
    _, rest = reference_of(rows, 0, size=400)
    sources = {name: rows.source[window_of(rows, rest, name, 0, size=60)].tolist() for name in SCENARIOS}
    counts = {name: (of.count(HWU64), of.count(OUT_OF_SCOPE), of.count(NOISED)) for name, of in sources.items()}
    assert counts == {
        "unchanged": (0, 0, 0),
        "foreign 5%": (2, 1, 0),
        "foreign 10%": (3, 3, 0),
        "foreign 20%": (6, 6, 0),
        "hwu64 5%": (3, 0, 0),
        "hwu64 10%": (6, 0, 0),
        "hwu64 20%": (12, 0, 0),
        "oos 5%": (0, 3, 0),
        "oos 10%": (0, 6, 0),
        "oos 20%": (0, 12, 0),
        "dropped domain": (0, 0, 0),
        "label mix": (0, 0, 0),
        "typos 20%": (0, 0, 12),
        "typos 50%": (0, 0, 30),
    }


def test_a_dropped_domain_is_gone_and_the_others_stay() -> None:
    rows = drift_rows()
    _, rest = reference_of(rows, 1, size=400)
    assert len(np.unique(rows.domain[window_of(rows, rest, "dropped domain", 1, size=60)])) == 2


def test_rising_labels_have_their_share_in_every_window_of_a_life() -> None:
    rows = drift_rows()
    rest = rows.of(POOL)
    window = rising(rows, rest, 60, np.random.default_rng(0), by="label", groups=10, times=2)
    # 10 of 30 labels, each twice as frequent: 2 * 1/3 / (2 * 1/3 + 2/3) of the rows.
    looks = [np.bincount(rows.label[window(np.random.default_rng(seed))], minlength=30) for seed in range(20)]
    risen = np.argsort(np.sum(looks, axis=0))[-10:]
    assert [int(look[risen].sum()) for look in looks] == [30] * 20


def test_a_life_keeps_its_change_and_draws_other_rows_at_every_look() -> None:
    rows = drift_rows()
    _, rest = reference_of(rows, 2, size=300)
    looks = list(life_of(rows, rest, "benign mix", 2, looks=3, size=30))
    assert [sorted(look.tolist()) for look in looks] == [
        sorted(look.tolist()) for look in life_of(rows, rest, "benign mix", 2, looks=3, size=30)
    ]
    assert len({tuple(sorted(look.tolist())) for look in looks}) == 3


def test_rows_come_back_from_their_file(tmp_path: Path) -> None:
    rows = drift_rows()
    write_rows(rows, tmp_path / "rows.npz")
    found = read_rows(tmp_path / "rows.npz")
    assert all((getattr(found, name) == values).all() for name, values in vars(rows).items())
    assert [path.name for path in tmp_path.iterdir()] == ["rows.npz"]


def test_peers_get_the_same_windows_as_graft() -> None:
    rows = drift_rows(kept=7_500, foreign=100)
    ours = {(number, name): window.text.tolist() for number, _, name, window in draws(rows, many(1))}
    theirs = {(number, name): window.text.tolist() for number, _, name, window in draws(rows, few(1))}
    assert {name for _, name in theirs} == {"unchanged", "foreign 5%", "foreign 10%", "foreign 20%"}
    assert theirs.items() <= ours.items()


def test_a_peer_that_alarms_on_anything_is_no_rival_and_others_are_held_against_the_same_windows() -> None:
    ours = {"unchanged": [False] * 4, "foreign 10%": [True, True, False, False]}
    always = {"unchanged": [True] * 2, "foreign 10%": [True] * 2}
    half, all_of_them = ({"unchanged": [False] * 2, "foreign 10%": found} for found in ([True, False], [True] * 2))
    assert found_beyond(ours, [always], "foreign 10%") == 1
    assert found_beyond(ours, [always, half], "foreign 10%") == 0.5
    assert found_beyond(ours, [always, half, all_of_them], "foreign 10%") == 0


def test_an_aim_is_missed_outside_what_is_allowed() -> None:
    aims = [Aim("", found, least=0.03, most=0.07) for found in (0.029, 0.03, 0.07, 0.071, float("nan"))]
    assert [aim.met for aim in aims] == [False, True, True, False, False]


def test_lives_are_summed_up_by_their_retrainings_and_the_look_by_which_half_are_found() -> None:
    def life(harm: int | None, retraining: int | None = None) -> dict[str, int | None]:
        return {"shift": 1, "harm": harm, "retraining": retraining}

    lives = {
        "unchanged": [life(None)] * 99 + [life(4, 4)],
        "benign mix": [life(None)] * 3,
        "foreign 10%": [life(1), life(2), life(5), life(None)],
        "foreign 20%": [life(1), life(None), life(None)],
    }
    found = {aim.text: aim for aim in life_aims(lives)}
    # Wilson's interval of 1 of 100 ends at 0.0545.
    assert found["false retrainings, 95% upper bound of lives"].found == pytest.approx(0.0545, abs=1e-4)
    assert not found["false retrainings, 95% upper bound of lives"].met
    assert found["looks until harm is found, median, foreign 10%"].found == 5
    assert found["looks until harm is found, median, foreign 20%"].found == float("inf")
    assert found["retrainings in lives of a benign mix"].met


def test_an_environment_that_could_not_be_filled_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.measuring.ENVIRONMENTS", tmp_path)
    with pytest.raises(SystemExit, match="no environment for nobody"):
        environment_of("nobody", ["--no-index", "a-package-that-nobody-made"])
    assert list(tmp_path.iterdir()) == []


def test_packages_that_are_there_already_need_no_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.measuring.ENVIRONMENTS", tmp_path)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    here = version("pytest")
    assert environment_of("somebody", [f"pytest=={here}", f"pytest[extra]=={here}"]) == sys.executable
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(SystemExit, match="no environment for somebody"):
        environment_of("somebody", [f"pytest=={here}", "pytest==0.0.1"])


def test_a_life_hears_harm_when_a_window_measured_in_full_does() -> None:
    random = np.random.default_rng(3)
    rows = drift_rows(kept=1_500)
    sure = random.uniform(0.5, 1.0, len(rows.label))
    # Rows of HWU64 are far out and doubted.
    far = np.isin(rows.source, [HWU64])
    sure[far] = 0.1
    shares = np.repeat((1 - sure)[:, None] / 29, 30, axis=1)
    shares[np.arange(len(sure)), np.where(rows.label == UNKNOWN, 0, rows.label)] = sure
    embeddings = random.normal(size=(len(sure), 8)) + np.where(far, -9, 9)[:, None]
    seen = replace(rows, shares=shares.astype(np.float32), embeddings=embeddings.astype(np.float32))
    chosen, rest = reference_of(seen, 0, size=500)
    watcher = Watcher(seen.take(chosen))
    life, heard = Life(watcher, seen), list[tuple[bool, bool]]()
    before: list[Any] = []
    for look in range(6):
        window = np.concatenate([rest[150 * look : 150 * look + 150], seen.of(HWU64)[:12]])
        measured = measure_window(*watcher.inputs(seen.take(window)), look=look + 1)
        found = triage(measured, before, watcher.policy, fresh_rows=1_000)
        assert measured.shift is not None
        harmed = life.harmed(window)
        heard.append((harmed, harmed and life.retrains(measured.shift)))
        doubts = found.reasons[0].startswith("the model doubts itself")
        assert heard[-1] == (doubts, found.verdict == "HARMFUL")
        before.append(SimpleNamespace(monitors=found.monitors))
    # One window alone is not enough: the evidence adds up.
    assert heard[0] == (False, False)
    assert heard[-1] == (True, True)
