"""What precision, layout and compilation are worth on this device: ``python benchmarks/precision.py``.

Shipped restorers on noisy or small versions of generated images, each way beside float32 without TF32,
contiguous, eager: images a second, the difference of the mean PSNR against the clean image, and the largest
difference of any pixel. Networks of full size with random weights follow, for their speed alone.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial

import torch
from generated import generated
from torch import Tensor, nn

from models import catalog
from models.networks import NetworkModel, build_network

SHIPPED = ("ffdnet-colour", "nafnet-jpeg", "srvgg-x4")
FULL_SIZE = ("dncnn", "drunet", "nafnet", "swinir")
ROUNDS = 5


@dataclass(frozen=True)
class Way:
    """One way to run a network."""

    name: str
    tf32: bool = False
    dtype: torch.dtype | None = None
    layout: torch.memory_format = torch.contiguous_format
    compiled: bool = False
    searches: bool = False
    """Whether cuDNN tries its algorithms for a shape first."""


LAST = torch.channels_last
WAYS = (
    Way("float32"),
    Way("TF32", tf32=True),
    Way("TF32, channels_last", tf32=True, layout=LAST),
    Way("TF32, channels_last, cudnn.benchmark", tf32=True, layout=LAST, searches=True),
    Way("bfloat16, channels_last", tf32=True, dtype=torch.bfloat16, layout=LAST),
    Way("float16, channels_last", tf32=True, dtype=torch.float16, layout=LAST),
    Way("TF32, channels_last, compiled", tf32=True, layout=LAST, compiled=True),
)


def main() -> None:
    """A table for shipped restorers and one for full-size networks."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=100.0, help="after which no further way is begun")
    parser.add_argument("--full-size", nargs="*", default=list(FULL_SIZE), metavar="NETWORK")
    chosen = parser.parse_args()
    device, ends = torch.device(chosen.device), time.perf_counter() + chosen.seconds
    clean_BCHW = torch.stack([_as_tensor(number, chosen.side) for number in range(chosen.batch)]).to(device)
    print(f"{chosen.batch} images of {chosen.side} x {chosen.side}, torch {torch.__version__}\n")
    print("| network | way | images/s | x float32 | PSNR - float32's [dB] | largest difference |")
    print("| --- | --- | ---: | ---: | ---: | ---: |", flush=True)
    networks: list[tuple[str, Callable[[], tuple[nn.Module, tuple[Tensor, ...], Tensor | None]]]] = [
        *((name, partial(shipped, name, clean_BCHW)) for name in SHIPPED),
        *((name, partial(full_size, name, clean_BCHW)) for name in chosen.full_size),
    ]
    for name, build in networks:
        if time.perf_counter() > ends:
            print(f"| {name} | not begun: the time is over | | | | |")
            continue
        for line in lines(name, *build(), device, ends):
            print(line, flush=True)


def shipped(name: str, clean_BCHW: Tensor) -> tuple[nn.Module, tuple[Tensor, ...], Tensor | None]:
    """The network, its inputs and what it should give."""
    restorer = catalog.build(name)
    assert isinstance(restorer.model, NetworkModel)
    scale = restorer.card.scale or 1
    seen_BCHW = nn.functional.interpolate(clean_BCHW, scale_factor=1 / scale, mode="area")
    rng = torch.Generator().manual_seed(0)
    noise_BCHW = torch.randn(seen_BCHW.shape, generator=rng).to(clean_BCHW) * (25 / 255 if scale == 1 else 0)
    seen_BCHW = seen_BCHW + noise_BCHW
    levels = (torch.full((len(seen_BCHW),), 25 / 255).to(seen_BCHW),)
    return (
        restorer.model.network,
        (seen_BCHW, *(levels if "noise_level" in restorer.card.needs else ())),
        clean_BCHW,
    )


def full_size(name: str, clean_BCHW: Tensor) -> tuple[nn.Module, tuple[Tensor, ...], Tensor | None]:
    """A network with the weights it begins with, which restores nothing."""
    torch.manual_seed(0)
    network = build_network(name, {})
    levels = (torch.full((len(clean_BCHW),), 0.1).to(clean_BCHW),)
    return (
        network,
        (clean_BCHW, *(levels if "noise_level" in getattr(network, "conditions", ()) else ())),
        None,
    )


def lines(
    name: str,
    network: nn.Module,
    given: tuple[Tensor, ...],
    wanted: Tensor | None,
    device: torch.device,
    ends: float,
) -> Iterator[str]:
    """A line of the table for each way; a way that this device cannot go says so."""
    network = network.to(device).eval()
    first: tuple[float, Tensor] | None = None
    for way in WAYS:
        if time.perf_counter() > ends:
            yield f"| {name} | {way.name} | not begun: the time is over | | | |"
            return
        try:
            rate, restored_BCHW = measured(network, given, way, device)
        except Exception as error:
            yield f"| {name} | {way.name} | {type(error).__name__} | | | |"
            continue
        first = first or (rate, restored_BCHW)
        gain = "" if wanted is None else f"{psnr(restored_BCHW, wanted) - psnr(first[1], wanted):+.4f}"
        furthest = float((restored_BCHW - first[1]).abs().max())
        yield f"| {name} | {way.name} | {rate:.1f} | {rate / first[0]:.2f} | {gain} | {furthest:.2g} |"


@torch.inference_mode()
def measured(
    network: nn.Module, given: tuple[Tensor, ...], way: Way, device: torch.device
) -> tuple[float, Tensor]:
    """Images a second, the median of rounds after one that does not count; and what came out."""
    image_BCHW, *others = given
    network = network.to(memory_format=way.layout)
    image_BCHW = image_BCHW.contiguous(memory_format=way.layout)
    call: Callable[..., Tensor] = torch.compile(network) if way.compiled else network
    with matrix_precision(way), _autocast(way, device):
        restored_BCHW = call(image_BCHW, *others)
        call(image_BCHW, *others)
        _finish(device)
        times = []
        for _ in range(ROUNDS):
            started = time.perf_counter()
            call(image_BCHW, *others)
            _finish(device)
            times.append(time.perf_counter() - started)
    return len(image_BCHW) / statistics.median(times), restored_BCHW.float()


@contextmanager
def matrix_precision(way: Way) -> Iterator[None]:
    """TF32 and the search for algorithms as the way says, and then as they were."""
    before = (
        torch.backends.cudnn.allow_tf32,
        torch.backends.cuda.matmul.allow_tf32,
        torch.backends.cudnn.benchmark,
    )
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = way.tf32
    torch.backends.cudnn.benchmark = way.searches
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32, searched = before
        torch.backends.cudnn.benchmark = searched


def _autocast(way: Way, device: torch.device) -> AbstractContextManager[object]:
    return nullcontext() if way.dtype is None else torch.autocast(device.type, way.dtype)


def psnr(restored_BCHW: Tensor, clean_BCHW: Tensor) -> float:
    """dB, the mean over the images."""
    error_B = (restored_BCHW.clamp(0, 1) - clean_BCHW).square().mean(dim=(1, 2, 3))
    return float((-10 * error_B.log10()).mean())


def _as_tensor(number: int, side: int) -> Tensor:
    return torch.from_numpy(generated(number, side)).permute(2, 0, 1).float() / 255


def _finish(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
