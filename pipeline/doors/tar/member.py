"""Where a member is: in which shard at which version, and between which bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass

from pipeline.doors.line import line_of
from pipeline.storage.base import Entry


@dataclass(frozen=True)
class Member:
    """One file of a shard, or a shard that could not be listed to its end."""

    shard: str
    """Key of the shard."""
    version: str
    """Of the shard when it was listed."""
    name: str
    offset: int
    """First byte of the content in the shard."""
    size: int
    fault: str = ""
    """What is wrong with it, known from the listing."""

    @property
    def key(self) -> str:
        """Shard and name; of a damaged shard, the shard alone."""
        return f"{self.shard}/{self.name}" if self.name else self.shard

    def entry(self) -> Entry:
        """As a listing has it. A changed shard is a changed member: two of one size may differ."""
        version = f"{self.version}-{self.offset}+{self.size}"
        bundle = f"{self.shard}\n{self.version}" if self.name else ""
        return Entry(self.key, self.size, version, at=self.text(), bundle=bundle)

    def text(self) -> str:
        """As one line, for the plan."""
        return line_of(self)

    @classmethod
    def of(cls, text: str) -> Member:
        """Out of that line."""
        return cls(*json.loads(text))
