"""Pictures of pairs for the report: fetched and restored again, each with its reference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

from pipeline.formats.turning import orientation_of, upright
from pipeline.imaging.image import Image
from pipeline.jobs.job import Job
from pipeline.processing.cases import Outcome
from pipeline.processing.processor import Processor
from pipeline.report.display import Display
from pipeline.report.doubt_picture import Named
from pipeline.report.pixels import Pixels
from pipeline.report.sample import Pick, Sample
from pipeline.report.shown_images import ShownImages


@dataclass(frozen=True)
class PairedPictures:
    """``for sample in pictures(picks)``: those that can still be had, and whose pixels may be shown."""

    job: Job
    processor: Processor
    images: ShownImages

    def __call__(self, picks: Iterable[Pick]) -> Iterator[Sample]:
        """Image by image, in the order of the first pick of each."""
        wanted: dict[Named, list[Pick]] = {}
        for pick in picks:
            wanted.setdefault((pick.dataset, pick.key), []).append(pick)
        for name, found in groupby(self.images(wanted), key=itemgetter(0)):
            outcomes = [one for _, loaded in found for one in self.processor([loaded])]
            if usable := [each for each in outcomes if each.case is not None and each.error is None]:
                yield from (self._sample(pick, usable) for pick in wanted[name])

    def _sample(self, pick: Pick, outcomes: list[Outcome]) -> Sample:
        case = outcomes[0].case
        assert case is not None
        shown, orientation = Display.of(case.reference), orientation_of(case.loaded.image)

        def picture(image: Image) -> Pixels:
            return upright(shown(image), orientation)

        made = {name: image for each in outcomes for name, image in self._restored(each).items()}
        return Sample(
            dataset=pick.dataset,
            key=pick.key,
            degradation=pick.degradation,
            rank=pick.rank,
            reference_HWC=picture(case.reference),
            degraded_HWC=None if self.job.scores_only else picture(case.degraded_image()),
            restored={name: picture(image) for name, image in made.items()},
            note=shown.note,
            scores={name: self._scores(each) for each in outcomes for name in self._restored(each)},
        )

    def _restored(self, outcome: Outcome) -> Mapping[str, Image]:
        """What was restored, here or elsewhere, under the name that the table has for it."""
        if self.job.scores_only:
            assert outcome.case is not None
            return {outcome.loaded.source.dataset: outcome.case.model}
        return {} if outcome.restored is None else {outcome.restorer: outcome.restored}

    def _scores(self, outcome: Outcome) -> dict[str, float]:
        metrics = self.job.metrics
        return {name: outcome.fields[name] for name in metrics if outcome.fields.get(name) is not None}
