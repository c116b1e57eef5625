"""Which layer of a network cannot be exported: found by where its capture stopped, or by what has no twin."""

from __future__ import annotations

import re
from types import TracebackType
from typing import Any, Self

import torch
from torch import nn

_CURE = (
    "write that layer with operators that ONNX has (convolutions, matrix products, reductions, tensor shapes "
    "instead of Python numbers), or run these weights with PyTorch: restora restore --restorer"
)


class EnteredModules:
    """Within, knows which modules of a network are being run: a failure is the innermost one's."""

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        self._inside: list[tuple[str, str]] = []
        self._handles: list[Any] = []

    def __enter__(self) -> Self:
        for name, module in self._network.named_modules():
            self._handles.append(module.register_forward_pre_hook(self._entering(name)))
            self._handles.append(module.register_forward_hook(self._leaving))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for handle in self._handles:
            handle.remove()

    def refusal(self, name: str, error: Exception) -> str:
        """What the user is told of a capture that failed."""
        layer = "{} ({})".format(*self._inside[-1]) if self._inside else "the network"
        said = str(error).strip().splitlines() or [type(error).__name__]
        return f"{name}: {layer} cannot be exported: {said[0]}; {_CURE}"

    def _entering(self, name: str) -> Any:
        def enter(module: nn.Module, _: Any) -> None:
            # The step of a recurrence is read by another tracer, which follows hooks too, and loses its way.
            if not torch.compiler.is_dynamo_compiling():
                self._inside.append((_plain(name), type(module).__name__))

        return enter

    def _leaving(self, *_: Any) -> None:
        if not torch.compiler.is_dynamo_compiling():
            self._inside.pop()


def untranslated(name: str, program: Any, error: Exception) -> str:
    """What the user is told of a captured operator that has no twin in ONNX."""
    said = "\n".join(_chain(error))
    found = re.search(r"OpOverload\(op='([\w.]+)'", said) or re.search(r"target=torch\.ops\.([\w.]+)\]", said)
    operator = found[1] if found else "an operator"
    return f"{name}: {_layer_of(program, operator)} cannot be exported: ONNX has no {operator}; {_CURE}"


def _layer_of(program: Any, operator: str) -> str:
    # What the exporter could not translate may be a part of what the layer calls.
    for graph in (program.graph, program.run_decompositions().graph):
        for node in graph.nodes:
            modules = [each for each in (node.meta.get("nn_module_stack") or {}).values() if each[0]]
            if modules and operator.startswith(str(node.target).removesuffix(".default")):
                path, kind = modules[-1]
                return f"{_plain(path)} ({str(kind).rpartition('.')[2]})"
    return "the network"


def _plain(path: str) -> str:
    """As the network's author names it, without what it was put into."""
    return path.removeprefix("network").removeprefix(".") or "the network"


def _chain(error: BaseException | None) -> list[str]:
    said = []
    while error is not None:
        said.append(str(error))
        error = error.__cause__
    return said
