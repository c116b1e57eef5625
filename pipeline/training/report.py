"""``report.html`` of a training: collects what ``pipeline.report.training_page`` shows. One file."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.addresses import redacted_values
from pipeline.metrics import METRICS
from pipeline.report.training_page import SampleSheet, TrainingFacts, ValidationScore, build_training_page
from pipeline.storage.folder import Folder
from pipeline.training.recipe.built_recipe import BuiltRecipe
from pipeline.training.recipe.recipe import TrainingRecipe
from pipeline.training.run_log import Row, RunLog
from pipeline.version import code_version

REPORT = "report.html"
SHEETS = 6
"""Sheets on the page: the first, the last, and some between."""


def write_report(run_log: RunLog, recipe: TrainingRecipe, built: BuiltRecipe) -> str:
    """Writes the page beside the table; returns its address."""
    page = build_training_page(
        TrainingFacts(
            title=recipe.name,
            summary=recipe.summary,
            kind=recipe.kind,
            recipe=redacted_values(recipe.model_dump(mode="json", exclude_defaults=True, exclude_none=True)),
            output=run_log.folder.url,
            rows=run_log.rows,
            scores=_scores(run_log.rows, recipe, built),
            sheets=_sheets(run_log.folder, run_log.sheets()),
            code_version=code_version(),
        )
    )
    run_log.folder.put(REPORT, page.encode())
    return run_log.folder.uri(REPORT)


def _scores(rows: Sequence[Row], recipe: TrainingRecipe, built: BuiltRecipe) -> list[ValidationScore]:
    """In the recipe's order, its first metric on all degradations in front; a generator's as they are."""
    newest: Row = {}
    for row in rows:
        newest |= row
    if recipe.kind == "generation":
        names = (name for name in newest if name.startswith("validation_"))
        return [_of_generator(name) for name in sorted(names)]
    found = []
    for metric in recipe.validation.metrics:
        protocol = METRICS[metric].protocol
        for degradation in built.validation:
            column = f"validation_{degradation.name}_{metric}"
            if column in newest:
                baseline = newest.get(f"baseline_{degradation.name}_{metric}")
                found.append(
                    ValidationScore(
                        degradation.name, metric, column, protocol.unit, protocol.higher_is_better, baseline
                    )
                )
    return found


def _of_generator(column: str) -> ValidationScore:
    """Distances between sets of images: smaller is better, and there is no input."""
    name = column.removeprefix("validation_")
    return ValidationScore("generated images", name, column, "1", False, None)


def _sheets(folder: Folder, keys: Sequence[str]) -> list[SampleSheet]:
    places = {round(i * (len(keys) - 1) / max(1, SHEETS - 1)) for i in range(SHEETS)} if keys else ()
    return [SampleSheet(_step_of(keys[place]), folder.read(keys[place])) for place in sorted(places)]


def _step_of(key: str) -> int:
    return int(key.removeprefix("samples/step-").removesuffix(".png"))
