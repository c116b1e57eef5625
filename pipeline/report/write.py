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

from pipeline.doors import FOLDER, door_of
from pipeline.formats import decode
from pipeline.formats.base import Limits
from pipeline.hashing import sha256_hex
from pipeline.imaging.image import Image
from pipeline.jobs.job import NO_DEGRADATION
from pipeline.ledger.run_folder import RunFolder
from pipeline.ledger.run_record import RunRecord
from pipeline.planning.plan_files import read_sources
from pipeline.privacy.naming import SourceLocator
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
from pipeline.report.upright import orientation_of, upright
from pipeline.report.worst import WorstExplained
from pipeline.results.statistics import compare
from pipeline.results.tables import read_report_rows, read_summary
from pipeline.units import Source

PAGE = "report/index.html"

MOST_PIXELS = 1 << 24
"""Larger images are not made again for a picture of a few hundred pixels."""
MOST_BYTES = 1 << 28
"""Larger files are not read for a picture."""


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
            [*WorstExplained(run, table, MOST_BYTES, MOST_PIXELS)(picks, explained)] if explained else [],
            doubted(run, table),
        )
    run.folder.put(PAGE, page.encode())
    return run.folder.uri(PAGE)


def remade(run: RunFolder, table: pa.Table, picks: Iterable[Pick]) -> Iterator[Sample]:
    """The picked images with the pixels of every restorer; those no longer readable are left out."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    processor = Processor(run.recipe, device)
    if run.job.is_paired:
        yield from PairedPictures(run, table, processor, MOST_BYTES, MOST_PIXELS)(picks)
        return
    wanted: dict[Named, list[Pick]] = {}
    for pick in picks:
        wanted.setdefault((pick.dataset, pick.key), []).append(pick)
    for loaded in _readable(run, wanted):
        outcomes = list(processor([loaded]))
        for pick in wanted[loaded.source.dataset, loaded.source.key]:
            degradation = pick.degradation or NO_DEGRADATION
            mine = [each for each in outcomes if each.degradation == degradation and each.case is not None]
            if mine:
                yield _sample(pick, loaded, mine, run.job.metrics)


def doubted(run: RunFolder, table: pa.Table) -> Iterator[DoubtPicture]:
    """Maps of the most doubtful images of a restore run; none where it has neither intervals nor flags."""
    if run.job.kind == "restore" and (run.job.has_uncertainty or run.job.flags):
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        processor = Processor(run.recipe, device, maps=True)
        yield from doubt_pictures(processor, _readable(run, most_doubtful(table)))


def _readable(run: RunFolder, names: Iterable[Named]) -> Iterator[Loaded]:
    """Those that may be shown and can still be read."""
    # Pixels can name a patient as well as a header can: names burnt in, faces.
    hidden = {each.name for each in run.job.datasets if each.private}
    shown = [each for each in names if each[0] not in hidden]
    places = _places(run, set(shown))
    for dataset, key in shown:
        loaded = _loaded(run, Source(dataset, key, -1, "", "", at=places.get((dataset, key), "")))
        if loaded is not None:
            yield loaded


def _places(run: RunFolder, wanted: set[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """What images of archives are read by; the key alone does for objects of a folder."""
    others = {each.name for each in run.job.datasets if door_of(each, each.uri) is not FOLDER}
    if not any(dataset in others for dataset, _ in wanted):
        return {}
    sources = ((each.dataset, each.key, each.at) for each in read_sources(run.folder))
    return {(dataset, key): at for dataset, key, at in sources if (dataset, key) in wanted}


def _loaded(run: RunFolder, source: Source) -> Loaded | None:
    try:
        archive, at = SourceLocator(run.job).locate(source)
        if archive.entry(at).size > MOST_BYTES:
            return None  # a scene: its pixels would be too many, once they were here
        data = archive.read(at)
        image = decode(data, Limits(min(MOST_PIXELS, run.job.limits.max_pixels)))
    except Exception:  # the page goes without a picture that cannot be had any more
        return None
    return Loaded(source, sha256_hex(data), len(data), image)


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
    names = ("restora", "torch", "ray", "numpy", "pillow", "imagecodecs", "scikit-image", "pyarrow")
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in names}


def _hardware() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{platform.machine()}, {os.cpu_count()} cores, no GPU"
