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
from pipeline.storage.base import Entry
from pipeline.storage.entries import Entries

PAGE = 4096
"""Scenes of a page."""
MOST_FRAMES = 256
_NAMED = 5


def in_stacks(dataset: Dataset, url: str, pages: Iterator[Entries]) -> Iterator[Entries]:
    """The pages of a dataset's images; where it has a rule of frames, one entry a scene.

    ``url``: of the folder, to which the other frames' keys are added. An image that the rule does not match,
    and a scene whose frames are not what the rule says, have a row: with the reason why there is no stack.
    """
    if dataset.group is None:
        yield from pages
        return
    rule = dataset.group
    pattern = re.compile(rule.match)
    listing = sqlite3.connect("")
    try:
        listing.execute("CREATE TABLE found (scene TEXT, time TEXT, key TEXT, size INT, version TEXT)")
        for page in pages:
            listing.executemany(
                "INSERT INTO found VALUES (?, ?, ?, ?, ?)", (_row(pattern, each) for each in page)
            )
        rows = listing.execute("SELECT * FROM found ORDER BY scene, key")
        scenes = (
            _Scene(name, [(row[1], Entry(*row[2:])) for row in some]) for name, some in groupby(rows, _scene)
        )
        entries = (each.entry(rule, url) for each in scenes)
        while some := list(islice(entries, PAGE)):
            yield Entries.of(some)
    finally:
        listing.close()


def _scene(row: tuple[str, ...]) -> str:
    return row[0]


def _row(pattern: re.Pattern[str], entry: Entry) -> tuple[str, str, str, int, str]:
    matched = pattern.fullmatch(entry.key)
    if matched is None or entry.is_unreadable:
        return f"\0{entry.key}", "", entry.key, entry.size, entry.version  # alone: no key begins so
    groups = {name: text or "" for name, text in matched.groupdict().items()}
    return groups["scene"], groups.get("t", ""), entry.key, entry.size, entry.version


@dataclass(frozen=True)
class _Scene:
    name: str
    frames: list[tuple[str, Entry]]
    """Time and object, in order of key."""

    def entry(self, rule: FrameRule, url: str) -> Entry:
        """The first frame, with the addresses of the others or the fault."""
        first = self.frames[0][1]
        if self.name.startswith("\0"):
            if first.is_unreadable:
                return first
            return _faulty(first, "FRAMES_UNORDERED", no_match("group"))
        if len(self.frames) > MOST_FRAMES:
            return _faulty(
                first, "FRAMES_MISSING", f"{len(self.frames)} frames; {MOST_FRAMES} at most are one stack"
            )
        in_order = self.frames
        if rule.has_times:
            times = [int(time) if time.isdecimal() else None for time, _ in self.frames]
            if None in times:
                wrong = next(each.key for time, each in self.frames if not time.isdecimal())
                return _faulty(first, "FRAMES_UNORDERED", f"the time of {wrong} is no number")
            numbers = [time for time in times if time is not None]
            in_order = [
                frame for _, frame in sorted(zip(numbers, self.frames, strict=True), key=lambda each: each[0])
            ]
            if fault := _gaps(sorted(numbers), rule):
                return _faulty(in_order[0][1], *fault)
        if fault := _count(len(in_order), rule):
            return _faulty(in_order[0][1], *fault)
        base, *others = [each for _, each in in_order]
        attached = Attached(
            frames=tuple(f"{url}/{each.key}" for each in others),
            frame_versions=tuple(each.version for each in others),
        )
        return replace(base, attached=attached.text)


def _gaps(times: list[int], rule: FrameRule) -> tuple[str, str] | None:
    twice = sorted({each for each, after in pairwise(times) if each == after})
    if twice:
        return "FRAMES_UNORDERED", f"two frames of time {twice[0]}; an order needs one of each"
    if rule.contiguous:
        missing = [each for each in range(times[0], times[-1]) if each not in set(times)]
        if missing:
            shown = ", ".join(map(str, missing[:_NAMED]))
            return "FRAMES_MISSING", f"times {shown} are missing between {times[0]} and {times[-1]}"
    return None


def _count(count: int, rule: FrameRule) -> tuple[str, str] | None:
    wanted = rule.frames
    if wanted is not None and count != wanted:
        return "FRAMES_MISSING", f"{count} frames, the rule of the group says {wanted}"
    if count < 2:
        return "FRAMES_MISSING", "one frame alone; a stack needs two"
    return None


def _faulty(entry: Entry, reason: str, why: str) -> Entry:
    return replace(entry, attached=Attached(fault=reason, why=why).text)
