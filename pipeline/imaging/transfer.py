"""Pixels between host and device: in the stored type where that is the smaller one, and beside other work.

On a CPU there is nothing to transfer and nothing here costs anything.

Shapes: B batch, C channels, H and W height and width.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

NARROW = {"uint8": torch.uint8, "uint16": torch.uint16}
"""Stored types of which a device takes and gives samples as they are: a half or a quarter of float32."""

_THREAD = threading.local()


def uploaded(pixels_HWC: NDArray[Any], device: torch.device) -> Tensor:
    """CHW of the array's type on a GPU, through memory that it reads by itself."""
    pixels_CHW = torch.from_numpy(np.ascontiguousarray(pixels_HWC.transpose(2, 0, 1)))
    return pixels_CHW.pin_memory().to(device, non_blocking=True)


@dataclass(frozen=True)
class Download:
    """Pixels on their way from a device, which works on meanwhile."""

    pixels_BHWC: NDArray[Any]
    """Not to be read before ``wait`` has returned."""
    _done: torch.cuda.Event | None = None

    def wait(self) -> None:
        """Until they are here; on any thread."""
        if self._done is not None:
            self._done.synchronize()


ARRIVED = Download(np.empty(0))
"""For pixels that were here all along."""


def download(values_BCHW: Tensor, dtype: str) -> Download:
    """BHWC of the stored type; values are whole and in its range already where it is an integer."""
    if values_BCHW.is_cuda and dtype in NARROW:
        return _beside(values_BCHW.to(NARROW[dtype]).permute(0, 2, 3, 1).contiguous())
    if dtype in NARROW:  # before they are put in order: a quarter or half of the bytes
        values_BCHW = values_BCHW.to(NARROW[dtype])
    values_BHWC: NDArray[Any] = values_BCHW.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return Download(values_BHWC.astype(dtype, copy=False))


def _beside(values_BHWC: Tensor) -> Download:
    """By a stream of its own, into memory that the device writes by itself."""
    stream = _stream(values_BHWC.device)
    stream.wait_stream(torch.cuda.current_stream(values_BHWC.device))
    with torch.cuda.stream(stream):
        here_BHWC = torch.empty(values_BHWC.shape, dtype=values_BHWC.dtype, pin_memory=True)
        here_BHWC.copy_(values_BHWC, non_blocking=True)
        done = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        done.record(stream)
    values_BHWC.record_stream(stream)  # its memory is not taken again before it is copied
    return Download(here_BHWC.numpy(), done)


@contextmanager
def beside_other_work(device: torch.device) -> Iterator[None]:
    """What a thread asks of a GPU inside waits for no other thread's work, and is done at the end."""
    if device.type != "cuda":
        yield
        return
    stream = _stream(device)
    with torch.cuda.stream(stream):
        yield
    stream.synchronize()


def hand_over(*tensors: Tensor | None) -> None:
    """To be called inside, with what others use later: its memory is not taken again before they have."""
    for each in tensors:
        if each is not None and each.is_cuda:
            each.record_stream(torch.cuda.default_stream(each.device))


def divided(values: Tensor, span: float) -> Tensor:
    """In place, exactly: by a mere number a GPU multiplies with the inverse, which may lose the last bit."""
    return values.div_(torch.full((), span, dtype=values.dtype, device=values.device))


def _stream(device: torch.device) -> torch.cuda.Stream:
    """One for each thread and device."""
    streams: dict[torch.device, torch.cuda.Stream] = _THREAD.__dict__.setdefault("streams", {})
    if device not in streams:
        streams[device] = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    return streams[device]
