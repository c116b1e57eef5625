"""What a metric is: one score per image, and the protocol it was made by."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from torch import Tensor

ALL_CHANNELS = "all channels as they are"
FULL_RANGE = (
    "1.0: from data_low to data_high of the row, the full range of the stored type (0..255 for uint8, "
    "0..65535 for uint16) unless the job's radiometry says otherwise"
)
PHYSICAL_ZERO = (
    "zero is physical zero: stored * scale + offset as the job or the file says for each band, the stored 0 "
    "where neither does"
)


class MetricInputs(StrEnum):
    """Which two images a metric takes; ``pipeline.processing.metric_inputs`` makes them."""

    REFERENCE = "restored and reference"
    PHYSICAL = "restored and reference in physical units, so that zero is physical zero"
    INPUT = "restored, degraded again, and the degraded input: a run without references has the score too"
    UNREGISTERED = "restored and reference whole, compared at the best of small shifts: no border is cut"
    BOTH = "restored, and the reference's channels with those of the input, enlarged, behind them"
    GUIDED = "restored with its guide, input with the guide at its size: runs without references too"
    ALONE = "restored, twice: there is no second image, so a run without references has the score too"

    @property
    def needs_reference(self) -> bool:
        """Whether a run without references has no such score."""
        return self not in (MetricInputs.INPUT, MetricInputs.GUIDED, MetricInputs.ALONE)


@dataclass(frozen=True)
class MetricProtocol:
    """How a score was made. Written into the tables' schema: a score without it is worthless."""

    name: str
    """Column name, such as ``psnr_y``."""
    formula: str
    """Definition in words and symbols, with every constant."""
    colour: str
    """The planes that are compared: ``all channels``, ``BT.601 luma (MATLAB, 16..235)`` ..."""
    border: str
    """Pixels cut from each side before scoring: ``scale`` (of the degradation) or a number."""
    data_range: str
    """What counts as the full range, and why."""
    unit: str
    """``dB``, ``fraction of the data range``, ``1`` ..."""
    higher_is_better: bool
    best: float
    """The score of identical images; ``inf`` for PSNR."""
    source: str
    """Paper and section."""
    window: str = ""
    """Weights and size of the sliding window, where there is one."""
    minimum_size: int = 1
    """Height and width below which the score is undefined."""
    fewest_bands: int = 1
    """Channels below which the score is undefined."""
    pair: MetricInputs = MetricInputs.REFERENCE
    """Which two images it takes; "restored" and "reference" stand for them, whichever they are. The field's
    name and value are part of a recipe's identity."""
    version: int = 1
    """Raised whenever the same images would score differently; part of the recipe."""
    parameters: tuple[tuple[str, Any], ...] = ()


class Metric(Protocol):
    """Scores a batch on whatever device it is.

    Takes float32 BCHW in [0, 1] (restored may leave the range), or for ``MetricInputs.PHYSICAL`` what
    ``pipeline.processing.metric_inputs.in_physical_units`` gives, border already cut, and a
    B1HW mask of valid pixels or ``None``. Returns (B,) float; NaN where the score is undefined, for
    example where no pixel is valid or the image is smaller than the window. A batch of eight gives
    what eight batches of one give.
    """

    @property
    def protocol(self) -> MetricProtocol:
        """How it scores; a class attribute in most metrics."""
        ...

    def __call__(self, restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
        """(B,) float64 scores."""
        ...
