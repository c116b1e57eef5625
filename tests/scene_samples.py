"""Scenes for the tests: small ones that are done in strips, beside the same done whole."""

from dataclasses import dataclass

import numpy as np
import rasterio
from skimage import data as photographs

from pipeline.jobs.job import Job
from pipeline.ledger.run_folder import open_run
from pipeline.ledger.schema import Row
from pipeline.storage.folder import Folder
from pipeline.units import Source, StripTask, Unit, make_unit
from pipeline.worker.worker import Worker
from tests.geotiff_samples import geotiff
from tests.helpers import restore, source_of

TILED = {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "DEFLATE"}


def ground(bands: int, dtype: str, height: int, width: int) -> np.ndarray:
    """A photograph's texture as CHW bands, repeated where it ends, a different part for every band."""
    camera = photographs.camera().astype(np.float64)
    whole = np.tile(camera, (height // 512 + 2, width // 512 + 2))
    stack = np.stack([whole[31 * i : 31 * i + height, 17 * i : 17 * i + width] for i in range(bands)])
    if dtype == "float32":
        return (stack / 255 * 0.6 + 0.01).astype(dtype)
    step, first = {"uint8": (1, 0), "uint16": (100, 3), "int16": (37, -900)}[dtype]
    return (stack * step + first).astype(dtype)


def holes(samples_CHW: np.ndarray, value: float) -> np.ndarray:
    """A large hole, a thin one and single pixels, in one band and in all of them."""
    height, width = samples_CHW.shape[1:]
    samples_CHW = samples_CHW.copy()
    samples_CHW[:, height // 4 : height // 2, width // 5 : width // 2] = value
    samples_CHW[0, height // 2 + 9, ::3] = value
    samples_CHW[-1, :: height // 7, width // 3] = value
    return samples_CHW


def _masked() -> np.ndarray:
    mask_HW = np.full((240, 310), 255, np.uint8)
    mask_HW[60:130, 40:200] = 0
    return mask_HW


def _transparent(dataset) -> None:
    dataset.colorinterp = [rasterio.enums.ColorInterp(each) for each in (3, 4, 5, 6)]


KINDS = {
    "none": lambda: geotiff(ground(4, "uint16", 240, 310), **TILED),
    "nodata": lambda: geotiff(holes(ground(2, "int16", 240, 310), -9999), nodata=-9999),
    "nan": lambda: geotiff(holes(ground(2, "float32", 240, 310), np.nan), compress="ZSTD"),
    "mask": lambda: geotiff(ground(1, "uint8", 240, 310), mask=_masked(), **TILED),
    "opacity": lambda: geotiff(np.concatenate([ground(3, "uint8", 240, 310), _masked()[None]]), _transparent),
    "striped": lambda: geotiff(ground(2, "uint16", 240, 310), interleave="band"),
    "big-endian": lambda: geotiff(ground(2, "int16", 240, 310), ENDIANNESS="BIG", BIGTIFF="YES"),
}
"""How a file may lie and say where it holds no data -> its bytes, 240 x 310 pixels."""


@dataclass
class Archive:
    """One scene in a folder, and a job on it."""

    job: Job
    worker: Worker
    source: Source

    @classmethod
    def of(cls, folder, data: bytes, output: str, **fields) -> "Archive":
        """``fields`` are those of the job."""
        source = Folder(str(folder / "in"))
        source.put("scene.tif", data)
        job = restore(source.url, folder / output, **fields)
        listed = source_of("photos", source, source.entry("scene.tif"))
        return cls(job, Worker(open_run(job)), listed)

    @property
    def scene_unit(self) -> Unit:
        """The unit that commits the scene's row."""
        return make_unit(self.worker.recipe.recipe_id, 0, [self.source])

    def units(self, *cuts: int) -> list[Unit]:
        """The strips between these rows."""
        whole = self.scene_unit.unit_id
        return [Unit(strip.unit_id(whole), 0, (self.source,), strip) for strip in StripTask(cuts).strips]

    def whole(self) -> tuple[Row, bytes]:
        """The scene as any other image: its row and its file."""
        (row,) = self.worker(self.scene_unit)
        return row, self._file(row)

    def in_strips(self, *cuts: int) -> tuple[Row, bytes]:
        """The scene in strips between these rows."""
        *before, (row,) = [self.worker(unit) for unit in self.units(*cuts)]
        assert not any(before), "only the last strip completes the scene"
        return row, self._file(row)

    def _file(self, row: Row) -> bytes:
        return Folder(self.job.output).read("scene.tif") if row["status"] == "ok" else b""
