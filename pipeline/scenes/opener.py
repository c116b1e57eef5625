"""A unit's scene, opened: the object that was listed, and no other."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import numpy as np

from pipeline.doors.archive import said_of
from pipeline.errors import ImageError
from pipeline.formats.base import Limits
from pipeline.formats.geotiff.format import GeoTiff
from pipeline.imaging.image import Domain, Image, Metadata
from pipeline.imaging.radiometry import in_units
from pipeline.jobs.job import Job, Radiometry
from pipeline.privacy.naming import SourceLocator
from pipeline.quarantine import read_failure
from pipeline.scenes.reader import Scene
from pipeline.units import Unit


@dataclass(frozen=True)
class SceneOpener:
    """Where the scenes of a job lie, and what their numbers mean."""

    job: Job
    locator: SourceLocator

    def open(self, unit: Unit) -> Scene:
        """The scene of a unit. Raises ``ImageError``, with ``CHANGED`` where it is another version.

        Strips are done at different times: two halves of two versions would make an image of neither.
        """
        (source,) = unit.sources
        archive, at = self.locator.locate(source)
        place = archive.place(at)
        assert place is not None, "the plan cuts whole objects alone"
        try:
            now = archive.entry(at)
        except Exception as error:
            raise read_failure(error) from error
        # By its identity, for the plan holds no version of a private object.
        listed = self.locator.identify(source.dataset, now)
        if now.size != source.size or (now.version and listed.source_id != source.source_id):
            raise ImageError("CHANGED", "another object than the one that was listed; run the job again")
        limits = self.job.limits
        is_strip = unit.strip is not None and not unit.strip.is_assembly
        seconds = limits.decode_seconds if is_strip else inf  # to assemble takes longer, the larger it is
        return Scene(*place, Limits(limits.max_scene_pixels), seconds, said_of(archive, at))

    def radiometry(self, unit: Unit) -> Radiometry | None:
        """As the job says it for the dataset."""
        name = unit.sources[0].dataset
        return next(each.radiometry for each in self.job.datasets if each.name == name)

    def domain(self, unit: Unit, scene: Scene) -> Domain:
        """What the stored numbers mean; raises as ``in_units``."""
        domain = scene.header.domain(scene.dtype)
        nothing = Image(np.empty((0, 0, 0), scene.dtype), domain, Metadata(GeoTiff.name))
        return in_units(nothing, self.radiometry(unit)).domain
