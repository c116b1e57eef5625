"""Times as jobs give them: an instant, a day, or an interval of them with ends that may be open."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_DAY = 10
"""Characters of a date without a time."""
OPEN = ("..", "")
EARLIEST, LATEST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def instant(text: str) -> datetime:
    """A time of RFC 3339, in UTC where it names no zone. ``ValueError`` with the cure."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{text!r}: give times as 2024-05-01 or 2024-05-01T12:00:00Z") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def interval(text: str) -> tuple[datetime, datetime]:
    """First and last instant of ``A/B``, ``A/..``, ``../B`` or ``A``; a day without a time lasts all day."""
    begin, separator, end = text.partition("/")
    first = EARLIEST if separator and begin in OPEN else instant(begin)
    last = begin if not separator else end
    if separator and last in OPEN:
        return first, LATEST
    whole_day = timedelta(days=1, microseconds=-1) if len(last.strip()) == _DAY else timedelta()
    found = first, instant(last) + whole_day
    if found[1] < found[0]:
        raise ValueError(f"{text!r}: ends before it begins")
    return found
