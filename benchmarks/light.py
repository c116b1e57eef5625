"""Networks with half of their channels, beside the whole ones: loss on sets of images, speed on this machine.

``python -m benchmarks.light TRAIN --sets Set12=FOLDER ... --method prune --minutes 3 ffdnet-grey srvgg-x4``
trains each by ``restora compress``'s own function, without Ray and Prefect, and prints a row for each network
and set: whole images, PSNR of all channels after the degradation that is usual for it. ``--out`` keeps the
weights; one that is there is measured again without training. On a machine with other work believe the
speeds of one thread.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from models.catalog import build
from pipeline.edge.compress import compress
from pipeline.edge.compressed import Images, Limits, Retraining
from pipeline.edge.measures import measured_speedup, scorer_of
from pipeline.recipe.weights import fetch_restorer


def main() -> None:
    """Prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("train")
    parser.add_argument("networks", nargs="+")
    parser.add_argument("--sets", nargs="+", required=True, metavar="NAME=FOLDER")
    parser.add_argument("--method", default="prune")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--keep", type=float, default=0.5)
    parser.add_argument("--importance", default="taylor")
    parser.add_argument("--set", action="append", default=[], dest="recipe", metavar="PATH=VALUE")
    parser.add_argument("--degradation")
    parser.add_argument("--device")
    parser.add_argument("--out", type=Path, default=Path("out/light"))
    chosen = parser.parse_args()
    sets = dict(each.split("=", 1) for each in chosen.sets)
    print(f"| network | weights | times the whole | {' | '.join(sets)} |", flush=True)
    print(f"| --- | --- | --- |{' --- |' * len(sets)}", flush=True)
    for name in chosen.networks:
        print(row(name, sets, chosen), flush=True)


def row(name: str, sets: dict[str, str], chosen: argparse.Namespace) -> str:
    """Trained where it is not there yet, and measured."""
    file = chosen.out / f"{name}-{chosen.method}.safetensors"
    if not file.exists():
        how = Retraining(
            chosen.keep, chosen.minutes, None, chosen.importance, tuple(chosen.recipe), chosen.device
        )
        images = Images(chosen.train, chosen.degradation, 4, 256, next(iter(sets.values())))
        compress(name, chosen.method, images, file, Limits(99.0, 0.0), how)
    whole, light = build(name), fetch_restorer(str(file))
    cells = []
    for folder in sets.values():
        score = scorer_of(Images(folder, chosen.degradation, 100, None), whole.card)
        before, after = score(whole), score(light)
        cells.append(f"{after:.2f} ({after - before:+.2f})")
    speeds = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        speeds.append(f"{measured_speedup(whole, light):.2f}")
    weights = [sum(each.numel() for each in one.model.parameters()) for one in (light, whole)]  # type: ignore[attr-defined]
    return f"| `{name}` | {weights[0]:,} of {weights[1]:,} | {', '.join(speeds)} | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
