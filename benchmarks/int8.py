"""What int8 costs and gains, by how many layers stay float32, with fitted layers and without.

``python -m benchmarks.int8 TRAIN --sets validate=FOLDER Set12=FOLDER --kept 0 1 2 -- ffdnet-grey`` takes what
``restora compress --method int8`` would take, and prints a row for each try: the layers in int8, the speed of
one thread beside float32 in onnxruntime by its processor time, and the PSNR lost on whole images of each set
by each degradation. ``--side`` measures on the middle of them. Fitting takes half a minute to some minutes.
"""

from __future__ import annotations

import argparse

import torch

from models.catalog import build
from models.edge.int8 import fits_of, int8_layers, quantised
from models.edge.onnx_export import export_onnx
from models.edge.onnx_model import build_from_onnx
from models.edge.slopes import with_one_slope
from pipeline.edge.compressed import Images
from pipeline.edge.int8 import calibration_of
from pipeline.edge.measures import measured_speedup, scorer_of


def main() -> None:
    """Prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("train")
    parser.add_argument("networks", nargs="+")
    parser.add_argument("--sets", nargs="+", required=True, metavar="NAME=FOLDER")
    parser.add_argument("--degradations", nargs="+", default=["awgn-15", "awgn-25", "awgn-50"])
    parser.add_argument("--kept", nargs="+", type=int, default=[0, 1], help="Layers of each end in float32.")
    parser.add_argument("--side", type=int, help="Only the middle so many pixels of each image.")
    parser.add_argument("--threads", type=int, default=1)
    chosen = parser.parse_args()
    torch.set_num_threads(chosen.threads)
    columns = [f"{each.partition('=')[0]} {by}" for each in chosen.sets for by in chosen.degradations]
    print(f"| network | int8 layers | times float32 | {' | '.join(columns)} |", flush=True)
    print(f"| --- | --- | --- |{' --- |' * len(columns)}", flush=True)
    for name in chosen.networks:
        measure(name, chosen)


def measure(name: str, chosen: argparse.Namespace) -> None:
    """The rows of a network: all layers rounded each by itself, then fitted ones."""
    content = with_one_slope(export_onnx(build(name))[0])
    plain, layers = build_from_onnx(content), int8_layers(content)
    calibration = calibration_of(content, plain.card, Images(chosen.train))
    scores = [
        scorer_of(Images(each.partition("=")[2], by, 100, chosen.side), plain.card)
        for each in chosen.sets
        for by in chosen.degradations
    ]
    before = [score(plain) for score in scores]
    for kept in (None, *chosen.kept):
        ends = kept or 0
        keep = [*layers[:ends], *layers[len(layers) - ends :]]
        fits = {} if kept is None else fits_of(content, calibration, keep)
        light = build_from_onnx(quantised(content, calibration, keep, fits))
        lost = [f"{each - score(light):.2f}" for each, score in zip(before, scores, strict=True)]
        how = f"{len(layers) - len(keep)} of {len(layers)}{', fitted' if fits else ''}"
        speed = measured_speedup(plain, light)
        print(f"| `{name}` | {how} | {speed:.2f} | {' | '.join(lost)} |", flush=True)


if __name__ == "__main__":
    main()
