"""What of a private row may be committed: an allow-list of columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


SHOWN = frozenset(
    {
        *("dataset", "key", "source_id", "source_bytes", "source_sha256", "height", "width", "channels"),
        *("dtype", "data_low", "data_high", "data_range_rule", "nodata_share", "degradation", "condition"),
        *("degradation_params", "seed", "restorer", "restorer_sha256", "recipe_id", "unit_id", "attempt"),
        *("status", "reason", "stage", "clipped_pixels", "output_uri", "output_sha256", "output_bytes"),
        *("degraded_uri", "degraded_sha256", "degraded_bytes", "device", "seconds", "code_version"),
        "finished_at",
    }
)
"""Fixed columns that a private row may fill; all others stay empty, also those that somebody adds."""

PLAIN_MESSAGES = frozenset({"SERIES_INCONSISTENT", "SERIES_INCOMPLETE"})
"""Reasons whose messages are counts and attribute names, and may stand in a private row."""
