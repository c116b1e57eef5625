"""The page as a browser lays it out: what is in sight, and what a keyboard can scroll."""

import re

import numpy as np
import pytest

from pipeline.report import RunProvenance, build_page
from pipeline.results.statistics import compare, summarise
from tests.browser import CHROMIUM, in_browser
from tests.metric_table import metric_table, protocol, row
from tests.pipeline.report.test_report import Page, photo_sample

METRICS = ("psnr", "ssim", "psnr_y", "ssim_y", "mae", "mse")
RESTORERS = ("ffdnet-colour", "total-variation", "median")
MEASURE = """<script>
const wide = (e) => [e.getBoundingClientRect().left, e.getBoundingClientRect().right];
const all = (s) => [...document.querySelectorAll(s)];
const framed = all('iframe')[0];
framed.onload = () => {
  const page = framed.contentDocument, found = {};
  for (const s of ['td.n', '.crop', '.ranks', '.columns'])
    found[s] = [...page.querySelectorAll(s)].map(wide);
  found.page = page.documentElement.scrollWidth;
  found.cards = [...page.querySelectorAll('.ranking .scroll')].map(wide);
  document.title = JSON.stringify(found);
};
</script>"""


def benchmark_html(metrics=METRICS):
    rng = np.random.default_rng(0)
    rows = [
        row(f"{i}.png", name, **{m: 30 + rng.normal() if m in METRICS[:3:2] else 0.00171 for m in metrics})
        | {f"{m}_degraded": 20.0 if m in METRICS[:3:2] else 0.0171 for m in metrics}
        for name in RESTORERS
        for i in range(6)
    ] + [row("bad.png", name, reason="TRUNCATED", message="ends early") for name in RESTORERS]
    table = metric_table(rows, protocols={name: protocol(name) for name in metrics})
    sample = photo_sample(RESTORERS, scores={})
    return build_page(table, summarise(table), compare(table, "psnr"), [sample], RunProvenance(["a"]))


@pytest.fixture(scope="module")
def html():
    return benchmark_html()


def measured(html, tmp_path, width):
    """Left and right of the elements that ``MEASURE`` names, in a frame of this width."""
    (tmp_path / "page.html").write_text(html)
    frame = f'<iframe src="page.html" style="width:{width}px;height:900px;border:0"></iframe>'
    return in_browser(f"<title>-</title><body style='margin:0'>{frame}{MEASURE}", tmp_path)


def test_every_box_that_scrolls_takes_the_keyboard_and_has_a_name_of_its_own(html):
    boxes = [
        each
        for tag, each in Page(html).elements
        if each.get("class") in ("scroll", "commands") or tag == "pre"
    ]
    assert len(boxes) >= 6
    assert all((each.get("tabindex"), each.get("role")) == ("0", "region") for each in boxes)
    names = [each["aria-label"] for each in boxes]
    assert len(set(names)) == len(names)


def test_n_stands_beside_the_restorer(html):
    heads = re.search('<table class="ranks.*?</thead>', html, re.DOTALL)[0]
    assert re.findall(r'<th scope="col"[^>]*>([a-zA-Z]\w*)</th>', heads)[:3] == ["Restorer", "n", "psnr"]


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
@pytest.mark.parametrize("width", [1400, 390])
def test_n_is_in_sight_and_crops_are_whole(html, tmp_path, width):
    found = measured(html, tmp_path, width)
    assert found["page"] <= width
    right = found["cards"][0][1]
    assert len(found["td.n"]) == 3
    assert all(0 <= left < end <= right for left, end in found["td.n"])
    assert len(found[".crop"]) == 5
    assert all(0 <= left < end <= found[".columns"][0][1] + 1 <= width for left, end in found[".crop"])
    assert width < 1400 or found[".ranks"][0][1] <= right + 1
