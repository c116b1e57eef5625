"""Scores of sequences whose frames are images of their own, beside those that each frame has in the tables.

Frames are read again, two at a time, and in luma; frames without a reference, damaged or of another size than
the one before are left out with the pairs that they are in, and counted.

Shapes: 1 image, T frames (2), H and W height and width.
"""

from __future__ import annotations

import io
import math
import re
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from pipeline.errors import JobError
from pipeline.imaging.radiometry import to_tensor
from pipeline.jobs.frames import FrameRule
from pipeline.ledger.run_folder import RunFolder
from pipeline.metrics import METRICS
from pipeline.metrics.luma import full_range_planes
from pipeline.planning.plan_files import read_sources
from pipeline.privacy.naming import SourceLocator
from pipeline.processing.cases import Loaded
from pipeline.units import Source
from pipeline.worker.loading import Loader

SEQUENCE_TABLE = "tables/sequences.parquet"
_PAIR = ("temporal_error", "flow_error")
CPU = torch.device("cpu")


@dataclass(frozen=True)
class SequenceScore:
    """One sequence of one folder."""

    restorer: str
    """The folder, as the tables call it."""
    scene: str
    frames: int
    """That could be compared."""
    left_out: int
    psnr_worst_frame: float
    """In dB, of luma; NaN where no frame could be compared, as the others."""
    temporal_error: float
    """What flickers, root mean square over pairs of frames, as a fraction of the range."""
    flow_error: float
    """Mean distance of the motion from the reference's, in pixels."""


@dataclass
class _Sums:
    """What is kept of a sequence while its frames go by."""

    worst: float = math.inf
    frames: int = 0
    left_out: int = 0
    pairs: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in _PAIR})


def score_sequences(run: RunFolder, rule: FrameRule) -> list[SequenceScore]:
    """Of every group of keys that the rule makes of a finished run's sources; written as ``SEQUENCE_TABLE``.

    ``JobError`` where the rule has no times or matches no key, and for private datasets, whose keys are none.
    """
    if not rule.has_times:
        raise JobError("--group: a sequence needs an order: a group (?P<t>...) in the rule")
    if any(each.private for each in run.job.datasets):
        raise JobError("--group: keys of private datasets say nothing of an order; leave it out")
    loader = Loader(run.job, SourceLocator(run.job))
    scores = [_score(loader, *names, frames) for names, frames in _sequences(run, rule)]
    if not scores:
        raise JobError(f"--group: {rule.match} matches no key of the restored images")
    run.folder.put(SEQUENCE_TABLE, _written(scores))
    return scores


def means_of(scores: Sequence[SequenceScore]) -> dict[str, dict[str, float]]:
    """Folder -> score -> mean over its sequences; NaN where there is none."""
    means: dict[str, dict[str, float]] = {}
    for restorer, some in groupby(scores, lambda each: each.restorer):
        columns = [asdict(each) for each in some]
        means[restorer] = {
            name: _mean([each[name] for each in columns if not math.isnan(each[name])])
            for name in ("psnr_worst_frame", *_PAIR)
        }
    return means


def _sequences(run: RunFolder, rule: FrameRule) -> Iterator[tuple[tuple[str, str], list[Source]]]:
    """Folder and scene, and its sources in order of time."""
    pattern = re.compile(rule.match or "")
    found: list[tuple[str, str, int, Source]] = []
    for source in read_sources(run.folder):
        matched = pattern.fullmatch(source.key)
        if matched is not None and matched["t"].isdecimal():
            found.append((source.dataset, matched["scene"], int(matched["t"]), source))
    found.sort(key=lambda each: each[:3])
    for names, some in groupby(found, lambda each: each[:2]):
        yield names, [each[3] for each in some]


def _score(loader: Loader, restorer: str, scene: str, sources: Sequence[Source]) -> SequenceScore:
    sums = _Sums()
    before: tuple[Tensor, Tensor] | None = None
    for source in sources:
        planes = _planes(loader.load(source))
        sums.left_out += planes is None
        if planes is not None:
            sums.frames += 1
            sums.worst = min(sums.worst, _psnr(*planes))
            _add_pair(sums, before, planes)
        before = planes
    worst = sums.worst if sums.frames else math.nan
    pairs = sums.pairs
    rms = _mean([each * each for each in pairs["temporal_error"]]) ** 0.5
    return SequenceScore(restorer, scene, sums.frames, sums.left_out, worst, rms, _mean(pairs["flow_error"]))


def _add_pair(sums: _Sums, before: tuple[Tensor, Tensor] | None, now: tuple[Tensor, Tensor]) -> None:
    if before is None or before[0].shape != now[0].shape:
        return
    restored_1THW, reference_1THW = (torch.cat(both, 1) for both in zip(before, now, strict=True))
    for name, found in sums.pairs.items():
        value = float(METRICS[name](restored_1THW, reference_1THW, None))
        if not math.isnan(value):
            found.append(value)


def _planes(loaded: Loaded | Exception) -> tuple[Tensor, Tensor] | None:
    """Luma of the frame and of its reference, 11HW; the reference where it does not count, in both."""
    if isinstance(loaded, Exception) or loaded.reference is None or loaded.reference.scale != 1:
        return None
    restored_11HW, reference_11HW = (
        full_range_planes(to_tensor(each, CPU))[:, :1] for each in (loaded.image, loaded.reference.image)
    )
    height, width = reference_11HW.shape[-2:]
    restored_11HW = restored_11HW[..., :height, :width]
    counts_HW = loaded.reference.image.valid_HW
    if counts_HW is not None:
        restored_11HW = torch.where(torch.from_numpy(np.asarray(counts_HW)), restored_11HW, reference_11HW)
    return restored_11HW, reference_11HW


def _psnr(restored_11HW: Tensor, reference_11HW: Tensor) -> float:
    return float(METRICS["psnr"](restored_11HW, reference_11HW, None))


def _mean(values: Sequence[float]) -> float:
    return statistics.fmean(values) if values else math.nan


def _written(scores: Sequence[SequenceScore]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist([asdict(each) for each in scores]), file)
    return file.getvalue()
