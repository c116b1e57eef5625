"""The worst images of a run explained, where somebody asks for it: each costs seconds to minutes on a CPU."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch

from models.contract import RestorerError
from pipeline.errors import JobError
from pipeline.imaging.radiometry import to_stored
from pipeline.insight.explanation import explain
from pipeline.ledger.run_folder import RunFolder
from pipeline.processing.cases import Case
from pipeline.processing.processor import Processor
from pipeline.processing.told import shared_condition
from pipeline.recipe.recipe import BuiltRestorer
from pipeline.report.display import Display
from pipeline.report.explained import show
from pipeline.report.explained_image import ExplainedImage
from pipeline.report.sample import Pick
from pipeline.report.shown_images import ShownImages

RESTORERS = 3
"""At most so many are explained on an image, the first of the job."""


@dataclass(frozen=True)
class WorstExplained:
    """``explained(picks)``: the worst of the picks under the job's restorers; others are passed over.

    So are images that cannot be had any more, those that may identify someone, and restorers through which
    no gradient flows.
    """

    run: RunFolder
    images: ShownImages

    def __call__(self, picks: Iterable[Pick], count: int) -> Iterator[ExplainedImage]:
        """Of the first ``count`` images."""
        processor = Processor(self.run.recipe, torch.device("cpu"))
        degradations = {each.name: each for each in self.run.recipe.degradations}
        worst = [each for each in picks if each.rank == "worst"][:count]
        for name, loaded in self.images((each.dataset, each.key) for each in worst):
            for pick in (each for each in worst if (each.dataset, each.key) == name):
                case = processor.degraded(loaded, degradations.get(pick.degradation))
                if isinstance(case, Case):
                    yield from self._explained(pick, case)

    def _explained(self, pick: Pick, case: Case) -> Iterator[ExplainedImage]:
        for built in self.run.recipe.restorers[:RESTORERS]:
            if (found := _explained(pick, case, built)) is not None:
                yield found


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
