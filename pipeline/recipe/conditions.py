"""Whether what a job tells of its images is what its restorers ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from models.card import Card
from pipeline.conditions.given import Given
from pipeline.errors import JobError
from pipeline.jobs.job import Job

_NEEDS = {
    "mask": "to know which pixels are holes",
    "operators": "to know what blurred the images",
    "frames": "other frames of each scene",
    "guide": "a sharper image of each scene",
}
_OPTIONS = {"mask": "--mask", "operators": "--kernel", "guide": "--guide"}


def check_conditions(
    job: Job,
    restorers: Sequence[tuple[str, Card]],
    given: Mapping[str, Given],
    has_guide: Sequence[bool] = (),
) -> None:
    """``JobError`` where a restorer of this name and card is not told what it needs, or what has no effect.

    ``has_guide``: of each degradation, whether it makes a guide.
    Of images that nobody here degraded no more is known than their pixels, and what the job tells.
    """
    if job.degradations:
        _check_guides(job, restorers, given, has_guide)
        return
    for index, (name, card) in enumerate(restorers):
        for need in card.needs:
            _refuse_untold(job, given, need, f'restorers[{index}]: "{name}"')
        # What is told as operators keeps the size, and a guide gives it.
        if card.scale is None and not {"operators", "guide"} & {*card.needs} and not job.is_paired:
            raise JobError(
                f'restorers[{index}]: "{name}" enlarges by the scale of a degradation, which a '
                'restore run does not know; choose one with a scale of its own, such as "srvgg-x4"'
            )
    _refuse_unused(job, [card for _, card in restorers], given)


def _check_guides(
    job: Job, restorers: Sequence[tuple[str, Card]], given: Mapping[str, Given], has_guide: Sequence[bool]
) -> None:
    """A degradation leaves a dataset's guide alone, or makes one; restorers that need one need either."""
    for index, (name, card) in enumerate(restorers):
        for each in job.datasets:
            if "guide" in card.needs and "guide" not in given[each.name].names and not all(has_guide):
                raise JobError(
                    f'restorers[{index}]: "{name}" needs {_NEEDS["guide"]}; give datasets[].guide of '
                    f'"{each.name}", or a degradation that makes one: wald-x2'
                )
    used = {name for _, card in restorers for name in (*card.needs, *card.takes)}
    for index, each in enumerate(job.datasets):
        if "guide" in given[each.name].names and "guide" not in used:
            raise JobError(f"datasets[{index}].guide: no restorer of the job takes it; leave it out")


def _refuse_untold(job: Job, given: Mapping[str, Given], need: str, who: str) -> None:
    for index, dataset in enumerate(job.datasets):
        if need == "frames" and need not in given[dataset.name].may_tell:
            raise JobError(
                f"{who} needs {_NEEDS[need]}; say with datasets[{index}].group (--group) which are "
                'frames of one: group = "(?P<scene>.+)_(?P<t>\\\\d+)\\\\.tif", or choose another restorer'
            )
        if need in _NEEDS and need not in given[dataset.name].may_tell:
            raise JobError(
                f"{who} needs {_NEEDS[need]}; give datasets[{index}].{need} ({_OPTIONS[need]} on the command "
                'line), choose another restorer, or use kind = "benchmark" with degradations'
            )


def _refuse_unused(job: Job, cards: Sequence[Card], given: Mapping[str, Given]) -> None:
    used = {name for card in cards for name in (*card.needs, *card.takes)}
    for index, dataset in enumerate(job.datasets):
        for name in given[dataset.name].names:
            if name not in used:
                field = {"frames": "group"}.get(name, name)
                raise JobError(
                    f"datasets[{index}].{field}: no restorer of the job takes it, it would have no effect; "
                    "leave it out, or see restora list restorers for one that does"
                )
