"""The page of a restore run: what was done and what to look at, never who is best."""

from pipeline.report import pick_samples
from pipeline.report.attention import focus
from pipeline.report.page import build_page
from pipeline.report.run_provenance import RunProvenance
from pipeline.results.statistics import summarise
from tests.metric_table import metric_table, protocol, row
from tests.pipeline.report.test_report import Page, photo_sample

MOVED = {
    name: protocol(name, higher_is_better=False, unit="fraction of the data range")
    for name in ("consistency", "consistency_worst_tile")
}
SCORES = {"still.png": 0.001, "little.png": 0.01, "far.png": 0.2, "middle.png": 0.05}


def restore_html(scores=SCORES, names=tuple(MOVED), quarantined=1, also=lambda table: table):
    rows = [
        row(key, "net", degradation="none", **dict.fromkeys(names, score)) for key, score in scores.items()
    ]
    rows += [row(f"bad{i}.png", "net", degradation="none", reason="TRUNCATED") for i in range(quarantined)]
    protocols = {name: MOVED.get(name) or protocol(name, unit="1") for name in names}
    table = also(metric_table(rows, kind="restore", protocols=protocols))
    samples = [
        photo_sample(
            ("net",), key=pick.key, degradation="none", rank=pick.rank, reference_HWC=None, scores={}
        )
        for pick in pick_samples(table, focus(names))
    ]
    return build_page(table, summarise(table), None, samples, RunProvenance(["restora benchmark job.toml"]))


def restore_page(**options):
    return Page(restore_html(**options))


def test_it_leads_with_what_was_done_and_what_moved_most():
    page = restore_page()
    said = page.text
    assert "4 of 5 images restored by net; 1 quarantined. Look first at far.png, which moved most" in said
    assert "1 image is quarantined: TRUNCATED 1" in said
    keys = [said.index(key, said.index("Images that moved most")) for key in ("far.png", "middle.png")]
    assert keys == sorted(keys)


def test_nothing_is_called_best_and_one_restorer_is_no_ranking():
    page = restore_page()
    assert "Ranking" not in page.text
    assert "lower is better" not in page.text
    assert "how far from the input" in page.text
    assert "best" not in page.text.partition("Protocols")[0].split()
    assert not any("best" in (each.get("class") or "").split() for _, each in page.elements)
    assert {"moved most", "moved least"} <= {text.strip() for text in page.texts}


def test_movement_says_where_to_look_whatever_metric_comes_first():
    assert focus(("niqe", "consistency")) == "consistency"
    assert "Look first at far.png, which moved most" in restore_page(names=("niqe", "consistency")).text


def test_other_metrics_point_at_what_scores_worst():
    assert "Look first at still.png, which scores worst: niqe 0.001" in restore_page(names=("niqe",)).text
