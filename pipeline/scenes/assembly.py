"""Assembly: what the strips committed becomes one file and one row."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from pipeline.errors import ImageError
from pipeline.formats import FORMATS
from pipeline.formats.geotiff.format import GeoTiff, signed
from pipeline.formats.geotiff.mosaic import write_mosaic
from pipeline.formats.geotiff.scale import scaled
from pipeline.formats.grid import Grid
from pipeline.hashing import sha256_of
from pipeline.imaging.image import Provenance
from pipeline.jobs.job import NO_DEGRADATION
from pipeline.ledger.row_builder import RowBuilder
from pipeline.ledger.run_folder import RunFolder
from pipeline.ledger.schema import IN_STRIPS, OK, TRUST_REASONS, Row, schema_of
from pipeline.quarantine import StagedError, quarantine_columns
from pipeline.recipe.recipe import BuiltRestorer
from pipeline.scenes.block_codec import BlockCodec
from pipeline.scenes.blocks import Blocks, named_by
from pipeline.scenes.opener import SceneOpener
from pipeline.scenes.output import Output
from pipeline.scenes.reader import Scene
from pipeline.scenes.score_totals import ScoreTotals
from pipeline.scenes.scoring import Scoring, scored_in_strips
from pipeline.scenes.strip_statistics import StripStatistics
from pipeline.storage.scratch import scratch
from pipeline.units import Unit
from pipeline.version import code_version


@dataclass(frozen=True)
class Assembly:
    """``assembly(unit, strips, device)`` writes the output of a scene; the scene's row, scores included.

    Everything but the commit.
    """

    run: RunFolder
    opener: SceneOpener
    built: BuiltRestorer
    row: RowBuilder
    threads: int = 1

    def __call__(self, unit: Unit, strips: Sequence[Row], device: torch.device) -> Row:
        """Never raises: a scene that fails is a row too. ``strips`` are the rows of all of them."""
        row, started = self.base(unit), time.perf_counter()
        try:
            scene = self.opener.open(unit)
            height, width = scene.size
            row |= {"height": height, "width": width, "channels": len(scene.header.channels)}
            row |= {"dtype": scene.dtype, "source_bytes": scene.bytes, "source_sha256": scene.sha256()}
            row |= self._described(unit, scene, strips)
            rectangles = [each for strip in strips for each in named_by(strip)]
            with scratch("scene") as place:
                blocks = Blocks(self.run.folder, unit).fetch(rectangles, place)
                output = Output(blocks, BlockCodec.of(scene))
                row |= self._scores(unit, scene, strips, output, device)
                row |= self._stored(unit, scene, output, row["source_sha256"], place / "scene.tif")
        except Exception as error:
            return row | quarantine_columns(error)
        seconds = sum(strip["seconds"] for strip in strips) + time.perf_counter() - started
        return row | self._untrusted() | {"status": OK, "seconds": seconds, "message": self._unscored()}

    def base(self, unit: Unit) -> Row:
        """The columns that are known before."""
        return self.row(unit.sources[0], unit, NO_DEGRADATION, self.built.name)

    def _unscored(self) -> str | None:
        """Which scores the row does not have, where the job wants them."""
        had = scored_in_strips(self.run.job)
        names = [name for name in self.run.job.metrics if name not in had]
        names += ["psnr_estimate"] if self.run.job.estimates_psnr else []
        names += ["uncertainty"] if self.run.job.has_uncertainty else []
        names += ["flags"] if self.run.job.flags else []
        return f"no {' and no '.join(names)}: not available for a scene in strips" if names else None

    def _untrusted(self) -> Row:
        """Why the row has no floor, intervals and flags, where the job wants them."""
        schema = schema_of(self.run.job)
        return {reason: IN_STRIPS for reason in TRUST_REASONS.values() if reason in schema.names}

    def _described(self, unit: Unit, scene: Scene, strips: Sequence[Row]) -> Row:
        """What the pixels were and what was done to them; raises what makes the scene fail as a whole."""
        for strip in strips:
            if strip["status"] != OK:
                where = f"rows {strip['first_row']} to {strip['last_row'] - 1}"
                raise StagedError(strip["reason"], strip["stage"], f"{where}: {strip['message']}")
        statistics = StripStatistics.merged(StripStatistics.from_json(strip["sums"]) for strip in strips)
        if statistics.valid == 0:
            raise ImageError("ALL_NODATA", "not one pixel of the raster holds data in every band")
        if found := statistics.fault():
            raise StagedError(found.reason, "restore", f"{self.built.name} gave {found.what}")
        known = [json.loads(strip["condition"]).items() for strip in strips]
        domain = self.opener.domain(unit, scene)
        return {
            "data_low": domain.low,
            "data_high": domain.high,
            "data_range_rule": domain.rule,
            "nodata_share": 1.0 - statistics.valid / statistics.pixels,
            "clipped_pixels": statistics.clipped,
            "condition": json.dumps(
                {key: value for each in known for key, value in each} | {"strips": len(strips)}
            ),
        }

    def _scores(
        self, unit: Unit, scene: Scene, strips: Sequence[Row], output: Output, device: torch.device
    ) -> Row:
        """What the strips said, and of the windows across them what is still to be said."""
        metrics = scored_in_strips(self.run.job)
        scale = output.size[0] // scene.size[0]
        scoring = Scoring(scene, scale, self.opener.radiometry(unit), device, metrics)
        done = [ScoreTotals.from_json(strip["scores"]) for strip in strips if strip.get("scores")]
        # A strip of an older version may have had other bands, or none: all of its rows are scored again.
        done = [each for each in done if set(each.bands).issubset(scoring.bands)]
        bands = {band for each in done for band in each.bands}
        totals = scoring(output, [band for band in scoring.bands if band not in bands])
        for each in done:
            totals.merge(each, metrics)
        return totals.scores(metrics)

    def _stored(self, unit: Unit, scene: Scene, output: Output, source_sha256: str, path: Path) -> Row:
        recipe_id, layout = self.run.recipe_id, self.run.layout
        made = Provenance(self.built.name, self.built.sha256, recipe_id, source_sha256, code_version())
        key = layout.restored(unit.sources[0], NO_DEGRADATION, self.built.name, GeoTiff.extensions)
        self._write(path, scene, output, made)
        with path.open("rb") as file:
            digest, count = sha256_of(file)
        try:
            key = layout.outlet.put(unit.sources[0], key, path)
        except Exception as error:
            raise StagedError.of_writing(error) from error
        return {"output_uri": key, "output_sha256": digest, "output_bytes": count}

    def _write(self, path: Path, scene: Scene, output: Output, made: Provenance) -> None:
        header = signed(scaled(scene.header, Grid.between(scene.size, output.size)), made)
        format = FORMATS[GeoTiff.name]
        assert isinstance(format, GeoTiff)
        write_mosaic(
            path,
            output.blocks,
            header,
            scene.dtype,
            mask=scene.has_mask,
            level=format.level,
            threads=self.threads,
        )
