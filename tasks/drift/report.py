"""The report on a window: one page, the verdict and its reasons on top, then what stands behind."""

from collections.abc import Iterator
from pathlib import Path

from data_contracts.drift import DriftVerdict
from tasks.drift import report_layers, report_texts
from tasks.drift.evidence import WindowEvidence
from tasks.reporting.page import Page, write_page
from tasks.reporting.sections import Section, Tone

TONES: dict[DriftVerdict, Tone] = {
    "QUIET": "good",
    "BENIGN": "",
    "UNKNOWN": "doubt",
    "BAD_DATA": "bad",
    "HARMFUL": "bad",
}
MEANINGS: dict[DriftVerdict, str] = {
    "QUIET": "nothing to see",
    "BENIGN": "moved, and nothing is lost by it",
    "UNKNOWN": "labels are needed to tell",
    "BAD_DATA": "broken rows, not for a model to mend",
    "HARMFUL": "the model became worse",
}


def make_drift_report(evidence: WindowEvidence, output: Path) -> None:
    """Writes `report.html`, its pictures, and `report.md`."""
    decision = evidence.decision
    facts = (
        f"{MEANINGS[decision.verdict]} · {evidence.rows:,} rows against version {decision.model_version} "
        f"· decided {decision.decided_at:%Y-%m-%d %H:%M %Z}"
    )
    title = f"{Path(decision.pipeline).stem}, {decision.window}"
    sections = [section for section in _sections(evidence) if section]
    page = Page(title, decision.verdict, TONES[decision.verdict], facts, sections)
    write_page(page, output, in_markdown=("monitors", "map", "words"))


def _sections(evidence: WindowEvidence) -> Iterator[Section | None]:
    """In the order of the page."""
    yield report_layers.why(evidence.decision)
    yield report_layers.harm(evidence)
    yield report_layers.shift(evidence.decision)
    yield report_texts.texts(evidence)
    yield report_texts.slices(evidence)
    yield report_texts.answers(evidence)
    yield report_texts.unlike(evidence)
    yield report_layers.quality(evidence.decision)
