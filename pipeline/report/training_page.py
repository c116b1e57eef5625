"""The page of a training: what it reached above its input, the curves, the samples over time."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from pipeline.report.curves import Curve, curves
from pipeline.report.environment import css, environment
from pipeline.report.notation import decimals_for, duration, number
from pipeline.wording import number_of

Row = Mapping[str, Any]

GROUPS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("Losses", ("loss",), "1"),
    ("Discriminator: mean logits", ("d_real", "d_fake"), "1"),
    ("Gradients", ("gradient_norm", "penalty"), "1"),
    ("Learning rates", ("learning_rate",), "1"),
    ("Throughput", ("images_per_second",), "images/s"),
    ("Waiting for samples", ("input_wait_share",), "share of the time"),
)
"""Title, what the names of its columns begin with, unit."""


@dataclass(frozen=True)
class ValidationScore:
    """One score of the validation: the columns of the table that hold it, and how to read it."""

    degradation: str
    metric: str
    column: str
    unit: str
    higher_is_better: bool
    baseline: float | None
    """The mean of the degraded input itself; ``None`` where it has none."""


@dataclass(frozen=True)
class SampleSheet:
    """Pictures that were kept at one step."""

    step: int
    png: bytes

    @property
    def address(self) -> str:
        """As a data address."""
        return f"data:image/png;base64,{base64.b64encode(self.png).decode('ascii')}"


@dataclass(frozen=True)
class TrainingFacts:
    """What the page tells of one run."""

    title: str
    summary: str
    kind: str
    recipe: Mapping[str, Any]
    output: str
    rows: Sequence[Row]
    """Of the run's table."""
    scores: Sequence[ValidationScore]
    sheets: Sequence[SampleSheet]
    code_version: str


def build_training_page(facts: TrainingFacts) -> str:
    """The page as HTML text: no request leaves it, nothing needs JavaScript."""
    newest: dict[str, Any] = {}
    for row in facts.rows:
        newest |= {name: value for name, value in row.items() if value is not None}
    return (
        environment()
        .get_template("training.jinja")
        .render(
            facts=facts,
            newest=newest,
            headline=_headline(facts, newest),
            fact_lines=_fact_lines(facts, newest),
            scores=[_score_line(each, newest) for each in facts.scores],
            score_figures=[_score_figure(each, facts.rows, i) for i, each in enumerate(facts.scores)],
            figures=_figures(facts.rows),
            css=css(),
        )
    )


def _headline(facts: TrainingFacts, newest: Row) -> str:
    step = number_of(int(newest.get("step", 0)), "step")
    if not facts.scores:
        return f"{step}. No validation scored it."
    first = facts.scores[0]
    reached = newest.get(first.column)
    if reached is None:
        return f"{step}. Not yet validated."
    digits = decimals_for([reached, first.baseline])
    unit = "" if first.unit == "1" else f" {first.unit}"
    text = f"{first.metric} {number(reached, digits)}{unit} on {first.degradation} after {step}"
    if first.baseline is None:
        return f"{text}."
    gain = reached - first.baseline
    better = gain > 0 if first.higher_is_better else gain < 0
    # Of two numbers that are the same as printed neither is better.
    word = "the same as" if round(gain, digits) == 0 else "better than" if better else "worse than"
    by = "" if round(gain, digits) == 0 else f"{number(abs(gain), digits)}{unit} "
    return f"{text}: {by}{word} its input, which has {number(first.baseline, digits)}{unit}."


def _fact_lines(facts: TrainingFacts, newest: Row) -> list[tuple[str, str]]:
    network = facts.recipe["network"]
    rate = newest.get("images_per_second")
    lines = [
        ("Network", str(network["architecture"])),
        ("Steps", f"{int(newest.get('step', 0)):,}"),
        ("Images in a step", f"{facts.recipe['batch']:,}"),
        ("Time in steps", duration(float(newest.get("seconds", 0.0)))),
        ("Throughput", f"{rate:,.1f} images/s" if rate else "–"),
        ("Kind", facts.kind),
    ]
    return lines


def _score_line(score: ValidationScore, newest: Row) -> dict[str, str]:
    reached, baseline = newest.get(score.column), score.baseline
    digits = decimals_for([reached, baseline])
    gain = None if reached is None or baseline is None else reached - baseline
    return {
        "degradation": score.degradation,
        "metric": score.metric,
        "unit": "–" if score.unit == "1" else score.unit,
        "better": "higher" if score.higher_is_better else "lower",
        "input": number(baseline, digits),
        "network": number(reached, digits),
        "gain": number(gain, digits, signed=True),
    }


def _score_figure(score: ValidationScore, rows: Sequence[Row], place: int) -> tuple[str, str, str, Markup]:
    """Title, what stands under it, alternative text, drawing."""
    line = _curve("network", score.column, rows)
    better = "higher is better" if score.higher_is_better else "lower is better"
    title = f"{score.metric} on {score.degradation}"
    ends = f"from {line.values_N[0]:.4g} to {line.values_N[-1]:.4g}" if len(line.values_N) else "no values"
    beside = "" if score.baseline is None else f"; the input has {score.baseline:.4g}"
    drawing = curves([line], score.unit, f"v{place}", score.baseline)
    return title, better, f"{title} over the steps: {ends}{beside}", drawing


def _figures(rows: Sequence[Row]) -> list[tuple[str, str, Markup]]:
    """Title, alternative text, drawing, of every group that the table has columns of."""
    found = []
    for place, (title, prefixes, unit) in enumerate(GROUPS):
        names = sorted({name for row in rows for name in row if name.startswith(prefixes)})
        lines = [_curve(name, name, rows) for name in names]
        lines = [line for line in lines if len(line.values_N)]
        if lines:
            ends = "; ".join(f"{x.label} from {x.values_N[0]:.3g} to {x.values_N[-1]:.3g}" for x in lines)
            found.append((title, f"{title} over the steps: {ends}", curves(lines, unit, f"c{place}")))
    return found


def _curve(label: str, column: str, rows: Sequence[Row]) -> Curve:
    points = [(row["step"], row[column]) for row in rows if row.get(column) is not None]
    points_N2 = np.array(points, np.float64).reshape(-1, 2)
    return Curve(label, points_N2[:, 0], points_N2[:, 1])
