"""What other systems hear of a run, as Prefect events; ``conf/notify.yaml`` has automations that go by them.

Counts and addresses only: no names of images, which may be private.

Imports for types alone, or inside functions, keep torch out of the start-up of the scheduler.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from prefect import get_run_logger
from prefect.events import emit_event

from flows.pages import slug

if TYPE_CHECKING:
    from pipeline.jobs.job import Job
    from pipeline.results.tables import TableSummary
    from pipeline.results.verify import Verification

FINISHED = "restora.run.finished"
QUARANTINE = "restora.run.quarantine"


def tell(job: Job, table: TableSummary, verification: Verification, report: str) -> None:
    """One event that the run came to its end, and one more where images are quarantined."""
    facts = {
        "job": job.name,
        "kind": job.kind,
        "output": job.output,
        "report": report,
        "images": table.images,
        "rows": table.rows,
        "quarantined": table.images_quarantined,
        "quarantined_share": round(table.quarantined_share, 6),
        "whole": verification.is_whole,
    }
    _emit(FINISHED, job, facts)
    if table.images_quarantined:
        threshold = job.quarantine.threshold
        above = table.quarantined_share > threshold
        _emit(QUARANTINE, job, facts | {"threshold": threshold, "above_threshold": above})


def _emit(event: str, job: Job, facts: Mapping[str, Any]) -> None:
    resource = {
        "prefect.resource.id": f"restora.job.{slug(job.name)}",
        "prefect.resource.name": job.name,
        "restora.kind": job.kind,
        "restora.whole": str(facts["whole"]).lower(),
        "restora.above-threshold": str(facts.get("above_threshold", False)).lower(),
    }
    try:
        emit_event(event, resource, payload=dict(facts))
    except Exception as error:  # a server that takes no events must not stop a run that is done
        get_run_logger().warning("the event %s was not sent: %s", event, error)
