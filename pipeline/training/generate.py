"""Images out of a generator's weights: PNG files, and a sheet of all of them."""

from __future__ import annotations

import io
from collections.abc import Sequence

import PIL.Image
from PIL.PngImagePlugin import PngInfo

from models import catalog
from models.image_generator import ImageGenerator
from pipeline.errors import FolderNotFound, JobError, describe
from pipeline.recipe.weights import fetch_part
from pipeline.storage.folder import Folder
from pipeline.training.engines.local import device_of
from pipeline.training.run_log import composed
from pipeline.training.validation.generator import ACROSS, displayed, generated
from pipeline.training.validation.restorer import Pixels

SHEET = "sheet.png"
_MARK = "restora generate"
"""Stands in every file, so that the same command again may write over them."""
_MARKED_WITHIN = 128
"""Bytes from the beginning of a file."""


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
    width = len(str(max(9999, count - 1)))
    names = [f"{index:0{width}d}.png" for index in range(count)]
    _check_free(folder, [*names, SHEET])
    batches = generated(generator.to(chosen), count, seed, chosen)
    pictures = [displayed(image) for batch in batches for image in batch]
    rows = tuple(tuple(pictures[first : first + ACROSS]) for first in range(0, count, ACROSS))
    try:
        for name, picture in zip([*names, SHEET], [*pictures, composed(rows)], strict=True):
            folder.put(name, _png(picture))
    except OSError as error:
        raise JobError(f"{out}: cannot be written to: {describe(error)}") from error
    return folder.uri(SHEET)


def _check_free(folder: Folder, names: Sequence[str]) -> None:
    """``JobError`` where one of the files is there that no such command wrote: it may be an original."""
    wanted = set(names)
    try:
        found = [entry.key for page in folder.pages() for entry in page if entry.key in wanted]
    except FolderNotFound:
        return
    for key in found:
        if _MARK.encode() not in folder.head(key, _MARKED_WITHIN):
            raise JobError(f"{folder.uri(key)}: is there, and no image of restora generate; give another OUT")


def _png(picture: Pixels) -> bytes:
    buffer, info = io.BytesIO(), PngInfo()
    info.add_text("Software", _MARK)
    image = PIL.Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture)
    image.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()
