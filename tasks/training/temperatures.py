"""Temperatures of the heads that answer with one label, from validation alone."""

from tasks.modeling.calibration import fit_temperature
from tasks.modeling.heads import Heads
from tasks.modeling.inference import run_network
from tasks.modeling.network import MultiTaskNetwork
from tasks.training.rows import Rows


def calibrated_heads(network: MultiTaskNetwork, rows: Rows, pad_id: int) -> Heads:
    """The network's heads, those that answer with one label with the temperature that suits these rows."""
    labelled = {task: known if network.heads[task].one_label else {} for task, known in rows.labelled_rows.items()}
    scores = run_network(network, rows.tokens, pad_id=pad_id, wanted=labelled).label_scores
    heads = dict(network.heads)
    for task, of_task in scores.items():
        place = {label: position for position, label in enumerate(heads[task].labels)}
        known = list(labelled[task])
        temperature = fit_temperature(of_task[known], [place[rows.labels[task][row]] for row in known])
        heads[task] = heads[task].model_copy(update={"temperature": temperature})
    return heads
