"""What a job says of an operator."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class OperatorSpec(BaseModel):
    """One operator; every other field is a parameter of it. A pair is a range, drawn per image."""

    model_config = ConfigDict(frozen=True, extra="allow", hide_input_in_errors=True)

    op: str
    """A name from ``restora list degradations``."""

    @property
    def parameters(self) -> dict[str, Any]:
        """Parameters as written: numbers, texts, or ``[low, high]`` for a range."""
        return dict(self.model_extra or {})
