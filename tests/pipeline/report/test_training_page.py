"""The page of a training: what it says of the input, its units and texts, and that it can be pasted."""

import io
import re
import tomllib
from html import unescape

import numpy as np
import PIL.Image
import pytest

from pipeline.report.training_page import SampleSheet, TrainingFacts, ValidationScore, build_training_page
from pipeline.training.recipe.recipe import TrainingRecipe
from tests.pipeline.report.test_report import Page

RECIPE = {
    "name": "small",
    "summary": "Small, < 1 MB.",
    "batch": 8,
    "data": {"datasets": [{"name": "photos", "uri": "photos's"}], "crop": 64},
    "degradations": [{"name": "soft", "operators": [{"op": "gaussian_blur", "sigma": [0.5, 1.5]}]}],
    "losses": [{"name": "l1"}],
    "network": {"architecture": "dncnn", "arguments": {"channels": 1}},
    "optimizer": {"learning_rate": 1e-3, "schedule": {"name": "cosine", "warm_up": 0.02}},
    "length": {"steps": 500},
}


def png(height: int = 40, width: int = 120) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.fromarray(np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)).save(
        buffer, "PNG"
    )
    return buffer.getvalue()


def training_page(reached: float = 30.5) -> str:
    recipe = TrainingRecipe.parse(RECIPE)
    steps = range(50, 501, 50)
    rows = [
        {"step": step, "seconds": step / 10, "loss": 1 / step, "loss_l1": 1 / step, "learning_rate": 1e-3}
        | {"images_per_second": 80.0, "input_wait_share": 0.1, "gradient_norm": 2.0}
        | {"validation_soft_psnr": reached - 100 / step, "validation_soft_ssim": 0.9}
        for step in steps
    ]
    rows[-1]["validation_soft_psnr"] = reached
    return build_training_page(
        TrainingFacts(
            title=recipe.name,
            summary=recipe.summary,
            kind=recipe.kind,
            recipe=recipe.model_dump(mode="json", exclude_defaults=True, exclude_none=True),
            output="out/it's here",
            rows=rows,
            scores=[
                ValidationScore("soft", "psnr", "validation_soft_psnr", "dB", True, 28.25),
                ValidationScore("soft", "ssim", "validation_soft_ssim", "1", True, 0.85),
            ],
            sheets=[SampleSheet(50, png()), SampleSheet(500, png())],
            code_version="0.1.0",
        )
    )


@pytest.mark.parametrize(
    ("reached", "said"),
    [
        (30.5, "psnr 30.50 dB on soft after 500 steps: 2.25 dB better than its input, which has 28.25 dB."),
        (28.0, "psnr 28.00 dB on soft after 500 steps: 0.25 dB worse than its input, which has 28.25 dB."),
        (28.251, "psnr 28.25 dB on soft after 500 steps: the same as its input, which has 28.25 dB."),
    ],
)
def test_the_page_holds_the_network_against_its_input(reached, said):
    html = training_page(reached)
    assert said in html
    assert html.count("; the input has ") == 2, "alternative texts too"
    row = re.search(r'<th scope="row">soft</th><td>psnr</td>(.*?)</tr>', html)[1]
    network, of_input, _, unit, better = re.findall("<td>(.*?)</td>", row)
    assert (network, of_input, unit, better) == (f"{reached:.2f}", "28.25", "dB", "higher")


def test_the_page_serves_phones_the_dark_and_those_who_do_not_see():
    html = training_page()
    elements = Page(html).elements
    metas = {each.get("name"): each.get("content") for tag, each in elements if tag == "meta"}
    assert metas["viewport"] == "width=device-width, initial-scale=1"
    assert metas["color-scheme"] == "light dark"
    assert "Small, &lt; 1 MB." in html
    assert all(each.get("alt") for tag, each in elements if tag == "img")
    figures = [each for _, each in elements if each.get("role") == "img"]
    assert len(figures) == 2 + 5
    assert all("over the steps: " in each["aria-label"] for each in figures)
    drawings = re.findall(r"<svg.*?</svg>", html, re.S)
    assert len(drawings) == len(figures)
    assert all("var(--ink)" in each for each in drawings)
    assert any(">images/s<" in each for each in drawings)
    assert sum(">input<" in each for each in drawings) == 2


def test_the_recipe_can_be_pasted():
    html = training_page()
    pasted = unescape(re.search("<pre.*?<code>(.*?)</code>", html, re.S)[1]).partition("END_OF_RECIPE'\n")[2]
    recipe, _, commands = pasted.partition("END_OF_RECIPE\n")
    assert TrainingRecipe.parse(tomllib.loads(recipe)) == TrainingRecipe.parse(RECIPE)
    assert commands.strip() == "restora train recipe.toml 'out/it'\"'\"'s here'"
