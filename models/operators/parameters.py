"""What operators share about their parameters, beside what ``models.parameters`` checks."""

from __future__ import annotations

from typing import Any

ROUNDINGS = {"none": 0, "uint8": 255, "uint16": 65535}
"""Highest integer of the grid that an operator rounds to; 0 means that it does not round."""


def per_band(operator: Any, field: str, channels: int) -> tuple[float, ...]:
    """The field's value for each channel; ``ValueError`` where a tuple is not of that length."""
    values = getattr(operator, field)
    if not isinstance(values, tuple):
        return (float(values),) * channels
    if len(values) != channels:
        raise ValueError(
            f"{operator.name}: {field} holds {len(values)} values but the image has {channels} channels; "
            "give one number, or one number per channel"
        )
    return values
