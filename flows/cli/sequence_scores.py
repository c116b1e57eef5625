"""What ``restora score --group`` adds: scores of sequences, computed when those of the frames are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flows.addresses import absolute
from flows.cli.console import OUT, say
from pipeline.wording import number_of

if TYPE_CHECKING:
    from pipeline.jobs.frames import FrameRule
    from pipeline.jobs.job import Job


def rule_of(match: str) -> FrameRule:
    """``JobError`` where it is none."""
    from pydantic import ValidationError

    from pipeline.errors import JobError
    from pipeline.jobs.frames import FrameRule

    try:
        return FrameRule(match=match)
    except ValidationError as error:
        raise JobError(f"--group: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from None


def show_sequences(job: Job, rule: FrameRule) -> None:
    """A line for each folder; the sequences themselves are in the table."""
    from pipeline.ledger.run_folder import open_run
    from pipeline.results.sequences import SEQUENCE_TABLE, means_of, score_sequences

    with OUT.status("sequences"):
        opened = open_run(absolute(job))
        scores = score_sequences(opened, rule)
    for folder, means in means_of(scores).items():
        some = [each for each in scores if each.restorer == folder]
        left_out = sum(each.left_out for each in some)
        shown = ", ".join(f"{name} {value:.4g}" for name, value in means.items())
        missing = f"; {number_of(left_out, 'frame')} left out" if left_out else ""
        say(f"{folder}: {number_of(len(some), 'sequence')}, {shown}{missing}")
    say(f"sequences {opened.folder.uri(SEQUENCE_TABLE)}")
