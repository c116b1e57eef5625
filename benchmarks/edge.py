"""Shipped networks as ONNX: how near to PyTorch, how large, how fast: ``python -m benchmarks.edge``.

Each goes through ``restora export``'s own function, or was exported before: ``--exported FOLDER`` takes
NAME.onnx from there, which spares minutes for networks of frames. Then PyTorch, compiled PyTorch and
onnxruntime restore one image of 256 x 256 in turns (of frames, one among five), with as many threads each, so
that what else runs here meets all alike. Medians of the rounds. On a machine that does other work too only
ratios mean anything, best with one thread: that is timed by its processor time, which others do not lengthen.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from models.catalog import build
from models.edge.onnx_export import export_onnx, largest_difference, probe
from models.edge.onnx_model import build_from_onnx
from models.restorer import Restorer
from models.weights import SHIPPED

SIDE = 256


def main() -> None:
    """Prints a row for each network."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="*", default=[each for each in SHIPPED if "dcgan" not in each])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--exported", type=Path, metavar="FOLDER", help="With NAME.onnx of some of them.")
    parser.add_argument("--no-compile", action="store_true", help="Without compiled PyTorch: no C++ needed.")
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    print("| network | MB | largest difference | PyTorch, images/s | compiled | onnxruntime |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in chosen.only:
        restorer = build(name)
        content, difference = exported(restorer, name, chosen.exported)
        ways = {"torch": restorer, "onnx": build_from_onnx(content)}
        if not chosen.no_compile:
            ways["compiled"] = copy.deepcopy(restorer)
            ways["compiled"].compile()
        clock = time.process_time if chosen.threads == 1 else time.perf_counter
        seconds = timed({way: call_of(each) for way, each in ways.items()}, chosen.rounds, clock)
        rates = [
            f"{1 / seconds[way]:.2f} ({seconds['torch'] / seconds[way]:.2f} x)" if way in seconds else "-"
            for way in ("torch", "compiled", "onnx")
        ]
        print(f"| `{name}` | {len(content) / 1e6:.2f} | {difference:.1e} | {' | '.join(rates)} |", flush=True)


def exported(restorer: Restorer, name: str, folder: Path | None) -> tuple[bytes, float]:
    """The network as ONNX, out of the folder where it is there, and the largest difference from PyTorch."""
    if folder is None or not (folder / f"{name}.onnx").exists():
        return export_onnx(restorer)
    content = (folder / f"{name}.onnx").read_bytes()
    return content, largest_difference(restorer, build_from_onnx(content))


def call_of(restorer: Restorer) -> Callable[[], object]:
    """Restores one image of the network's kind."""
    image_BCHW, condition = probe(restorer.card, 1, SIDE, SIDE, 1)
    return lambda: restorer(image_BCHW, condition=condition)


def timed(
    calls: dict[str, Callable[[], object]], rounds: int, clock: Callable[[], float]
) -> dict[str, float]:
    """Median seconds of each, in turns."""
    found: dict[str, list[float]] = {way: [] for way in calls}
    for call in calls.values():
        call()
    for _ in range(rounds):
        for way, call in calls.items():
            started = clock()
            call()
            found[way].append(clock() - started)
    return {way: statistics.median(each) for way, each in found.items()}


if __name__ == "__main__":
    main()
