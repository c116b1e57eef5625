"""Drawings as inline SVG: distributions of scores, gains over the degraded input.

Colours are written as CSS variables, so that a figure follows the page into dark mode. Matplotlib is
imported when the first figure is drawn, and only through its objects: no state, no window.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

DOTS = 120
"""At most so many dots stand for a distribution: the quantiles of a larger one."""
ROW_INCHES = 0.27

# Drawn in these, published as the CSS variables.
INK, FAINT, ACCENT, BAND = "#101112", "#131415", "#161718", "#191a1b"
VARIABLES = {INK: "var(--ink)", FAINT: "var(--faint)", ACCENT: "var(--accent)", BAND: "var(--band)"}


@dataclass(frozen=True)
class Distribution:
    """The finite scores behind one line of a figure."""

    label: str
    values_N: NDArray[np.float64]
    is_input: bool = False
    """The degraded input itself: drawn fainter, as what is to be beaten."""


@dataclass(frozen=True)
class Interval:
    """A mean with its interval; the ends are ``None`` where there is none."""

    label: str
    mean: float
    low: float | None
    high: float | None


def distributions(lines: Sequence[Distribution], unit: str, name: str) -> Markup:
    """Dots, middle half and median of each line, first line on top; ``name`` makes the SVG's ids unique."""
    with _axes([line.label for line in lines], unit) as (figure, axes):
        for y, line in enumerate(lines):
            colour = FAINT if line.is_input else ACCENT
            _draw_dots(axes, _thinned(line.values_N), y, colour)
            low, median, high = np.percentile(line.values_N, [25, 50, 75])
            axes.plot([low, high], [y, y], color=colour, linewidth=7, alpha=0.28, solid_capstyle="butt")
            axes.plot([median, median], [y - 0.27, y + 0.27], color=INK, linewidth=1.7, solid_capstyle="butt")
        return _svg(figure, name)


def gains(lines: Sequence[Interval], unit: str, name: str) -> Markup:
    """Mean gains with their intervals about a line at zero, first line on top."""
    with _axes([line.label for line in lines], unit) as (figure, axes):
        axes.axvline(0, color=INK, linewidth=1)
        for y, line in enumerate(lines):
            axes.plot([0, line.mean], [y, y], color=BAND, linewidth=8, solid_capstyle="butt")
            if line.low is not None and line.high is not None:
                axes.plot([line.low, line.high], [y, y], color=ACCENT, linewidth=1.8)
            axes.plot([line.mean], [y], marker="o", markersize=5, color=ACCENT)
        return _svg(figure, name)


def _thinned(values_N: NDArray[np.float64]) -> NDArray[np.float64]:
    if len(values_N) <= DOTS:
        return np.sort(values_N)
    return np.quantile(values_N, np.linspace(0, 1, DOTS))


def _draw_dots(axes: Any, values_N: NDArray[np.float64], y: int, colour: str) -> None:
    """All dots as one path, lines of no length with round ends: a tenth of the bytes of markers."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    spread = (np.arange(len(values_N)) * 0.618034) % 1.0  # the golden ratio never clusters, unlike chance
    heights = y + (spread - 0.5) * (0.5 if len(values_N) > 4 else 0.0)
    points = np.repeat(np.column_stack([values_N, heights]), 2, axis=0)
    codes = np.tile([Path.MOVETO, Path.LINETO], len(values_N))
    dots = PathPatch(
        Path(points, codes), edgecolor=colour, linewidth=2.8, capstyle="round", alpha=0.5, fill=False
    )
    axes.add_patch(dots)
    axes.autoscale_view()


@contextmanager
def plain_figure(height: float) -> Iterator[tuple[Any, Any]]:
    """An empty drawing of this height in inches, and the style that all drawings have."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_style()):
        figure = Figure(figsize=(3.5, height), layout="constrained")
        figure.patch.set_visible(False)
        axes = figure.add_subplot()
        axes.patch.set_visible(False)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.set_axisbelow(True)
        axes.locator_params(axis="x", nbins=4)
        yield figure, axes


@contextmanager
def _axes(labels: Sequence[str], unit: str) -> Iterator[tuple[Any, Any]]:
    """A drawing with one labelled line per name."""
    with plain_figure(0.55 + ROW_INCHES * len(labels)) as (figure, axes):
        axes.grid(axis="x", color=BAND, linewidth=0.8)
        axes.tick_params(axis="y", length=0)
        axes.set_yticks(range(len(labels)), [_short(label) for label in labels])
        axes.set_xlabel("" if unit == "1" else unit)
        axes.margins(x=0.04)
        yield figure, axes


def _short(label: str) -> str:
    return label if len(label) <= 20 else f"{label[:19]}…"


def _style() -> Any:
    colours = ("text.color", "axes.labelcolor", "xtick.labelcolor", "ytick.labelcolor")
    return {
        **dict.fromkeys(colours, INK),
        "axes.edgecolor": FAINT,
        "xtick.color": FAINT,
        "font.size": 9,
        "axes.formatter.useoffset": False,
        "svg.fonttype": "none",
        "text.parse_math": False,  # a restorer may be called $x$
        "svg.hashsalt": "restora",
        "path.simplify": False,
    }


def _svg(figure: Any, name: str) -> Markup:
    axes = figure.axes[0]
    axes.set_ylim(len(axes.get_yticks()) - 0.45, -0.55)
    return inline_svg(figure, name)


def inline_svg(figure: Any, name: str) -> Markup:
    """The drawing as an SVG element with ids of its own and the page's colours and type."""
    buffer = io.StringIO()
    figure.savefig(
        buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
    )
    text = buffer.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)
    text = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", text)
    text = re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', 'aria-hidden="true"', text, count=1)
    for drawn, variable in VARIABLES.items():
        text = text.replace(drawn, variable)
    return Markup(text)  # safe: labels went through matplotlib's XML escaping
