"""How far edges are off: the mean absolute error of horizontal and vertical differences."""

from typing import ClassVar

from torch import Tensor

from pipeline.metrics.base import ALL_CHANNELS, FULL_RANGE, MetricProtocol


class GradientMAE:
    """Mean absolute error of the differences of neighbouring pixels."""

    protocol: ClassVar = MetricProtocol(
        name="gradient_mae",
        formula="mean |d(restored) - d(reference)|, d: difference of horizontal and of vertical neighbours",
        colour=ALL_CHANNELS,
        border="scale",
        data_range=FULL_RANGE,
        unit="fraction of the data range",
        higher_is_better=False,
        best=0.0,
        source="this package",
        minimum_size=2,
    )

    def __call__(self, restored_BCHW: Tensor, reference_BCHW: Tensor, valid_B1HW: Tensor | None) -> Tensor:
        """(B,) float64; NaN where an image is too small or no two neighbours are valid."""
        error_BCHW = (restored_BCHW - reference_BCHW).double()
        if min(error_BCHW.shape[-2:]) < 2:
            return error_BCHW.new_full((len(error_BCHW),), float("nan"))
        total_B, count_B = 0.0, 0.0
        for axis in (2, 3):
            length = error_BCHW.shape[axis] - 1
            steps_BCHW = error_BCHW.diff(dim=axis).abs()
            if valid_B1HW is None:
                both_BCHW = steps_BCHW.new_ones(()).bool().expand_as(steps_BCHW)
            else:
                both = valid_B1HW.narrow(axis, 0, length) & valid_B1HW.narrow(axis, 1, length)
                both_BCHW = both.expand_as(steps_BCHW)
            total_B = total_B + steps_BCHW.where(both_BCHW, 0.0).sum((1, 2, 3))
            count_B = count_B + both_BCHW.sum((1, 2, 3))
        return total_B / count_B
