"""Weights in ncnn's two files: ``.param``, the graph as text, and ``.bin``, its numbers in the graph's order.

Written from ncnn's documentation of its file formats. Reads convolutions and PReLUs, which is what networks
for enlarging learn, and constants, which must be those of the network.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

MAGIC = "7767517"
HALF_PRECISION = 0x01306B47


def fill_from_ncnn(network: nn.Module, param: Path, binary: Path) -> None:
    """Gives the network these weights; its layers are in the order in which they run, as in the graph.

    ``ValueError`` where the files are no such graph, or not of this network.
    """
    reader = Numbers(binary.read_bytes(), binary.name)
    graph = [line.split() for line in graph_lines(param)]
    _check_constants(network, [words for words in graph if words[0] == "MemoryData"], reader)
    learned = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d | nn.PReLU)]
    lines = [words for words in graph if words[0] in ("Convolution", "PReLU")]
    if len(lines) != len(learned):
        raise ValueError(f"{param.name}: {len(lines)} layers with weights, the network has {len(learned)}")
    with torch.no_grad():
        for layer, words in zip(learned, lines, strict=True):
            if isinstance(layer, nn.PReLU) != (words[0] == "PReLU"):
                raise ValueError(f"{param.name}: {words[1]} is a {words[0]}, where the network has a {layer}")
            if isinstance(layer, nn.PReLU):
                layer.weight.copy_(reader.plain(layer.weight.numel()))
                continue
            layer.weight.copy_(reader.tagged(layer.weight.numel()).view_as(layer.weight))
            if layer.bias is not None:
                layer.bias.copy_(reader.plain(layer.bias.numel()))
    reader.finish()


def _check_constants(network: nn.Module, lines: list[list[str]], reader: Numbers) -> None:
    """Those of the graph, which begin its numbers, are the buffers of the network, in this order."""
    buffers = list(network.buffers())
    if len(lines) != len(buffers):
        raise ValueError(f"{reader.name}: {len(lines)} constants, the network has {len(buffers)}")
    for words, buffer in zip(lines, buffers, strict=True):
        if not torch.allclose(reader.plain(buffer.numel()), buffer.flatten(), rtol=0, atol=1e-6):
            raise ValueError(f"{reader.name}: {words[1]} is another constant than the network's")


def graph_lines(param: Path) -> list[str]:
    """The layers of a ``.param``, one a line; ``ValueError`` where it is none."""
    lines = param.read_text(encoding="utf-8").splitlines()
    if not lines or lines[0].strip() != MAGIC:
        raise ValueError(f"{param.name}: no graph of ncnn, which starts with {MAGIC}")
    return [line for line in lines[2:] if line.strip()]


class Numbers:
    """Takes arrays off the front of a ``.bin``; ``name`` is for messages."""

    def __init__(self, data: bytes, name: str) -> None:
        self._data, self.name, self._at = data, name, 0

    def plain(self, count: int) -> Tensor:
        """So many of float32."""
        return self._take(count, "<f4")

    def tagged(self, count: int) -> Tensor:
        """Behind a tag that says how numbers are stored; padded to four bytes."""
        tag = int.from_bytes(self._data[self._at : self._at + 4], "little")
        self._at += 4
        if tag not in (0, HALF_PRECISION):
            raise ValueError(f"{self.name}: numbers stored with tag {tag:#x}; float32 and float16 are known")
        values = self._take(count, "<f2" if tag else "<f4")
        self._at += -self._at % 4
        return values

    def finish(self) -> None:
        """``ValueError`` where numbers are left."""
        if self._at != len(self._data):
            raise ValueError(f"{self.name}: {len(self._data) - self._at} bytes belong to no layer")

    def _take(self, count: int, dtype: str) -> Tensor:
        size = count * np.dtype(dtype).itemsize
        if self._at + size > len(self._data):
            raise ValueError(f"{self.name}: ends early; install its package again")
        values = np.frombuffer(self._data, dtype, count, self._at).astype(np.float32)
        self._at += size
        return torch.from_numpy(values)
