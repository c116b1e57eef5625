"""Pictures of pairs for the report: fetched and restored again, each with its reference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.imaging.image import Image
from pipeline.ledger.run_folder import RunFolder
from pipeline.planning.plan_files import read_sources_named
from pipeline.privacy.naming import SourceLocator
from pipeline.processing.cases import Loaded, Outcome
from pipeline.processing.processor import Processor
from pipeline.report.display import Display
from pipeline.report.pixels import Pixels
from pipeline.report.sample import Pick, Sample
from pipeline.report.upright import orientation_of, upright
from pipeline.units import Source
from pipeline.worker.loading import Loader


@dataclass(frozen=True)
class PairedPictures:
    """``for sample in pictures(picks)``: those that can still be had, and whose pixels may be shown."""

    run: RunFolder
    table: pa.Table
    processor: Processor
    most_bytes: int
    most_pixels: int

    def __call__(self, picks: Iterable[Pick]) -> Iterator[Sample]:
        """In the order of the picks."""
        wanted = [(pick, self._source_ids(pick)) for pick in picks]
        sources = {
            each.source_id: each
            for each in read_sources_named(self.run.folder, {one for _, ids in wanted for one in ids})
            # Pixels can name a patient as well as a header can.
            if not each.sealed and each.size <= self.most_bytes
        }
        limits = self.run.job.limits.model_copy(
            update={"max_pixels": min(self.most_pixels, self.run.job.limits.max_pixels)}
        )
        job = self.run.job.model_copy(update={"limits": limits})
        loader = Loader(job, SourceLocator(job))
        for pick, ids in wanted:
            images = [self._loaded(loader, sources[each]) for each in ids if each in sources]
            outcomes = [one for loaded in images if loaded for one in self.processor([loaded])]
            if usable := [each for each in outcomes if each.case is not None and each.error is None]:
                yield self._sample(pick, usable)

    def _source_ids(self, pick: Pick) -> list[str]:
        rows = self.table.filter(
            pc.and_(pc.equal(self.table["dataset"], pick.dataset), pc.equal(self.table["key"], pick.key))
        )
        return sorted(set(rows["source_id"].to_pylist()))

    @staticmethod
    def _loaded(loader: Loader, source: Source) -> Loaded | None:
        fetched = loader.fetch(source)
        loaded = fetched if isinstance(fetched, Exception) else loader.decode(source, fetched)
        return loaded if isinstance(loaded, Loaded) else None

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
            degraded_HWC=None if self.run.job.scores_only else picture(case.degraded_image()),
            restored={name: picture(image) for name, image in made.items()},
            note=shown.note,
            scores={name: self._scores(each) for each in outcomes for name in self._restored(each)},
        )

    def _restored(self, outcome: Outcome) -> Mapping[str, Image]:
        """What was restored, here or elsewhere, under the name that the table has for it."""
        if self.run.job.scores_only:
            assert outcome.case is not None
            return {outcome.loaded.source.dataset: outcome.case.model}
        return {} if outcome.restored is None else {outcome.restorer: outcome.restored}

    def _scores(self, outcome: Outcome) -> dict[str, float]:
        metrics = self.run.job.metrics
        return {name: outcome.fields[name] for name in metrics if outcome.fields.get(name) is not None}
