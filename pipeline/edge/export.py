"""Restorers in the formats of other engines: fetched, exported, checked, written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from models import catalog
from models.edge.onnx_export import TOLERANCES, export_onnx
from models.image_generator import ImageGenerator
from models.names import unknown
from models.restorer import Restorer
from pipeline.errors import JobError
from pipeline.recipe.weights import fetch_part
from pipeline.storage.output_file import check_output_file, write_output

EXPORTS: dict[str, Callable[[Restorer, str], tuple[bytes, float]]] = {"onnx": export_onnx}
"""Format, which is the file's ending too -> of restorer and precision, content and difference."""


@dataclass(frozen=True)
class Exported:
    """What an export wrote."""

    file: Path
    size: int
    """In bytes."""
    difference: float
    """Largest, between the file's engine and PyTorch on the CPU, of values in [0, 1]."""


def export(weights: str, to: str, file: Path | None = None, precision: str = "float32") -> Exported:
    """Writes the restorer's network; by default as ``NAME.onnx`` in the current folder.

    ``weights`` is a name of the catalog, or a path or URL. ``JobError`` where they cannot be had, have no
    network, or have a layer that the format lacks; then nothing is written.
    """
    if precision not in TOLERANCES:
        raise JobError(f"--precision: {unknown('precision', precision, TOLERANCES)}")
    if to not in EXPORTS:
        raise JobError(f"--to: {unknown('format', to, EXPORTS)}")
    restorer = find_restorer(weights)
    half = "-float16" if precision == "float16" else ""
    target = file or Path(f"{restorer.card.name}{half}.{to}")
    check_output_file(target, f".{to}", [weights])
    try:
        content, difference = EXPORTS[to](restorer, precision)
    except ValueError as error:
        given = "" if weights == restorer.card.name else f"{weights}: "
        raise JobError(f"{given}{error}") from error
    write_output(target, content)
    return Exported(target, len(content), difference)


def find_restorer(weights: str) -> Restorer:
    """By name or address; ``JobError`` where there is none, or it is a generator."""
    try:
        part = catalog.find_part(weights, fetch_part)
    except ValueError as error:
        raise JobError(str(error)) from error
    if isinstance(part, ImageGenerator):
        raise JobError(f"{weights}: {part.card.name} generates images; give weights that restore them")
    return part
