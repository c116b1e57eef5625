"""What a killed run leaves behind: cleared by the next one, where it is provably nobody's."""

from __future__ import annotations

from pathlib import PurePosixPath

from pipeline.ledger.attempts import ATTEMPTS, Attempts
from pipeline.ledger.run_folder import RunFolder
from pipeline.ledger.run_record import BEGUN
from pipeline.planning.plan_files import read_units
from pipeline.storage.scratch import clear_parts, clear_scratch


def clear_litter(run: RunFolder, *, is_whole_plan: bool) -> None:
    """Removes leftovers of a killed run, if there was one; the lease on the output must be held.

    Half-written files here and beside restored images, folders for temporary files on this machine, and
    counts of attempts at units that are committed or, where the plan holds all that is left, not in it.
    """
    if not run.folder.exists(BEGUN):
        return
    clear_scratch()
    for folder in (run.folder, run.layout.folder):
        if folder.is_local:
            clear_parts(folder.root)
    _clear_attempts(run, is_whole_plan=is_whole_plan)


def _clear_attempts(run: RunFolder, *, is_whole_plan: bool) -> None:
    counted = {PurePosixPath(key).name for key in run.folder.keys(ATTEMPTS)}
    if not counted:
        return
    planned = {unit.unit_id for unit in read_units(run.folder)}
    attempts = Attempts(run.folder)
    for unit_id in counted - planned:
        if is_whole_plan or run.folder.exists(run.ledger.key(unit_id)):
            attempts.end(unit_id)
