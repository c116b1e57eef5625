"""The plane of distortion against perception: which scores it holds against each other, and what it says."""

import re

from pipeline.report.planes import planes_of
from pipeline.results.statistics import protocols, summarise
from tests.metric_table import metric_table, protocol, row

SCORES = {"sharp": ((31.0, 33.0), (0.2, 0.4)), "smooth": ((34.0, 36.0), (0.7, 0.9))}
PROTOCOLS = {
    "psnr": protocol("psnr"),
    "lpips_lite0": protocol("lpips_lite0", higher_is_better=False, unit="1"),
}


def table(scores, known):
    rows = [
        row(f"{i}.png", restorer, **{name: each[i] for name, each in zip(known, pairs, strict=False)})
        | {"psnr_degraded": 20.0, "lpips_lite0_degraded": 2.0}
        for restorer, pairs in scores.items()
        for i in range(2)
    ]
    return metric_table(rows, protocols=known)


def planes(scores=SCORES, known=PROTOCOLS):
    made = table(scores, known)
    return planes_of(summarise(made), protocols(made))


def label(drawing, text):
    """Left and top of a label of the drawing."""
    (found,) = re.findall(
        rf'<text [^>]*?text-anchor: start[^>]*? x="([\d.]+)" y="([\d.]+)"[^>]*>{text}</text>', drawing
    )
    return tuple(map(float, found))


def test_better_is_to_the_right_and_up_whichever_way_a_score_points():
    (plane,) = planes()
    assert (plane.distortion, plane.perception) == ("psnr", "lpips_lite0")
    assert [each[:2] for each in plane.rows] == [("1", "smooth"), ("2", "sharp"), ("", "input")]
    assert plane.rows[1][2:] == ("32.00 (31.00 to 33.00)", "0.300 (0.200 to 0.400)")
    smooth, sharp, degraded = (label(plane.drawing, text) for text in ("1", "2", "input"))
    assert degraded[0] < sharp[0] < smooth[0], "more decibels are to the right"
    assert sharp[1] < smooth[1] < degraded[1], "a smaller distance is further up"


def test_without_a_score_of_either_kind_there_is_none():
    assert planes({name: each[:1] for name, each in SCORES.items()}, {"psnr": PROTOCOLS["psnr"]}) == []
    assert (
        planes({n: each[1:] for n, each in SCORES.items()}, {"lpips_lite0": PROTOCOLS["lpips_lite0"]}) == []
    )
