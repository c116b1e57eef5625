import base64
import io
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image
from skimage import data

from pipeline.report import Pick, RunProvenance, Sample, build_page, pick_samples
from pipeline.report.crop_window import most_different
from pipeline.report.figures import Distribution, Interval, distributions, gains
from pipeline.report.notation import decimals_for, duration, number
from pipeline.report.sample import PICTURES
from pipeline.report.sheets import magma, make_sheet
from pipeline.results.statistics import compare, summarise
from tests.metric_table import PROTOCOLS, metric_table, row

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """The page as a browser's parser sees it: elements, texts, and whether tags close in order."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.open, self.texts = [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, (tag, self.getpos())

    def handle_data(self, text):
        if not self.open or self.open[-1] not in ("style", "script"):
            self.texts.append(text)

    @property
    def text(self):
        return re.sub(r"\s+", " ", "".join(self.texts))

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def page_of(table, samples=(), metric="psnr_y", **provenance):
    comparisons = compare(table, metric) if metric else None
    return build_page(table, summarise(table), comparisons, samples, RunProvenance(**provenance))


def rows_of(scores_by_restorer, *, degraded=20.0, **names):
    return [
        row(f"{i:03}.png", restorer, psnr_y=score, psnr_y_degraded=degraded, **names)
        for restorer, scores in scores_by_restorer.items()
        for i, score in enumerate(scores)
    ]


def decoded(uri):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


def noisy(image, sigma, seed=0):
    noise = np.random.default_rng(seed).normal(0, sigma, image.shape)
    return np.clip(np.rint(image + noise), 0, 255).astype(np.uint8)


def photo_sample(restorers=("strong", "weak"), **changes):
    reference = data.astronaut()[:200, :300]
    restored = {name: noisy(reference, 5 + 5 * i, seed=i) for i, name in enumerate(restorers)}
    fields = {
        "dataset": "set",
        "key": "000.png",
        "degradation": "bicubic-x4",
        "rank": "best",
        "reference_HWC": reference,
        "degraded_HWC": noisy(reference, 30),
        "restored": restored,
        "scores": {name: {"psnr_y": 30.0 - i} for i, name in enumerate(restorers)},
    }
    return Sample(**(fields | changes))


STRONG_AND_WEAK = {"strong": [31.0, 32.0, 33.0, 34.5], "weak": [30.0, 31.2, 31.9, 33.0]}


# -- the page as a document --


def test_page_is_one_file_that_asks_nothing_of_the_network():
    html = page_of(
        metric_table(rows_of(STRONG_AND_WEAK)), [photo_sample()], commands=["restora benchmark j.toml"]
    )
    page = Page(html)
    for tag, attributes in page.elements:
        assert tag not in ("script", "link", "iframe", "object"), tag
        for name in ("src", "href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/")), (
                tag,
                attributes[name][:60],
            )
    assert not re.search(r"url\((?!data:image/|#)", html)
    assert "@import" not in html


def test_page_can_be_read_aloud_and_walked_by_keyboard():
    page = Page(page_of(metric_table(rows_of(STRONG_AND_WEAK)), [photo_sample()]))
    assert page.all("html")[0]["lang"] == "en"
    assert len(page.all("img")) == 4 * 3 - 1
    assert all(image["alt"].strip() for image in page.all("img"))
    ids = Counter(attributes["id"] for _, attributes in page.elements if "id" in attributes)
    assert max(ids.values()) == 1
    targets = {link["href"][1:] for link in page.all("a")}
    assert targets <= set(ids)
    assert len(page.all("h1")) == 1
    assert all(name.get("scope") for name in page.all("th"))


def test_everything_users_name_is_escaped():
    evil = "<script>alert('x')</script>&\"'"
    rows = rows_of({evil: [30.0, 31.0], "weak": [29.0, 29.5]}, dataset=evil, degradation=evil)
    rows.append(row(evil, evil, dataset=evil, degradation=evil, reason="TRUNCATED", message=evil))
    sample = photo_sample((evil,), key=evil, dataset=evil, degradation=evil, scores={evil: {"psnr_y": 30.0}})
    html = page_of(
        metric_table(rows, job={"name": evil, "x": evil}),
        [sample],
        commands=[evil],
        versions={evil: evil},
        hardware=evil,
    )
    page = Page(html)
    assert page.all("script") == []
    assert "<script" not in html
    assert page.text.count(evil) >= 10


def test_same_input_gives_the_same_bytes():
    table = metric_table(rows_of(STRONG_AND_WEAK))
    assert page_of(table, [photo_sample()]) == page_of(table, [photo_sample()])


def test_report_is_imported_without_matplotlib_and_never_loads_pyplot():
    program = (
        "import sys, numpy as np, pipeline.report as r; assert 'matplotlib' not in sys.modules\n"
        "from pipeline.report.figures import *; gains([Interval('a', 1.0, .5, 2.0)], 'dB', 'g')\n"
        "assert 'matplotlib.pyplot' not in sys.modules and 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


# -- what it says --


def test_numbers_on_the_page_are_those_of_the_summary():
    table = metric_table(rows_of(STRONG_AND_WEAK))
    text = Page(page_of(table, seconds=4.0, rows_done=8)).text
    summary = {each["restorer"]: each for each in summarise(table).to_pylist()}
    for each in summary.values():
        assert f"{each['mean']:.2f}" in text
        assert f"{each['low']:.2f} to {each['high']:.2f}" in text
        assert f"+{each['gain']:.2f}" in text
    assert "2.0 rows/s" in text
    assert "10 log10(1 / MSE)" in text


def test_best_is_claimed_only_where_the_paired_interval_excludes_zero():
    apart = Page(page_of(metric_table(rows_of(STRONG_AND_WEAK)))).text
    assert "strong is best on set under bicubic-x4: 32.62 dB psnr_y" in apart
    close = {"a": [30.0, 35.0, 32.0, 31.0], "b": [31.0, 33.0, 32.5, 31.2], "far": [20.0, 21.0, 20.0, 19.0]}
    tied = Page(page_of(metric_table(rows_of(close)))).text
    assert "a and b are tied" in tied
    assert "far tied" not in tied


def test_nobody_is_called_best_where_nothing_was_compared():
    table = metric_table(rows_of(STRONG_AND_WEAK))
    page = Page(build_page(table, summarise(table), None, [], RunProvenance()))
    assert "strong comes first on set under bicubic-x4 at 32.62 dB psnr_y." in page.text
    assert not any("mark" in (mark.get("class") or "") for mark in page.all("tr"))


def test_lower_is_better_turns_the_ranking():
    rows = [
        row(f"{i}", name, mse=value + i / 100, mse_degraded=0.9)
        for name, value in (("low", 0.1), ("high", 0.3))
        for i in range(4)
    ]
    text = Page(page_of(metric_table(rows, protocols={"mse": PROTOCOLS["mse"]}), metric="mse")).text
    assert "low is best" in text
    assert text.index("1 low best") < text.index("2 high")


def test_many_combinations_have_a_headline_that_counts():
    rows = [each for i in range(5) for each in rows_of(STRONG_AND_WEAK, degradation=f"noise-{i}")]
    assert "strong is best in 5 of 5 combinations" in Page(page_of(metric_table(rows))).text


def test_quarantine_is_grouped_by_reason_with_its_meaning():
    rows = rows_of(STRONG_AND_WEAK)
    rows += [
        row(f"bad{i:03}.png", name, reason="TRUNCATED", message="ends early")
        for i in range(70)
        for name in ("a", "b")
    ]
    rows += [row("cmyk.jpg", "a", reason="UNSUPPORTED_COLOUR", message="CMYK")]
    text = Page(page_of(metric_table(rows))).text
    assert "141 rows of 149 could not be processed" in text
    assert "TRUNCATED the pixel data end early 140" in text
    assert "a colour space that cannot be restored without loss" in text
    assert len(set(re.findall(r"bad\d{3}\.png", text))) == 25  # of 50 lines, half for each reason
    assert "45 more entries with this reason" in text


def test_infinite_scores_are_said():
    text = Page(page_of(metric_table(rows_of({"a": [30.0, 31.0, float("inf")]})))).text
    assert "+1 ∞" in text.replace("\xa0", " ")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "Nothing ran: the table is empty."),
        ([row("a", "x", reason="EMPTY"), row("b", "x", reason="EMPTY")], "all 2 rows are quarantined"),
        (
            rows_of({"x": [30.0]}),
            "x reaches 30.00 dB psnr_y on set under bicubic-x4, 10.00 dB better than its input.",
        ),
        (
            rows_of({"x": [30.0], "y": [31.0]}),
            "y comes first on set under bicubic-x4 at 31.00 dB psnr_y.",
        ),
        (rows_of({"x": [None, None]}), "2 of 2 images processed"),
    ],
)
def test_page_of_little(rows, said):
    assert said in Page(page_of(metric_table(rows))).text


def test_restore_run_shows_before_and_after_and_ranks_nobody():
    rows = [row(f"{i}.png", "net", degradation="none") for i in range(5)] + [
        row("bad", "net", degradation="none", reason="EMPTY")
    ]
    table = metric_table(rows, kind="restore", protocols={})
    picks = pick_samples(table, None, 2)
    assert [(pick.key, pick.rank) for pick in picks] == [("0.png", "example"), ("4.png", "example")]
    samples = [
        photo_sample(("net",), key=p.key, degradation="none", rank=p.rank, reference_HWC=None, scores={})
        for p in picks
    ]
    page = Page(page_of(table, samples, metric=None))
    assert "5 of 6 images restored by net; 1 quarantined." in page.text
    assert "Before and after" in page.text
    assert "Ranking" not in page.text
    assert len(page.all("img")) == 2 * (2 * 3 - 1)


# -- which images are shown --


def test_picks_are_best_median_and_worst_by_the_mean_over_restorers():
    rows = rows_of({"a": [30.0, 10.0, 20.0, 40.0, 25.0], "b": [30.0, 12.0, 20.0, 41.0, 25.0]})
    rows += [row("009.png", "a", reason="EMPTY"), row("009.png", "b", reason="EMPTY")]
    assert pick_samples(metric_table(rows), "psnr_y", 3) == [
        Pick("set", "003.png", "bicubic-x4", "best"),
        Pick("set", "004.png", "bicubic-x4", "median"),
        Pick("set", "001.png", "bicubic-x4", "worst"),
    ]


def test_picks_prefer_images_that_every_restorer_managed():
    rows = rows_of({"a": [30.0, 31.0, 32.0], "b": [30.0, 31.0]})
    assert "002.png" not in {pick.key for pick in pick_samples(metric_table(rows), "psnr_y")}


def test_picks_are_bounded_and_spread_over_the_combinations():
    rows = [
        each for i in range(40) for each in rows_of({"a": [30.0, 31.0, 32.0, 33.0]}, degradation=f"n{i:02}")
    ]
    picks = pick_samples(metric_table(rows), "psnr_y", 9)
    assert len(picks) == 9
    assert {pick.degradation for pick in picks} == {"n00", "n20", "n39"}
    wide = [each for i in range(9) for each in rows_of({f"r{i}": [30.0, 31.0, 32.0, 33.0]})]
    assert len(pick_samples(metric_table(wide), "psnr_y", 9)) * (2 + 6) <= PICTURES


@pytest.mark.parametrize("rows", [[], [row("a", "x", reason="EMPTY")], rows_of({"x": [None]})])
def test_nothing_to_pick(rows):
    assert pick_samples(metric_table(rows), "psnr_y") == []


# -- pictures --


def test_crop_lies_where_the_restorers_differ():
    disagreement = np.full((300, 400), 0.1)
    disagreement[200:230, 310:340] = 5.0
    window = most_different(disagreement)
    top, left = window.top * 300, window.left * 400
    assert top <= 200
    assert top + window.height * 300 >= 230
    assert left <= 310
    assert left + window.width * 400 >= 340


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (7, 3), (41, 500)])
def test_crop_fits_images_of_any_size(shape):
    window = most_different(np.ones(shape))
    assert window.cut(np.zeros((*shape, 3), np.uint8)).size > 0
    assert window.top >= 0
    assert window.top + window.height <= 1 + 1e-9
    assert window.left + window.width <= 1 + 1e-9


def test_crops_are_the_true_pixels_of_the_same_place():
    sample = photo_sample()
    sheet = make_sheet(sample, {})
    names = {"Reference": sample.reference_HWC, "Degraded": sample.degraded_HWC, **sample.restored}
    height, width = sample.reference_HWC.shape[:2]
    top, left = round(sheet.window.top * height), round(sheet.window.left * width)
    side = round(sheet.window.height * height)
    for picture in sheet.pictures:
        expected = names[picture.name][top : top + side, left : left + side]
        np.testing.assert_array_equal(decoded(picture.crop), expected)


def test_difference_maps_hold_the_mean_absolute_difference_on_one_scale():
    reference = np.full((64, 64, 3), 100, np.uint8)
    restored = reference.copy()
    restored[:, 32:] += 40
    sample = photo_sample(
        ("half",), reference_HWC=reference, degraded_HWC=reference + 20, restored={"half": restored}
    )
    sheet = make_sheet(sample, {})
    base, degraded, half = sheet.pictures
    assert base.difference is None
    assert (degraded.mean_difference, half.mean_difference) == (20.0, 20.0)
    assert sheet.brightest == 40
    drawn = decoded(half.difference).astype(int)
    assert np.abs(drawn[32, 8] - magma()[0]).max() < 12  # JPEG
    assert np.abs(drawn[32, 56] - magma()[255]).max() < 12
    assert np.abs(decoded(degraded.difference).astype(int)[32, 32] - magma()[128]).max() < 12


def test_smaller_input_and_enlarged_output_share_one_frame():
    reference = data.astronaut()[:200, :300]
    small = reference[::4, ::4]
    sheet = make_sheet(photo_sample(degraded_HWC=small), {})
    sizes = {picture.name: decoded(picture.crop).shape[0] for picture in sheet.pictures}
    assert sizes["Reference"] == pytest.approx(4 * sizes["Degraded"], abs=3)
    enlarged = make_sheet(
        photo_sample(("net",), reference_HWC=None, degraded_HWC=small, restored={"net": reference}), {}
    )
    assert [picture.size for picture in enlarged.pictures] == ["75 × 50", "300 × 200"]


@pytest.mark.parametrize("channels", [1, 2, 4, 7])
def test_sheets_of_grey_images_and_of_many_bands(channels):
    reference = np.random.default_rng(0).integers(0, 256, (90, 60, channels), dtype=np.uint8)
    sample = photo_sample(
        reference_HWC=reference,
        degraded_HWC=reference // 2,
        restored={"strong": reference // 3 * 3, "weak": reference // 5 * 5},
    )
    text = Page(page_of(metric_table(rows_of(STRONG_AND_WEAK)), [sample])).text
    assert "strong" in text
    shown = decoded(make_sheet(sample, {}).pictures[0].crop)
    assert shown.shape[2] == 3
    assert (np.ptp(shown, axis=2).max() == 0) == (channels < 3)


def test_sheets_show_the_best_six_and_name_the_rest():
    names = [f"r{i:02}" for i in range(9)]
    sheet = make_sheet(photo_sample(names), {name: 8 - i for i, name in enumerate(names)})
    assert [picture.name for picture in sheet.pictures[2:]] == ["r08", "r07", "r06", "r05", "r04", "r03"]
    assert sorted(sheet.hidden) == ["r00", "r01", "r02"]


def test_page_of_thirty_restorers_and_pure_noise_stays_small():
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (500, 700, 3), dtype=np.uint8) for _ in range(8)]
    names = [f"restorer-{i:02}" for i in range(30)]
    rows = [
        each
        for degradation in ("a", "b", "c")
        for each in rows_of({name: list(rng.normal(30, 2, 40)) for name in names}, degradation=degradation)
    ]
    sample = photo_sample(
        reference_HWC=noise[0],
        degraded_HWC=noise[1],
        restored=dict(zip(names, noise[2:] * 5, strict=True)),
        scores={},
    )
    page = page_of(metric_table(rows), [sample] * 9)
    assert len(page) < 8_000_000
    assert len(Page(page).all("img")) <= 3 * PICTURES
    assert "6 more sheets left out" in Page(page).text


# -- figures --


def marks_of(svg):
    """(x, y) of every dot: the moves of paths that are drawn as dots."""
    return re.findall(r"M ([\d.]+) ([\d.]+)\s*L \1 \2", svg)


def test_distribution_is_well_formed_and_has_a_dot_for_every_image():
    lines = [
        Distribution("first", np.array([30.0, 31.0, 35.0])),
        Distribution("b <&>", np.linspace(20, 25, 5)),
    ]
    svg = str(distributions(lines, "dB", "x"))
    root = ElementTree.fromstring(svg)
    assert root.tag.endswith("svg")
    assert {"first", "b <&>", "dB"} <= {text for text in root.itertext() if text.strip()}
    assert len(marks_of(svg)) == 8
    assert "var(--ink)" in svg


def test_a_million_scores_are_drawn_as_quantiles():
    scores = np.random.default_rng(0).normal(30, 3, 1_000_000)
    svg = str(distributions([Distribution("a", scores)], "dB", "x"))
    assert len(svg) < 20_000
    assert len(marks_of(svg)) == 120


def test_gains_right_of_zero_are_drawn_right_of_zero():
    svg = str(gains([Interval("better", 2.0, 1.0, 3.0), Interval("worse", -1.0, None, None)], "dB", "g"))
    uses = [
        float(x)
        for x in re.findall(
            r'<use [^>]*href="#g-[^"]*" x="([\d.]+)" y="[\d.]+" style="fill: var\(--accent', svg
        )
    ]
    assert len(uses) == 2
    assert uses[0] > uses[1]


# -- notation --


@pytest.mark.parametrize(
    ("values", "decimals"),
    [
        ([28.43, 30.1], 2),
        ([0.8113], 4),
        ([0.00123], 6),
        ([12345.0], 0),
        ([0.0], 2),
        ([], 2),
        ([None, 5.0], 3),
    ],
)
def test_decimals(values, decimals):
    assert decimals_for(values) == decimals


def test_numbers_as_people_read_them():
    assert number(-1.234, 2) == "−1.23"
    assert number(1.0, 1, signed=True) == "+1.0"
    assert (number(None, 2), number(float("nan"), 2), number(float("inf"), 2)) == ("–", "–", "∞")
    assert (duration(4.21), duration(74), duration(7_500)) == ("4.2 s", "1 min 14 s", "2 h 05 min")
