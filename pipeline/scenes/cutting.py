"""Which planned sources are scenes, and into which strips they are cut: by their headers alone.

The cut is part of the plan and not of the recipe: it changes no pixel. The same header and job give the
same cut, so that strips which are done stay done.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache, cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.errors import ImageError
from pipeline.formats import FORMATS
from pipeline.formats.base import Limits
from pipeline.formats.geotiff.directory import BYTE_ORDERS
from pipeline.formats.geotiff.format import GeoTiff
from pipeline.formats.raster import MAGIC_BYTES, Raster, driver_of
from pipeline.ledger.committed import Committed
from pipeline.ledger.identities import contains
from pipeline.ledger.run_folder import RunFolder
from pipeline.ledger.strips import StripLedger
from pipeline.privacy.naming import SourceLocator
from pipeline.privacy.probing import probe
from pipeline.scenes.blocks import WORK, delete_below
from pipeline.scenes.geometry import strip_cuts
from pipeline.scenes.reader import Scene
from pipeline.storage.folder import Folder
from pipeline.units import Source, StripTask, Unit, make_unit

_PIXELS_A_BYTE = 8
"""A file with fewer bytes is not looked into: a raster of more pixels a byte is all but empty."""
_BLOCK_SAMPLES = 1 << 27
"""Samples that one row of the file's blocks may have: what reading holds."""
_READERS = 8
_SCENES = (*GeoTiff.extensions, *Raster.extensions)


@cache
def _others() -> tuple[str, ...]:
    """Endings of objects that are not looked into: most archives are large photographs."""
    return tuple({end for each in FORMATS.values() for end in each.extensions}.difference(_SCENES))


class ScenePlan:
    """``split(units)`` takes the scenes out of planned units and gives them their own."""

    def __init__(self, run: RunFolder) -> None:
        self._run, self._job, self._folder = run, run.job, run.folder
        self._recipe_id = run.recipe_id
        self._locator = SourceLocator(run.job)
        self._least_bytes = run.job.resources.scene_pixels // _PIXELS_A_BYTE
        self._found: set[str] = set()

    def may_be_among(self, units: pa.RecordBatch) -> NDArray[np.bool_]:
        """For each row of the units' file whether ``split`` has to look at it."""
        mask = np.zeros(len(units), bool)
        large = np.asarray(pc.greater_equal(units["sources"].flatten().field("size"), self._least_bytes))
        if large.any() and self._streams:
            mask[np.unique(np.asarray(pc.list_parent_indices(units["sources"]))[large])] = True
        return mask

    def split(self, units: Iterator[Unit]) -> Iterator[Unit]:
        """Each unit without its scenes, if anything is left of it; then their strips, or the assembly."""
        for unit in units:
            yield from self._split(unit)

    def _split(self, unit: Unit) -> Iterator[Unit]:
        scenes = self._scenes_of(unit)
        rest = [source for source in unit.sources if source.source_id not in scenes]
        if not scenes:
            yield unit
        elif rest:
            yield make_unit(self._recipe_id, unit.attempt, rest)
        for source in unit.sources:
            if source.source_id in scenes:
                self._found.add(source.source_id)
                yield from self._units(source, unit.attempt, scenes[source.source_id])

    def clean(self, committed: Committed) -> None:
        """Removes what a run that was killed left of scenes that are done."""
        leftovers = sorted(self._leftovers)
        for source_id, is_done in zip(leftovers, contains(committed.done, leftovers), strict=True):
            if is_done and source_id not in self._found:
                delete_below(self._folder, f"{WORK}/{source_id}")

    def _units(self, source: Source, attempt: int, whole: StripTask) -> Iterator[Unit]:
        assembly = make_unit(self._recipe_id, attempt, [source])
        ids = {strip: strip.unit_id(assembly.unit_id) for strip in whole.strips}
        left = [strip for strip in whole.strips if ids[strip] not in self._done]
        for strip in left:
            yield Unit(ids[strip], attempt, (source,), strip)
        if not left:
            yield Unit(assembly.unit_id, attempt, (source,), whole.assembly)

    def _scenes_of(self, unit: Unit) -> dict[str, StripTask]:
        candidates = [source for source in unit.sources if self._may_be_scene(source)]
        if not candidates or not self._streams:
            return {}
        with ThreadPoolExecutor(_READERS) as pool:
            found = pool.map(self._cut, candidates)
            return {s.source_id: cut for s, cut in zip(candidates, found, strict=True) if cut is not None}

    def _may_be_scene(self, source: Source) -> bool:
        is_large = source.size >= self._least_bytes and not source.key.lower().endswith(_others())
        return is_large and not source.group and not source.bundle and not self._has_condition(source)

    def _has_condition(self, source: Source) -> bool:
        """Whether more is known of it than a strip would be told."""
        attached = self._locator.attached(source)
        return bool(attached.mask or attached.guide or attached.frames) or attached.noise_level is not None

    def _cut(self, source: Source) -> StripTask | None:
        """How a source is cut; nothing for what is no scene. Raises ``StorageError``, as ``probe`` does."""
        scene = self._opened(source)
        if scene is None:
            return None
        height, width = scene.size
        bands = len(scene.header.bands)
        if (
            height * width <= self._job.resources.scene_pixels
            or scene.block_rows * width * bands > _BLOCK_SAMPLES
        ):
            return None
        return StripTask(strip_cuts(height, width, bands, self._job.resources.strip_samples))

    def _opened(self, source: Source) -> Scene | None:
        """The source as a scene; nothing where it is none, or where its own row will say what is wrong."""
        archive, at = self._locator.locate(source)
        place = archive.place(at)
        if place is None:
            return None
        return probe(source, lambda: self._scene_at(*place), "whether it is a scene")

    def _scene_at(self, folder: Folder, key: str) -> Scene | None:
        """The scene; raises what the store raises, or ``READ_FAILED`` for it."""
        if not self._may_be_raster(folder.head(key, MAGIC_BYTES)):
            return None
        try:
            return Scene(folder, key, Limits(self._job.limits.max_scene_pixels))
        except ImageError as error:
            if error.reason == "READ_FAILED":
                raise
            return None

    def _may_be_raster(self, head: bytes) -> bool:
        """Whether a GeoTIFF may come of it: from one as it is, from others where the job says so."""
        if self._job.output_format == GeoTiff.name and driver_of(head) is not None:
            return True
        return head[:2] in BYTE_ORDERS

    @cached_property
    def _streams(self) -> bool:
        """Whether this job's scenes can be done strip by strip."""
        if self._job.kind != "restore" or self._job.output_format not in (None, GeoTiff.name):
            return False
        if any(each.mask or each.operators or each.guide for each in self._job.datasets):
            return False  # a mask, the kernel of a whole image, or its guide
        return all(built.restorer.card.tile_exact for built in self._run.recipe.restorers)

    @cached_property
    def _done(self) -> frozenset[str]:
        return StripLedger(self._folder, self._recipe_id).unit_ids()

    @cached_property
    def _leftovers(self) -> set[str]:
        return {key.split("/")[1] for key in self._folder.keys(WORK, ".raw")}
