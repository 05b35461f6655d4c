"""graft: read, divide, check and tokenize, as `prepare_data` does, without Prefect around it."""

import sys
import time
from pathlib import Path

from benchmarks.data_peers.task import MAX_TOKENS, SHARES, contract_text
from benchmarks.measuring import report


def main(rows: Path, folder: Path, stages: str) -> None:
    """Works through `stages`, "read" or "all", and reports."""
    from data_contracts.artifacts import SourceFile
    from data_contracts.dataset import load_contract
    from tasks.ingestion.identity import file_digest
    from tasks.ingestion.reading import Reading, read_sources
    from tasks.ingestion.splits import RandomSplit

    (folder / "contract.yaml").write_text(contract_text(), encoding="utf-8")
    contract = load_contract(str(folder / "contract.yaml"))
    started = time.perf_counter()
    file = SourceFile(split=None, address=str(rows), sha256=file_digest(rows), reader={"kind": "json_lines"})
    read, checked, tokens = folder / "read", folder / "checked", folder / "tokens"
    for made in (read, checked, tokens):
        made.mkdir()
    counts = read_sources((file,), Reading(contract, splits=RandomSplit(**SHARES)), read)
    seconds = {"read and divide": time.perf_counter() - started}
    if stages == "all":
        started = time.perf_counter()
        import transformers  # noqa: F401

        from tasks.validation.checking import check_snapshot

        seconds["import the library"] = time.perf_counter() - started
        started = time.perf_counter()
        counts = check_snapshot(read, (file,), contract, checked).rows
        seconds["check"] = time.perf_counter() - started
        from tasks.modeling.encoder import EncoderSettings, encoder_folder
        from tasks.tokenization.encoding import encode_splits
        from tasks.tokenization.settings import Tokenization

        encoder = encoder_folder(EncoderSettings().name, None)
        started = time.perf_counter()
        encode_splits(checked, encoder, Tokenization(max_tokens=MAX_TOKENS), (), tokens)
        seconds["tokenize"] = time.perf_counter() - started
    report(seconds, counts)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
