"""The worst images of a run explained, where somebody asks for it: each costs seconds to minutes on a CPU."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch

from models.contract import RestorerError
from pipeline.errors import JobError
from pipeline.ledger.run_folder import RunFolder
from pipeline.processing.cases import Case
from pipeline.processing.processor import Processor
from pipeline.recipe.recipe import BuiltRestorer
from pipeline.report.explained_case import explain_case
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
    try:
        return explain_case(case, built, f"{pick.key}, {pick.degradation}, {built.name}")[1]
    except (RestorerError, JobError):
        return None
