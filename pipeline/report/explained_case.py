"""One image under one restorer: explained, restored, and both shown."""

from __future__ import annotations

from models.insight.attribution import OnStep
from models.insight.targets import Region
from pipeline.imaging.radiometry import to_stored
from pipeline.insight.explanation import Explanation, explain
from pipeline.processing.cases import Case
from pipeline.processing.told import shared_condition
from pipeline.recipe.recipe import BuiltRestorer
from pipeline.report.display import Display
from pipeline.report.explained import show
from pipeline.report.explained_image import ExplainedImage


def explain_case(
    case: Case,
    built: BuiltRestorer,
    title: str,
    *,
    region: Region | None = None,
    target: str = "detail",
    layer: str | None = None,
    on_step: OnStep | None = None,
) -> tuple[Explanation, ExplainedImage]:
    """As ``explain``, which says what of the region is explained; raises what it and the restorer raise."""
    image_1CHW, told = case.degraded.image_BCHW, shared_condition([case], built)
    assert told is not None, "one image always has one condition"
    found = explain(
        built.restorer, image_1CHW, told, region=region, target=target, layer=layer, on_step=on_step
    )
    restored_1CHW = built.restorer(image_1CHW.clone(), condition=told)
    shown = Display.of(case.reference)
    restored = case.reference.with_pixels(to_stored(restored_1CHW, case.model.domain)[0])
    return found, show(title, found, shown(case.degraded_image()), shown(restored), shown.note)
