"""Which images are frames of one scene: found by their keys, and made one source.

The listing is held in a temporary database, on disk where it is large: frames may stand pages apart.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby, islice, pairwise

from pipeline.attached import Attached
from pipeline.jobs.frames import FrameRule
from pipeline.jobs.job import Dataset
from pipeline.planning.partners import no_match
from pipeline.privacy.key import unseal
from pipeline.storage.base import Entry
from pipeline.storage.entries import Entries

PAGE = 4096
"""Entries of a page."""
MOST_FRAMES = 256
COLUMNS = "scene TEXT, time TEXT, key TEXT, size INT, version TEXT, attached TEXT, at TEXT"
Fault = tuple[str, str]
"""Reason code, and why in words."""
_NAMED = 5


def in_stacks(dataset: Dataset, url: str, pages: Iterator[Entries]) -> Iterator[Entries]:
    """The pages of a dataset's images; where it has a rule of frames, as an entry a scene, or as all of them.

    ``url``: of the folder, to which the other frames' keys are added. An image that the rule does not match,
    and a scene whose frames are not what the rule says, have a row: with the reason why there is no stack.
    """
    if dataset.group is None:
        yield from pages
        return
    rule = dataset.group.model_copy(
        update={"match": dataset.group.match and unseal([dataset.group.match])[0]}
    )
    pattern = re.compile(rule.match or "")
    listing = sqlite3.connect("")
    try:
        listing.execute(f"CREATE TABLE found ({COLUMNS})")
        for page in pages:
            listing.executemany(
                "INSERT INTO found VALUES (?, ?, ?, ?, ?, ?, ?)",
                (_row(rule, pattern, each) for each in page),
            )
        order = "rowid" if rule.listed else "key"
        rows = listing.execute(f"SELECT * FROM found ORDER BY scene, {order}")
        scenes = (
            _Scene(name, [(row[1], Entry(*row[2:])) for row in some], bool(dataset.private))
            for name, some in groupby(rows, _scene)
        )
        entries = (entry for each in scenes for entry in each.entries(rule, url))
        while some := list(islice(entries, PAGE)):
            yield Entries.of(some)
    finally:
        listing.close()


def _scene(row: tuple[str, ...]) -> str:
    return row[0]


def _row(rule: FrameRule, pattern: re.Pattern[str], entry: Entry) -> tuple[str | int, ...]:
    """Its scene, its time, and what the entry holds."""
    held = entry.key, entry.size, entry.version, entry.attached, entry.at
    alone = f"\0{entry.key}", "", *held  # no key begins so
    if rule.listed:
        return (entry.group, "", *held) if entry.group else alone
    matched = pattern.fullmatch(entry.key)
    if matched is None or entry.is_unreadable:
        return alone
    groups = {name: text or "" for name, text in matched.groupdict().items()}
    return groups["scene"], groups.get("t", ""), *held


@dataclass(frozen=True)
class _Scene:
    name: str
    frames: list[tuple[str, Entry]]
    """Time and object, in order of key."""
    is_private: bool

    def entries(self, rule: FrameRule, url: str) -> Iterator[Entry]:
        """The first frame, or each of them, with the addresses of the others or the fault."""
        if self.name.startswith("\0"):
            first = self.frames[0][1]
            why = "its row names no group" if rule.listed else no_match("group")
            yield first if first.is_unreadable else _faulty(first, ("FRAMES_UNORDERED", why))
            return
        in_order, fault = self._in_order(rule)
        fault = fault or _count(len(in_order), rule)
        for place, frame in enumerate(in_order if rule.around else in_order[:1]):
            yield _faulty(frame, fault) if fault else _told(in_order, place, rule.around, url)

    def _in_order(self, rule: FrameRule) -> tuple[list[Entry], Fault | None]:
        in_order = [frame for _, frame in self.frames]
        if not rule.has_times:
            return in_order, None
        wrong = next((frame.key for time, frame in self.frames if not time.isdecimal()), None)
        if wrong is not None:
            whose = "one of them" if self.is_private else wrong
            return in_order, ("FRAMES_UNORDERED", f"the time of {whose} is no number")
        timed = sorted(((int(time), frame) for time, frame in self.frames), key=lambda each: each[0])
        return [frame for _, frame in timed], _gaps([time for time, _ in timed], rule)


def _told(frames: list[Entry], place: int, around: int | None, url: str) -> Entry:
    """One of the frames, with the addresses of those before and after it."""
    first, last = (0, len(frames)) if around is None else (max(0, place - around), place + around + 1)
    others = [*frames[first:place], *frames[place + 1 : last]]
    attached = replace(
        Attached.of(frames[place].attached),
        frames=tuple(each.at or f"{url}/{each.key}" for each in others),
        frame_versions=tuple(each.version for each in others),
        place=place - first,
    )
    return replace(frames[place], attached=attached.text)


def _gaps(times: list[int], rule: FrameRule) -> Fault | None:
    twice = sorted({each for each, after in pairwise(times) if each == after})
    if twice:
        return "FRAMES_UNORDERED", f"two frames of time {twice[0]}; an order needs one of each"
    if rule.contiguous:
        missing = [each for each in range(times[0], times[-1]) if each not in set(times)]
        if missing:
            shown = ", ".join(map(str, missing[:_NAMED]))
            return "FRAMES_MISSING", f"times {shown} are missing between {times[0]} and {times[-1]}"
    return None


def _count(count: int, rule: FrameRule) -> Fault | None:
    wanted = rule.frames
    if rule.around is None and count > MOST_FRAMES:
        return "FRAMES_MISSING", f"{count} frames; {MOST_FRAMES} at most are one stack"
    if wanted is not None and count != wanted:
        return "FRAMES_MISSING", f"{count} frames, the rule of the group says {wanted}"
    if count < 2:
        return "FRAMES_MISSING", "one frame alone; a stack needs two"
    return None


def _faulty(entry: Entry, fault: Fault) -> Entry:
    reason, why = fault
    return replace(entry, attached=replace(Attached.of(entry.attached), fault=reason, why=why).text)
