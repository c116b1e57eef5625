"""Segments of the ledger that were found whole, so that the verification of the next run looks at new ones.

A segment never changes. As long as the same of its rows count, they say of the same sources what they said
when they were looked at. ``restora verify`` does not ask here: it looks at every row of every segment.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

from pipeline.hashing import canonical_json, sha256_hex
from pipeline.ledger.run_folder import RunFolder

VERIFIED = "verified.json"
_CHECKS = 1
"""Another number once more is checked than before."""


@dataclass(frozen=True)
class WholePart:
    """A segment, each of whose sources had every row that the job asks for, once."""

    counts: str
    """Digest of the rows that counted."""
    sources: int
    quarantined: int
    """Sources with a quarantined row."""
    newest: str
    """When the last of its rows was made, in ISO 8601."""

    def is_before(self, since: datetime) -> bool:
        """Whether it has no row from then on."""
        return datetime.fromisoformat(self.newest) < since


def read_verified(run: RunFolder) -> dict[str, WholePart]:
    """By segment; none where nothing was verified, or something else was asked for then."""
    try:
        found = json.loads(run.folder.read(VERIFIED))
        if found["asked"] != _asked(run):
            return {}
        return {name: WholePart(**each) for name, each in found["parts"].items()}
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return {}  # damaged, or of another version: everything is looked at


def write_verified(run: RunFolder, parts: Mapping[str, WholePart]) -> None:
    """Replaces what stands there."""
    described = {name: asdict(each) for name, each in parts.items()}
    run.folder.put(VERIFIED, json.dumps({"asked": _asked(run), "parts": described}, indent=1).encode())


def _asked(run: RunFolder) -> str:
    return sha256_hex(canonical_json([_CHECKS, sorted(run.recipe.combinations)]).encode())
