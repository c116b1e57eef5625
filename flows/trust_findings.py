"""What a restore run found out about results without a reference, in a few lines: floors, intervals, flags.

Imports inside functions keep torch out of the start-up of the scheduler.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pipeline.wording import number_of

if TYPE_CHECKING:
    from pipeline.ledger.run_folder import RunFolder


def trust_findings(run_folder: RunFolder) -> Iterator[str]:
    """Sentences of the report's, and why images have no floor, intervals or flags; no image is named."""
    from pipeline.report.doubts import doubts_of
    from pipeline.report.floors import floors_of
    from pipeline.results.tables import read_report_rows

    job = run_folder.job
    if job.kind != "restore" or not (job.estimates_psnr or job.has_uncertainty or job.flags):
        return
    table = read_report_rows(run_folder)
    if (floors := floors_of(table)) is not None:
        yield floors.sentence
        yield from _reasons("no floor", floors.without)
    doubts = doubts_of(table, [])
    for kind in () if doubts is None else doubts.kinds:
        yield kind.sentence
        yield from _reasons(kind.unsaid.lower(), kind.without)


def _reasons(what: str, without: Sequence[tuple[str, int, str]]) -> Iterator[str]:
    for code, images, example in without:
        yield f"  {what}: {number_of(images, 'image')}, {code}" + (f": {example}" if example else "")
