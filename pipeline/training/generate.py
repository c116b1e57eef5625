"""Images out of a generator's weights: PNG files, and a sheet of all of them."""

from __future__ import annotations

import io

import PIL.Image

from models import catalog
from models.image_generator import ImageGenerator
from pipeline.errors import JobError
from pipeline.recipe.weights import fetch_part
from pipeline.storage.folder import Folder
from pipeline.training.engines.local import device_of
from pipeline.training.run_log import composed
from pipeline.training.validation.generator import ACROSS, displayed, generated
from pipeline.training.validation.restorer import Pixels

SHEET = "sheet.png"


def generate(
    weights: str, out: str, *, count: int, seed: int, profile: str | None = None, device: str | None = None
) -> str:
    """Writes ``OUT/0000.png`` ... and ``OUT/sheet.png``; returns the sheet's address.

    ``weights`` is a path, any fsspec URL, or the name of a shipped generator. The first images of a seed
    are the same, but for rounding, whatever their number. ``JobError`` where the weights cannot be fetched
    or are no generator's.
    """
    try:
        generator = catalog.find_part(weights, fetch_part)
    except ValueError as error:
        raise JobError(str(error)) from error
    if not isinstance(generator, ImageGenerator):
        raise JobError(
            f"{weights}: {generator.card.name} restores images and generates none; "
            f"to restore: restora restore SOURCE DEST --restorer {weights}"
        )
    chosen, folder = device_of(device), Folder(out, profile)
    batches = generated(generator.to(chosen), count, seed, chosen)
    pictures = [displayed(image) for batch in batches for image in batch]
    width = len(str(max(9999, count - 1)))
    for index, picture in enumerate(pictures):
        folder.put(f"{index:0{width}d}.png", _png(picture))
    rows = tuple(tuple(pictures[first : first + ACROSS]) for first in range(0, count, ACROSS))
    folder.put(SHEET, _png(composed(rows)))
    return folder.uri(SHEET)


def _png(picture: Pixels) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture).save(buffer, "PNG")
    return buffer.getvalue()
