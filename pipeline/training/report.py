"""``report.html``: curves of losses, rates and scores, and the sheets of samples over time. One file."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence

from pipeline.storage.folder import Folder
from pipeline.training.recipe.recipe import TrainingRecipe
from pipeline.training.run_log import Row, RunLog

REPORT = "report.html"
SHEETS = 6
"""Sheets on the page: the first, the last, and some between."""

CURVES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Losses", ("loss",)),
    ("Discriminator: mean logits", ("d_real", "d_fake")),
    ("Gradients", ("gradient_norm", "penalty")),
    ("Learning rates", ("learning_rate",)),
    ("Images per second", ("images_per_second",)),
    ("Share of the time that steps waited for samples", ("input_wait_share",)),
)
"""Title, and what the names of its columns begin with."""

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
figure { display: inline-block; margin: 0 1rem 1.5rem 0; }
img { max-width: 100%; image-rendering: pixelated; }
table { border-collapse: collapse; } td, th { padding: 0.2rem 0.8rem; text-align: left; }
"""


def write_report(run_log: RunLog, recipe: TrainingRecipe) -> str:
    """Writes the page beside the table; returns its address."""
    figures = [_curve(title, run_log.rows, prefixes) for title, prefixes in CURVES]
    scores = sorted({name for row in run_log.rows for name in row if name.startswith("validation_")})
    figures += [_curve(name.removeprefix("validation_"), run_log.rows, (name,)) for name in scores]
    parts = [
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{html.escape(recipe.name)}</title>",
        f"<style>{STYLE}</style><h1>{html.escape(recipe.name)}</h1><p>{html.escape(recipe.summary)}</p>",
        _last(run_log.rows),
        *(figure for figure in figures if figure),
        *_sheets(run_log.folder, run_log.sheets(), recipe),
        "</html>",
    ]
    run_log.folder.put(REPORT, "\n".join(parts).encode())
    return run_log.folder.uri(REPORT)


def _curve(title: str, rows: Sequence[Row], prefixes: tuple[str, ...]) -> str:
    names = sorted({name for row in rows for name in row if name.startswith(prefixes)})
    if not names:
        return ""
    from matplotlib.figure import Figure  # half a second, which every worker of a run would spend

    figure = Figure(figsize=(5.2, 3.2), layout="constrained")
    axes = figure.subplots()
    for name in names:
        points = [(row["step"], row[name]) for row in rows if row.get(name) is not None]
        steps, values = zip(*points, strict=True)
        axes.plot(steps, values, label=name, linewidth=1.2, marker="." if len(points) < 30 else None)
    axes.set_xlabel("step")
    axes.grid(alpha=0.3)
    if len(names) > 1:
        axes.legend(fontsize="small")
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    drawing = buffer.getvalue()
    return f"<figure><figcaption>{html.escape(title)}</figcaption>{drawing[drawing.index('<svg') :]}</figure>"


def _last(rows: Sequence[Row]) -> str:
    """The newest value of every column, as a table."""
    newest: Row = {}
    for row in rows:
        newest |= row
    cells = (f"<tr><th>{html.escape(name)}</th><td>{value:.5g}</td></tr>" for name, value in newest.items())
    return f"<details><summary>Newest values</summary><table>{''.join(cells)}</table></details>"


def _sheets(folder: Folder, keys: Sequence[str], recipe: TrainingRecipe) -> list[str]:
    if not keys:
        return []
    places = {round(i * (len(keys) - 1) / max(1, SHEETS - 1)) for i in range(SHEETS)}
    what = "degraded, restored, true" if recipe.kind == "restoration" else "the same latents each time"
    shown = [f"<h2>Samples: {what}</h2>"]
    for place in sorted(places):
        key = keys[place]
        data = base64.b64encode(folder.read(key)).decode("ascii")
        caption = html.escape(key.removeprefix("samples/").removesuffix(".png"))
        shown.append(
            f"<figure><figcaption>{caption}</figcaption><img src='data:image/png;base64,{data}'></figure>"
        )
    return shown
