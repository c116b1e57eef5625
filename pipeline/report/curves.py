"""Curves over the steps of a training, as inline SVG in the page's colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from pipeline.report.figures import ACCENT, BAND, FAINT, INK, inline_svg, plain_figure

_LOOKS = ((ACCENT, "-"), (INK, "-"), (ACCENT, (0, (5, 2))), (INK, (0, (5, 2))), (FAINT, "-"))
"""Colour and dashes of one line after the other: told apart without colours too."""
_FEW = 30
"""Points that are marked one by one."""


@dataclass(frozen=True)
class Curve:
    """Values of one name at their steps."""

    label: str
    steps_N: NDArray[np.float64]
    values_N: NDArray[np.float64]


def curves(lines: Sequence[Curve], unit: str, name: str, baseline: float | None = None) -> Markup:
    """Lines over the steps, with a dotted one at the ``baseline``; ``name`` makes the SVG's ids unique."""
    with plain_figure(height=2.3) as (figure, axes):
        for line, (colour, dashes) in zip(lines, _LOOKS * len(lines), strict=False):
            marker = "." if len(line.steps_N) <= _FEW else None
            axes.plot(
                line.steps_N, line.values_N, color=colour, linestyle=dashes, linewidth=1.4, marker=marker,
                label=line.label,
            )  # fmt: skip
        if baseline is not None:
            axes.axhline(baseline, color=FAINT, linestyle=":", linewidth=1.6, label="input")
        axes.grid(axis="both", color=BAND, linewidth=0.8)
        axes.set_xlabel("step")
        axes.set_ylabel("" if unit == "1" else unit)
        if len(lines) > 1 or baseline is not None:
            axes.legend(frameon=False, fontsize=8, loc="best")
        return inline_svg(figure, name)
