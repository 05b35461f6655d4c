"""The network as TensorBoard's graph: what one small batch goes through, each operation below its module's name.

The tracer that exports use, and not `SummaryWriter.add_graph`, which makes a script of every module first and takes ten
times as long.
"""

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from tensorboard.compat.proto.attr_value_pb2 import AttrValue
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.compat.proto.node_def_pb2 import NodeDef
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.compat.proto.versions_pb2 import VersionDef
from torch import Tensor, nn

from tasks.modeling.heads import WordTensors
from tasks.modeling.network import MultiTaskNetwork
from tasks.training.rows import Batch


def graph_of(network: MultiTaskNetwork, batch: Batch) -> GraphDef:
    """Operations, weights and inputs of the network with all its heads; neither weights nor random state change."""
    device = next(network.parameters()).device
    words = {column: WordTensors(*(part.to(device) for part in of)) for column, of in batch.words.items()}
    answers, texts = _Answers(network, words), (batch.input_ids.to(device), batch.mask.to(device))
    training, packed = network.training, network.packed
    # The layers are the same; where rows lie end to end depends on their numbers, which a trace does not hold.
    network.packed = False
    devices = [device] if device.type == "cuda" else []
    tracer: Any = torch.jit._trace
    try:
        with torch.no_grad(), torch.random.fork_rng(devices), warnings.catch_warnings(), _scopes_of(network):
            # The tracer says of each shape that it would be another for other texts.
            warnings.simplefilter("ignore")
            traced, _ = tracer._get_trace_graph(answers.eval(), texts)
    finally:
        network.train(training)
        network.packed = packed
    weights = [name.removeprefix("network.") for name in tracer._unique_state_dict(answers)]
    nodes = _nodes(traced, ["token_ids", "mask", *weights], [f"logits/{task}" for task in network.heads])
    return GraphDef(node=nodes, versions=VersionDef(producer=22))


class _Answers(nn.Module):
    """The network as a function from tensors to tensors, which is what can be traced."""

    def __init__(self, network: MultiTaskNetwork, words: dict[str, WordTensors]) -> None:
        super().__init__()
        self.network = network
        self._words = words

    def forward(self, input_ids: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        """Logits of each task."""
        logits, _ = self.network(input_ids, mask, self._words, list(self.network.heads))
        return tuple(logits.values())


@contextlib.contextmanager
def _scopes_of(network: nn.Module) -> Iterator[None]:
    """Names modules for the tracer, each by its path below the module that calls it."""
    called = {
        path: part for path, part in network.named_modules() if not isinstance(part, nn.ModuleList | nn.ModuleDict)
    }
    names = {}
    for path, part in called.items():
        above = path.rpartition(".")[0]
        while above not in called:
            above = above.rpartition(".")[0]
        names[part] = path.removeprefix(above).strip(".").replace(".", "/")
    earlier = torch.jit._trace._trace_module_map
    torch.jit._trace._trace_module_map = names
    try:
        yield
    finally:
        torch.jit._trace._trace_module_map = earlier


def _nodes(traced: Any, inputs: list[str], outputs: list[str]) -> list[NodeDef]:
    """Nodes of a traced graph with names for what goes in and comes out; constants, of which it is full, are left out.

    Numbers keep operations of one module and kind apart.
    """
    names: dict[str, str] = {}
    nodes = []
    for name, value in zip(inputs, traced.inputs(), strict=True):
        names[value.debugName()] = name.replace(".", "/")
        nodes.append(_node(names[value.debugName()], "weight" if "." in name else "input", [], value))
    (result,) = traced.outputs()
    # Several results are made one by the last operation.
    last = result.node() if result.node().kind() == "prim::TupleConstruct" else None
    for number, operation in enumerate(traced.nodes()):
        sources = [names[value.debugName()] for value in operation.inputs() if value.debugName() in names]
        if operation == last or (operation.kind().startswith("prim::") and not sources):
            continue
        kind = operation.kind().rpartition("::")[2]
        name = f"{operation.scopeName()}/{kind}_{number}".lstrip("/")
        names |= dict.fromkeys((value.debugName() for value in operation.outputs()), name)
        nodes.append(_node(name, kind, sources, next(operation.outputs(), None)))
    results = last.inputs() if last else [result]
    return nodes + [
        _node(name, "output", [names[value.debugName()]], value) for name, value in zip(outputs, results, strict=True)
    ]


def _node(name: str, kind: str, inputs: list[str], value: Any) -> NodeDef:
    sizes = value.type().sizes() if value is not None and value.isCompleteTensor() else None
    if sizes is None:
        return NodeDef(name=name, op=kind, input=inputs)
    shape = TensorShapeProto(dim=[TensorShapeProto.Dim(size=size) for size in sizes])
    return NodeDef(
        name=name, op=kind, input=inputs, attr={"_output_shapes": AttrValue(list=AttrValue.ListValue(shape=[shape]))}
    )
