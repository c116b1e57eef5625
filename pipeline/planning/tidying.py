"""What a killed run leaves behind: cleared by the next one, where it is provably nobody's."""

from __future__ import annotations

from pipeline.ledger.attempts import Attempts
from pipeline.ledger.run_folder import RunFolder
from pipeline.ledger.run_record import BEGUN
from pipeline.storage.scratch import clear_parts, clear_scratch


def clear_litter(run: RunFolder, *, unplanned: set[str], is_whole_plan: bool) -> None:
    """Removes leftovers of a killed run, if there was one; the lease on the output must be held.

    Half-written files here and beside restored images, folders for temporary files on this machine, and
    counts of attempts at the units ``unplanned``, which were begun and are not in the plan: where it holds
    all that is left they are committed, or their sources are gone.
    """
    clear_scratch()  # a run may have been killed before it began anything, in the middle of its planning
    if unplanned:
        Attempts(run.folder).forget(unplanned if is_whole_plan else run.ledger.unit_ids() & unplanned)
    if not run.folder.exists(BEGUN):
        return
    for folder in (run.folder, run.layout.folder):
        if folder.is_local:
            clear_parts(folder.root)
