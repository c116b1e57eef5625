import numpy as np
import pyarrow.compute as pc
import pytest
from scipy import stats

from pipeline.results.bootstrap import BLOCKS, bootstrap_interval
from pipeline.results.statistics import compare, holm, protocols, signed_rank_p, summarise, worst
from tests.metric_table import PROTOCOLS, metric_table, row


def scored(scores_by_restorer, *, degraded=20.0, metric="psnr_y", **names):
    """Rows of images 000, 001, ...; a reason code in place of a number is a quarantined row."""
    rows = []
    for restorer, scores in scores_by_restorer.items():
        for i, score in enumerate(scores):
            if isinstance(score, str):
                rows.append(row(f"{i:03}", restorer, reason=score, **names))
            else:
                rows.append(
                    row(f"{i:03}", restorer, **{metric: score, f"{metric}_degraded": degraded}, **names)
                )
    return rows


def only(table, **wanted):
    matching = [each for each in table.to_pylist() if all(each[k] == v for k, v in wanted.items())]
    assert len(matching) == 1, (wanted, matching)
    return matching[0]


# -- intervals --


@pytest.mark.parametrize("n", [5, 14, 400])
def test_interval_is_scipys_bca(n):
    skewed = np.random.default_rng(n).gamma(2.0, 3.0, size=n)
    low, high = bootstrap_interval(skewed[:, None])
    theirs = stats.bootstrap(
        (skewed,), np.mean, n_resamples=40_000, method="BCa", rng=np.random.default_rng(0)
    ).confidence_interval
    width = theirs.high - theirs.low
    assert abs(low[0] - theirs.low) < 0.03 * width
    assert abs(high[0] - theirs.high) < 0.03 * width


def test_interval_of_skewed_scores_is_not_the_percentile_one():
    skewed = np.random.default_rng(3).gamma(0.5, 3.0, size=20)
    low, high = bootstrap_interval(skewed[:, None])
    assert high[0] - skewed.mean() > 1.2 * (skewed.mean() - low[0])


def test_interval_over_blocks_of_many_images_is_that_of_the_normal_law():
    n = 5 * BLOCKS + 7
    scores = np.random.default_rng(1).gamma(2.0, 3.0, size=n)
    low, high = bootstrap_interval(scores[:, None])
    half = 1.96 * scores.std() / np.sqrt(n)
    assert (high[0] - low[0]) / 2 == pytest.approx(half, rel=0.05)
    assert (high[0] + low[0]) / 2 == pytest.approx(scores.mean(), abs=0.1 * half)


def test_interval_covers_the_true_mean_nineteen_times_of_twenty():
    draws = np.random.default_rng(8).normal(30.0, 2.0, size=(60, 2_000))
    low, high = bootstrap_interval(draws)
    coverage = np.mean((low <= 30.0) & (high >= 30.0))
    assert 0.92 < coverage < 0.965


@pytest.mark.parametrize("n", [12, 60])
def test_interval_leaves_missing_images_out_column_by_column(n):
    full = np.random.default_rng(4).gamma(2.0, 3.0, size=(n, 1))
    holes = np.where(np.arange(n)[:, None] % 3 == 0, np.nan, full)
    low, high = bootstrap_interval(np.hstack([full, holes]))
    theirs = stats.bootstrap(
        (holes[~np.isnan(holes)],), np.mean, n_resamples=40_000, rng=np.random.default_rng(0)
    ).confidence_interval
    assert low[1] == pytest.approx(theirs.low, abs=0.04 * (theirs.high - theirs.low))
    assert high[1] == pytest.approx(theirs.high, abs=0.04 * (theirs.high - theirs.low))
    assert low[0] != low[1]


def test_interval_of_one_is_undefined_and_of_equals_a_point():
    low, high = bootstrap_interval(np.array([[0.3, 5.0], [0.3, np.nan], [0.3, np.nan]]))
    assert (low[0], high[0]) == (0.3, 0.3)
    assert np.isnan([low[1], high[1]]).all()


def test_intervals_are_the_same_on_a_repeated_call():
    scores = np.random.default_rng(5).normal(size=(9, 2))
    np.testing.assert_array_equal(bootstrap_interval(scores), bootstrap_interval(scores))


# -- summary --


def test_summary_of_a_hand_made_case():
    scores = [30.0, 32.0, 40.0, float("inf"), None, "TRUNCATED"]
    found = only(summarise(metric_table(scored({"tv": scores}))))
    assert found["mean"] == 34.0
    assert found["median"] == 32.0
    assert (found["n"], found["n_infinite"], found["n_undefined"], found["n_quarantined"]) == (3, 1, 1, 1)
    assert found["mean_degraded"] == 20.0
    assert found["gain"] == 14.0
    assert found["low"] < 34.0 < found["high"]


def test_gain_is_positive_where_a_lower_is_better_metric_fell():
    rows = scored({"tv": [0.1, 0.2]}, degraded=0.4, metric="mse")
    found = only(summarise(metric_table(rows, protocols={"mse": PROTOCOLS["mse"]})))
    assert found["gain"] == pytest.approx(0.25)
    assert found["gain_low"] > 0


def test_summary_keeps_datasets_degradations_and_metrics_apart():
    rows = scored({"tv": [30.0]}, dataset="a") + scored({"tv": [31.0]}, dataset="b")
    rows += scored({"tv": [32.0], "nlm": [33.0]}, dataset="b", degradation="noise-25")
    table = summarise(metric_table(rows, protocols=PROTOCOLS))
    assert table.num_rows == 4 * 2
    assert only(table, dataset="b", degradation="noise-25", restorer="nlm", metric="psnr_y")["mean"] == 33.0
    assert only(table, dataset="a", restorer="tv", metric="psnr_y")["mean"] == 30.0
    assert only(table, dataset="a", restorer="tv", metric="mse")["n_undefined"] == 1


def test_summary_agrees_with_pandas_on_many_rows_in_any_order():
    rng = np.random.default_rng(2)
    scores = {name: list(rng.normal(30, 3, 40)) for name in ("a", "b", "c")}
    table = metric_table(scored(scores)).take(rng.permutation(120))
    expected = table.to_pandas().groupby("restorer")["psnr_y"].agg(["mean", "median"])
    for each in summarise(table).to_pylist():
        assert each["mean"] == pytest.approx(expected.loc[each["restorer"], "mean"], rel=1e-12)
        assert each["median"] == expected.loc[each["restorer"], "median"]


@pytest.mark.parametrize(
    ("scores", "n", "mean", "low"),
    [
        ([30.0], 1, 30.0, None),
        ([30.0, 30.0, 30.0], 3, 30.0, 30.0),
        (["EMPTY", "EMPTY"], 0, None, None),
        ([float("inf"), float("inf")], 0, None, None),
    ],
)
def test_summary_of_degenerate_groups(scores, n, mean, low):
    found = only(summarise(metric_table(scored({"tv": scores}))))
    assert (found["n"], found["mean"], found["low"]) == (n, mean, low)


def test_tables_without_metrics_or_rows_give_empty_summaries():
    restored = metric_table([row("a", "tv", degradation="none")], kind="restore", protocols={})
    assert summarise(restored).num_rows == 0
    assert summarise(metric_table([])).num_rows == 0
    assert protocols(restored) == {}


def test_two_rows_for_one_image_are_refused():
    with pytest.raises(ValueError, match="more than one row"):
        summarise(metric_table(scored({"tv": [30.0]}) + scored({"tv": [31.0]})))


def test_summary_survives_parquet(tmp_path):
    import pyarrow.parquet as pq

    table = metric_table(scored({"tv": [30.0, 31.0], "nlm": [30.5, 29.0]}))
    pq.write_table(table, tmp_path / "m.parquet")
    assert summarise(pq.read_table(tmp_path / "m.parquet")).equals(summarise(table))


# -- comparisons --


def test_comparison_agrees_with_scipy_on_the_differences():
    rng = np.random.default_rng(6)
    a = rng.normal(30, 4, 30)
    b = a - rng.normal(0.5, 0.8, 30)
    found = only(compare(metric_table(scored({"a": list(a), "b": list(b)})), "psnr_y"))
    theirs = stats.bootstrap((a - b,), np.mean, n_resamples=40_000, rng=np.random.default_rng(0))
    interval = theirs.confidence_interval
    assert found["difference"] == pytest.approx(np.mean(a - b))
    assert found["low"] == pytest.approx(interval.low, abs=0.03 * (interval.high - interval.low))
    assert found["high"] == pytest.approx(interval.high, abs=0.03 * (interval.high - interval.low))
    assert found["p"] == pytest.approx(stats.wilcoxon(a, b).pvalue)
    assert found["win_rate"] == pytest.approx(np.mean(a > b))
    assert found["better"] == "a"


def test_comparison_pairs_images_not_positions():
    rows = scored({"a": [30.0, 20.0, 10.0]}) + scored({"b": [29.0, 19.0, 9.0]})[::-1]
    found = only(compare(metric_table(rows), "psnr_y"))
    assert (found["difference"], found["low"], found["high"], found["win_rate"]) == (1.0, 1.0, 1.0, 1.0)


def test_comparison_uses_only_images_both_have():
    rows = scored({"a": [30.0, "CRASHED", 31.0, float("inf")], "b": [29.0, 28.0, 33.0, 30.0]})
    found = only(compare(metric_table(rows), "psnr_y"))
    assert (found["n"], found["difference"]) == (2, -0.5)
    assert found["win_rate"] == pytest.approx(2 / 3)  # the infinite score wins its image
    assert found["better"] is None


def test_lower_is_better_turns_the_winner_but_not_the_difference():
    a, b = [0.10, 0.12, 0.11, 0.13, 0.10], [0.20, 0.21, 0.22, 0.25, 0.2]
    rows = scored({"a": a, "b": b}, metric="mse")
    found = only(compare(metric_table(rows, protocols={"mse": PROTOCOLS["mse"]}), "mse"))
    assert found["difference"] < 0
    assert (found["better"], found["win_rate"]) == ("a", 1.0)


def test_equal_restorers_are_tied():
    found = only(compare(metric_table(scored({"a": [30.0, 31.0], "b": [30.0, 31.0]})), "psnr_y"))
    assert (found["difference"], found["p"], found["p_holm"], found["win_rate"]) == (0.0, 1.0, 1.0, 0.5)
    assert found["better"] is None


@pytest.mark.parametrize("scores", [{"a": [30.0], "b": [31.0]}, {"a": ["EMPTY"], "b": [31.0]}])
def test_one_pair_or_none_decides_nothing(scores):
    found = only(compare(metric_table(scored(scores)), "psnr_y"))
    assert found["better"] is None
    assert found["low"] is None


def test_a_single_restorer_has_no_pairs():
    assert compare(metric_table(scored({"a": [30.0, 31.0]})), "psnr_y").num_rows == 0


def test_holm_correction_of_holms_scheme_by_hand():
    # 0.01 x 4, 0.02 x 3, 0.03 x 2 = 0.06, 0.04 x 1 raised to the 0.06 before it
    np.testing.assert_allclose(
        holm(np.array([0.03, 0.01, np.nan, 0.04, 0.02])), [0.06, 0.04, np.nan, 0.06, 0.06]
    )
    np.testing.assert_allclose(holm(np.array([0.9, 0.8])), [1.0, 1.0])


def test_p_is_corrected_within_one_dataset_and_degradation():
    rng = np.random.default_rng(7)
    scores = {name: list(rng.normal(30 + 0.3 * i, 1, 25)) for i, name in enumerate("abc")}
    table = compare(metric_table(scored(scores, dataset="x") + scored(scores, dataset="y")), "psnr_y")
    assert table.num_rows == 6
    p, corrected = (np.array(table.filter(pc.equal(table["dataset"], "x"))[c]) for c in ("p", "p_holm"))
    smallest = np.argmin(p)
    assert corrected[smallest] == pytest.approx(min(1.0, 3 * p[smallest]))
    assert corrected.max() >= p.max()


@pytest.mark.parametrize("count", [1, 2, 5, 8, 14, 50, 51, 200])
@pytest.mark.parametrize("kind", ["plain", "tied", "with zeros"])
def test_signed_rank_p_is_scipys(count, kind):
    """Of 13 with ties, the most that are counted, scipy tries all signs one by one for seconds."""
    rng = np.random.default_rng(count)
    for shift in (0.0, 0.3, 2.0):
        drawn = rng.normal(shift, 1.0, count)
        difference = drawn if kind == "plain" else np.round(2 * drawn) + (kind == "tied") * 0.25
        if difference.any():
            assert signed_rank_p(difference) == pytest.approx(stats.wilcoxon(difference).pvalue, rel=1e-9)
    assert signed_rank_p(np.zeros(count)) == 1.0


def test_exact_signed_rank_p_of_five_gains_is_one_in_sixteen():
    assert signed_rank_p(np.array([0.1, 0.2, 0.3, 0.4, 0.5])) == pytest.approx(2 / 2**5)
    assert np.isnan(signed_rank_p(np.array([])))


def test_unknown_metric_is_named_with_the_cure():
    with pytest.raises(ValueError, match=r"metric 'lpips'.*psnr_y"):
        compare(metric_table(scored({"a": [30.0]})), "lpips")


# -- worst images --


def test_worst_lists_the_lowest_of_a_higher_is_better_metric():
    table = metric_table(scored({"a": [30.0, 10.0, None, 20.0, "EMPTY", float("inf")]}))
    found = worst(table, "psnr_y", n=2).to_pylist()
    assert [(each["rank"], each["key"], each["score"]) for each in found] == [
        (1, "001", 10.0),
        (2, "003", 20.0),
    ]


def test_worst_lists_the_highest_of_a_lower_is_better_metric():
    rows = scored({"a": [0.1, 0.5, 0.3]}, metric="mse")
    found = worst(metric_table(rows, protocols={"mse": PROTOCOLS["mse"]}), "mse", n=1).to_pylist()
    assert [each["key"] for each in found] == ["001"]
