"""Rows of validation in TensorBoard's projector: where the network puts a text, with the text and its labels."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from tasks.modeling.inference import run_network
from tasks.modeling.network import MultiTaskNetwork
from tasks.modeling.tokens import TextEncoder
from tasks.training.rows import Rows

FOLDER = "projector"
# The file that the projector looks for beside the curves; written here, for what `add_embedding` writes a second time
# is shown twice.
CONFIG = "projector_config.pbtxt"
LAYOUT = 'embeddings {{ tensor_name: "validation" tensor_path: "{0}/states.tsv" metadata_path: "{0}/rows.tsv" }}\n'


def write_projector(folder: Path, network: MultiTaskNetwork, rows: Rows, encoder: TextEncoder, most_rows: int) -> None:
    """Mean states of at most so many rows, evenly spaced, and of each its text, labels and answers.

    The text is what the encoder was given of it, in a row of several windows that of the first.
    """
    outputs = run_network(network, rows.tokens, pad_id=encoder.pad_id)
    windows_of_rows = rows.tokens.windows_of_rows
    first = np.cumsum(windows_of_rows) - windows_of_rows
    chosen = np.linspace(0, len(first) - 1, min(most_rows, len(first))).astype(int).tolist()
    columns = [name for task in network.heads for name in (task, f"{task} answered")]
    lines = [["text", *columns]]
    for row in chosen:
        line = [encoder.text_of(rows.tokens.input_ids[first[row]])]
        for task, head in network.heads.items():
            label = rows.labels[task][row]
            line += ["" if label is None else head.in_words(label), head.in_words(outputs.answers[task][row])]
        lines.append(line)
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    np.savetxt(folder / FOLDER / "states.tsv", outputs.embeddings[chosen], fmt="%.6g", delimiter="\t")
    (folder / FOLDER / "rows.tsv").write_text("".join(map(_line, lines)), encoding="utf-8")
    (folder / CONFIG).write_text(LAYOUT.format(FOLDER), encoding="utf-8")


def _line(cells: Iterable[str]) -> str:
    """A line of the table, which has no way to say that a tab or the end of a line belongs to a cell."""
    return "\t".join(" ".join(cell.split()) for cell in cells) + "\n"
