"""What there is to say of a run that came to its end, in one line each.

Imports for types alone, or inside functions, keep torch out of the start-up of the scheduler.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from pipeline.errors import REASONS
from pipeline.wording import number_of

if TYPE_CHECKING:
    from collections import Counter

    from pipeline.jobs.job import Job
    from pipeline.results.tables import TableSummary
    from pipeline.results.verify import Verification

NO_EXAMPLES: Mapping[str, str] = MappingProxyType({})


def counts_of(verification: Verification) -> str:
    """``20 sources = 19 ok + 1 quarantined, 19 objects read back``."""
    counts = f"{verification.ok:,} ok + {verification.quarantined:,} quarantined"
    sources, objects = number_of(verification.sources, "source"), number_of(verification.objects, "object")
    return f"{sources} = {counts}, {objects} read back"


def too_many_quarantined(job: Job, table: TableSummary) -> str | None:
    """What to say where more images are quarantined than the job allows; ``None`` where not."""
    if table.quarantined_share <= job.quarantine.threshold:
        return None
    return (
        f"{table.images_quarantined:,} of {table.images:,} images ({table.quarantined_share:.1%}) are "
        f"quarantined, more than quarantine.threshold of the job allows ({job.quarantine.threshold:.1%}); "
        f"all others are done. The reasons are in the report; when the cause is gone: "
        f"restora retry {shlex.quote(job.output)}"
    )


def explained(reasons: Counter[str], examples: Mapping[str, str] = NO_EXAMPLES) -> Iterator[str]:
    """A line for each quarantine reason, the most frequent first, with the key of an image that is given.

    Logs of a scheduler get none, and no key is told of what turned out to be medical: it may name a patient.
    """
    for reason, count in reasons.most_common():
        is_told = reason in examples and reason != "NOT_PRIVATE"
        such = f" ({'for example ' if count > 1 else ''}{examples[reason]})" if is_told else ""
        yield f"{count:>7,} x {reason}: {REASONS.get(reason, 'unknown reason')}{such}"
