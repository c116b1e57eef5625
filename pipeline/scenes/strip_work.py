"""What a unit of one strip does, from the source to its row: everything but the commit."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import torch

from models.contract import Condition
from pipeline.jobs.job import Radiometry
from pipeline.ledger.run_folder import RunFolder
from pipeline.ledger.schema import OK, Row
from pipeline.processing.auto_tiled_restorer import AutoTiledRestorer
from pipeline.quarantine import StagedError, quarantine_columns
from pipeline.recipe.recipe import BuiltRestorer
from pipeline.scenes import blocks
from pipeline.scenes.block_codec import BlockCodec
from pipeline.scenes.blocks import Blocks, Rectangle
from pipeline.scenes.geometry import Range
from pipeline.scenes.noise import estimated
from pipeline.scenes.opener import SceneOpener
from pipeline.scenes.output import Output
from pipeline.scenes.panel import Panels
from pipeline.scenes.reader import Scene
from pipeline.scenes.scoring import Scoring, scored_in_strips
from pipeline.scenes.strip import restore_strip
from pipeline.storage.scratch import scratch
from pipeline.units import Unit
from pipeline.version import code_version


@dataclass(frozen=True)
class StripWork:
    """``strip(unit)`` restores the rows of a strip and leaves them as blocks; its row."""

    run: RunFolder
    opener: SceneOpener
    built: BuiltRestorer
    fitted: AutoTiledRestorer
    device: torch.device
    device_name: str

    def __call__(self, unit: Unit) -> Row:
        """Never raises: a strip that fails is a row too."""
        assert unit.strip is not None
        row, started = self.base(unit), time.perf_counter()
        try:
            scene = self.opener.open(unit)
            work, known = self._panels(scene, self.opener.radiometry(unit))
            store = Blocks(self.run.folder, unit)
            rectangles = restore_strip(work, unit.strip.rows, _putting(store))
            scores = self._scores(work, unit.strip.rows, store, rectangles)
        except Exception as error:
            return row | quarantine_columns(error)
        return row | {
            "status": OK,
            "sums": work.statistics.to_json(),
            "scores": scores,
            "condition": json.dumps(known | work.known),
            "blocks": blocks.to_json(rectangles),
            "seconds": time.perf_counter() - started,
        }

    def base(self, unit: Unit) -> Row:
        """The columns that every strip has."""
        assert unit.strip is not None
        first, last = unit.strip.rows
        return {
            "source_id": unit.sources[0].source_id,
            "unit_id": unit.unit_id,
            "attempt": unit.attempt,
            "first_row": first,
            "last_row": last,
            "device": self.device_name,
            "code_version": code_version(),
            "finished_at": datetime.now(UTC),
        }

    def _scores(
        self, work: Panels, rows: Range, store: Blocks, rectangles: Sequence[Rectangle]
    ) -> str | None:
        """What this strip alone can say of the scene's scores; nothing where none are wanted."""
        metrics = scored_in_strips(self.run.job)
        if not metrics:
            return None
        scoring = Scoring(work.scene, work.scale, work.radiometry, self.device, metrics)
        with scratch("strip") as place:
            blocks = store.fetch(rectangles, place)
            output = Output(blocks, BlockCodec.of(work.scene))
            return scoring(output, scoring.within(rows)).to_json()

    def _panels(self, scene: Scene, radiometry: Radiometry | None) -> tuple[Panels, Row]:
        """The work on panels, and what is known to the restorer, for the row."""
        condition, known = Condition(), Row()
        if (given := self.built.spec.noise_level) is not None:
            condition = Condition(noise_level_B=torch.full((1,), given / 255))
            known = {"noise_level": "given"}
        elif "noise_level" in self.built.restorer.card.needs:
            level_B, windows = estimated(scene, radiometry, self.device)
            condition = Condition(noise_level_B=level_B)
            if windows != 1:
                known = {"noise_level": f"estimated: median of {windows} windows"}
        return Panels(scene, self.fitted, radiometry, condition, self.device), known


def _putting(store: Blocks) -> Callable[[Rectangle, bytes], None]:
    def put(where: Rectangle, data: bytes) -> None:
        try:
            store.put(where, data)
        except Exception as error:
            raise StagedError.of_writing(error) from error

    return put
