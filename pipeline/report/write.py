"""Makes a run's report: picks images, makes their pixels again, writes the page.

Degradations replay from their seeds, so the pictures are those that were scored, whether or not the job
kept its objects.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import torch

from pipeline.formats.turning import orientation_of, upright
from pipeline.imaging.image import Image
from pipeline.jobs.job import NO_DEGRADATION
from pipeline.ledger.run_folder import RunFolder
from pipeline.ledger.run_record import RunRecord
from pipeline.processing.cases import Loaded, Outcome
from pipeline.processing.processor import Processor
from pipeline.report.attention import focus
from pipeline.report.display import Display
from pipeline.report.doubt_picture import DoubtPicture, Named
from pipeline.report.doubt_pictures import doubt_pictures
from pipeline.report.doubts import most_doubtful
from pipeline.report.page import build_page
from pipeline.report.paired_pictures import PairedPictures
from pipeline.report.pixels import Pixels
from pipeline.report.reproduce import commands
from pipeline.report.run_provenance import RunProvenance
from pipeline.report.sample import RANKS, Pick, Sample, pick_samples
from pipeline.report.shown_images import ShownImages
from pipeline.report.worst import WorstExplained
from pipeline.results.statistics import compare
from pipeline.results.tables import read_report_rows, read_summary
from pipeline.version import code_version

PAGE = "report/index.html"


def write_report(run: RunFolder, *, explained: int = 0) -> str:
    """Writes ``report/index.html`` from the tables; returns its address.

    ``explained``: of how many of the worst images the page is to show what they were made of.
    """
    table, summary = read_report_rows(run), read_summary(run)
    metric = run.job.metrics[0] if run.job.metrics else None
    picked_by = focus(run.job.metrics) if run.job.kind == "restore" else metric
    picks = pick_samples(table, picked_by)
    if run.job.kind == "restore":
        picks.sort(key=lambda pick: (pick.dataset, -RANKS.index(pick.rank)))  # what moved most in front
    with ThreadPoolExecutor(1, thread_name_prefix="samples") as beside:
        # The pictures are made while the figures are drawn, which come first.
        samples = [beside.submit(lambda: list(remade(run, table, picks)))]
        page = build_page(
            table,
            summary,
            compare(table, metric) if metric else None,
            (each for made in samples for each in made.result()),
            _provenance(run, quarantined=pc.any(pc.not_equal(table["status"], "ok")).as_py() or False),
            [*WorstExplained(run, ShownImages(run, table))(picks, explained)] if explained else [],
            doubted(run, table),
        )
    run.folder.put(PAGE, page.encode())
    return run.folder.uri(PAGE)


def remade(run: RunFolder, table: pa.Table, picks: Iterable[Pick]) -> Iterator[Sample]:
    """The picked images with the pixels of every restorer; those no longer readable are left out."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    processor = Processor(run.recipe, device)
    images = ShownImages(run, table)
    if run.job.is_paired:
        yield from PairedPictures(run.job, processor, images)(picks)
        return
    wanted: dict[Named, list[Pick]] = {}
    for pick in picks:
        wanted.setdefault((pick.dataset, pick.key), []).append(pick)
    for name, loaded in images(wanted):
        outcomes = list(processor([loaded]))
        for pick in wanted[name]:
            degradation = pick.degradation or NO_DEGRADATION
            mine = [each for each in outcomes if each.degradation == degradation and each.case is not None]
            if mine:
                yield _sample(pick, loaded, mine, run.job.metrics)


def doubted(run: RunFolder, table: pa.Table) -> Iterator[DoubtPicture]:
    """Maps of the most doubtful images of a restore run; none where it has neither intervals nor flags."""
    if run.job.kind == "restore" and (run.job.has_uncertainty or run.job.flags):
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        processor = Processor(run.recipe, device, maps=True)
        images = ShownImages(run, table)(most_doubtful(table))
        yield from doubt_pictures(processor, (loaded for _, loaded in images))


def _sample(pick: Pick, loaded: Loaded, outcomes: list[Outcome], metrics: tuple[str, ...]) -> Sample:
    restored = {each.restorer: each.restored for each in outcomes if each.restored is not None}
    case = outcomes[0].case
    assert case is not None
    shown = Display.of(case.reference)
    orientation = orientation_of(loaded.image)

    def picture(image: Image) -> Pixels:
        return upright(shown(image), orientation)

    return Sample(
        dataset=pick.dataset,
        key=pick.key,
        degradation=pick.degradation,
        rank=pick.rank,
        # A restore run has no reference: what it was given is all there is.
        reference_HWC=None if pick.degradation == NO_DEGRADATION else picture(case.reference),
        degraded_HWC=picture(case.degraded_image()),
        restored={name: picture(image) for name, image in restored.items()},
        note=shown.note,
        scores={each.restorer: _scores(each, metrics) for each in outcomes if each.restored is not None},
    )


def _scores(outcome: Outcome, metrics: tuple[str, ...]) -> dict[str, float]:
    return {name: outcome.fields[name] for name in metrics if outcome.fields.get(name) is not None}


def _provenance(run: RunFolder, quarantined: bool) -> RunProvenance:
    record = RunRecord.read(run.folder)
    facts: dict[str, Any] = {}
    if record is not None:
        facts = {
            "engine": record.engine,
            "started_at": record.started_at,
            "finished_at": record.finished_at,
            "seconds": record.seconds,
            "rows_done": record.images * len(run.recipe.combinations),
        }
    return RunProvenance(
        commands=commands(run.job, quarantined), versions=_versions(), hardware=_hardware(), **facts
    )


def _versions() -> dict[str, str]:
    names = ("torch", "ray", "numpy", "pillow", "imagecodecs", "scikit-image", "pyarrow")
    ours = {"python": platform.python_version(), "restora": code_version()}
    return ours | {name: _version(name) for name in names}


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:  # a run in this process needs no Ray
        return "-"


def _hardware() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{platform.machine()}, {os.cpu_count()} cores, no GPU"
