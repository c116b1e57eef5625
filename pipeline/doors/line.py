"""What a door knows of an image, as one line of the plan."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def line_of(known: DataclassInstance) -> str:
    """The values of its fields, in order, as JSON."""
    return json.dumps(list(asdict(known).values()), ensure_ascii=False, separators=(",", ":"))
