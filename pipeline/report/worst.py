"""The worst images of a run explained, where somebody asks for it: each costs seconds to minutes on a CPU."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import torch

from models.contract import RestorerError
from pipeline.errors import JobError
from pipeline.imaging.radiometry import to_stored
from pipeline.insight.explanation import explain
from pipeline.ledger.run_folder import RunFolder
from pipeline.planning.plan_files import read_sources_named
from pipeline.privacy.naming import SourceLocator
from pipeline.processing.cases import Case, Loaded
from pipeline.processing.processor import Processor
from pipeline.processing.told import shared_condition
from pipeline.recipe.recipe import BuiltRestorer
from pipeline.report.display import Display
from pipeline.report.explained import show
from pipeline.report.explained_image import ExplainedImage
from pipeline.report.sample import Pick
from pipeline.worker.loading import Loader

RESTORERS = 3
"""At most so many are explained on an image, the first of the job."""


@dataclass(frozen=True)
class WorstExplained:
    """``explained(picks)``: the worst of the picks under the job's restorers; others are passed over.

    So are images that cannot be had any more, those that may identify someone, and restorers through which
    no gradient flows.
    """

    run: RunFolder
    table: pa.Table
    most_bytes: int
    most_pixels: int

    def __call__(self, picks: Iterable[Pick], count: int) -> Iterator[ExplainedImage]:
        """Of the first ``count`` images."""
        processor = Processor(self.run.recipe, torch.device("cpu"))
        degradations = {each.name: each for each in self.run.recipe.degradations}
        for pick in [each for each in picks if each.rank == "worst"][:count]:
            loaded = self._loaded(pick)
            case = None if loaded is None else processor.degraded(loaded, degradations.get(pick.degradation))
            if not isinstance(case, Case):
                continue
            for built in self.run.recipe.restorers[:RESTORERS]:
                if (found := _explained(pick, case, built)) is not None:
                    yield found

    def _loaded(self, pick: Pick) -> Loaded | None:
        rows = self.table.filter(
            pc.and_(pc.equal(self.table["dataset"], pick.dataset), pc.equal(self.table["key"], pick.key))
        )
        limits = self.run.job.limits.model_copy(update={"max_pixels": self.most_pixels})
        job = self.run.job.model_copy(update={"limits": limits})
        loader = Loader(job, SourceLocator(job))
        for source in read_sources_named(self.run.folder, set(rows["source_id"].to_pylist())):
            if source.sealed or source.size > self.most_bytes:
                continue
            fetched = loader.fetch(source)
            loaded = fetched if isinstance(fetched, Exception) else loader.decode(source, fetched)
            if isinstance(loaded, Loaded):
                return loaded
        return None


def _explained(pick: Pick, case: Case, built: BuiltRestorer) -> ExplainedImage | None:
    image_1CHW, told = case.degraded.image_BCHW, shared_condition([case], built)
    assert told is not None, "one image always has one condition"
    try:
        found = explain(built.restorer, image_1CHW, told)
        restored_1CHW = built.restorer(image_1CHW.clone(), condition=told)
    except (RestorerError, JobError):
        return None
    shown = Display.of(case.reference)
    restored = case.reference.with_pixels(to_stored(restored_1CHW, case.model.domain)[0])
    title = f"{pick.key}, {pick.degradation}, {built.name}"
    return show(title, found, shown(case.degraded_image()), shown(restored), shown.note)
