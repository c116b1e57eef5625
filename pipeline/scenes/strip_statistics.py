"""What strips know of a scene as a whole: sums and limits that merge in any order."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor

from models.guard import Fault, find_fault, limits

_NEARLY_FLAT = 1e-3
"""Range of all restored values up to which samples of the input are kept, for the guard."""
_SAMPLES = 1000
"""Values of a panel that are kept then."""


@dataclass
class StripStatistics:
    """Over the pixels of a strip, or of several."""

    pixels: int = 0
    """Of the source."""
    valid: int = 0
    """Those of them that hold data."""
    clipped: int = 0
    """Of the output: valid ones that had to be clipped."""
    lowest: float = float("inf")
    """Of the restored values, as fractions of the range."""
    highest: float = float("-inf")
    flat_inputs: list[float] = field(default_factory=list)
    """Samples of what went into panels, as long as all came out alike."""

    def add(self, degraded_1CHW: Tensor, restored_1CHW: Tensor) -> tuple[float, float]:
        """Takes in the limits of a panel, and returns them."""
        low, high = limits(restored_1CHW).flatten().tolist()
        self.lowest, self.highest = min(self.lowest, low), max(self.highest, high)
        if self.highest - self.lowest <= _NEARLY_FLAT:
            values_N = degraded_1CHW.flatten()
            self.flat_inputs += values_N[:: max(len(values_N) // _SAMPLES, 1)].tolist()
        return low, high

    @classmethod
    def merged(cls, parts: Iterable[StripStatistics]) -> StripStatistics:
        """The sums of all of them together."""
        whole = cls()
        for part in parts:
            whole.pixels += part.pixels
            whole.valid += part.valid
            whole.clipped += part.clipped
            whole.lowest = min(whole.lowest, part.lowest)
            whole.highest = max(whole.highest, part.highest)
            whole.flat_inputs += part.flat_inputs
        return whole

    def fault(self) -> Fault | None:
        """What the guard says of the whole scene: its panels may look plausible one by one."""
        if not self.flat_inputs or self.highest - self.lowest > _NEARLY_FLAT:
            return None
        restored_112 = torch.tensor([[[[self.lowest, self.highest]]]])
        return find_fault(restored_112, torch.tensor(self.flat_inputs)[None, None, None], None)

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> StripStatistics:
        """Back from ``to_json``."""
        return cls(**json.loads(text))
