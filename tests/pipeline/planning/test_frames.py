"""Datasets of frames: planned, restored and scored scene by scene; what is wrong with one costs no other."""

import json

import numpy as np
import pytest

from pipeline.errors import JobError
from tests.helpers import benchmark, complete, encoded, fill, photograph, restore

RULE = r"(?P<scene>.+)_(?P<t>\d+)\.png"


def frame(scene, moved=0, height=32):
    whole = photograph(scene, 40, 52)
    return encoded(whole[moved : moved + height, 2 * moved : 2 * moved + 40])


@pytest.fixture
def scenes(tmp_path):
    files = {f"{name}_{t}.png": frame(name == "b", t - 8) for name in "ab" for t in (8, 9, 10)}
    fill(tmp_path / "frames", files)
    return tmp_path


def run(place, group=RULE, **fields):
    datasets = [{"name": "stacks", "uri": str(place / "frames"), "group": group}]
    job = restore(place / "frames", place / "out", datasets=datasets, restorers=["temporal-median"], **fields)
    return {row["key"]: row for row in complete(job)}


def test_a_scene_is_one_source_restored_with_its_frames_in_order_of_time(scenes):
    rows = run(scenes)
    assert {key: row["status"] for key, row in rows.items()} == {"a_8.png": "ok", "b_8.png": "ok"}
    assert json.loads(rows["a_8.png"]["condition"])["frames"] == 3
    assert sorted(each.name for each in (scenes / "out").glob("*.png")) == ["a_8.png", "b_8.png"]
    fill(scenes / "frames", {"b_10.png": frame(1, 1)})  # another version of one frame: that scene again
    again = run(scenes)
    assert again["a_8.png"]["source_id"] == rows["a_8.png"]["source_id"]
    assert again["b_8.png"]["source_id"] != rows["b_8.png"]["source_id"]


def test_what_is_wrong_with_a_scene_is_its_row_alone(scenes):
    fill(
        scenes / "frames",
        {
            "gap_1.png": frame(2),
            "gap_3.png": frame(2, 1),
            "twice_1.png": frame(2),
            "twice_01.png": frame(2, 1),
            "alone_1.png": frame(2),
            "size_1.png": frame(2),
            "size_2.png": frame(2, 1, height=30),
            "broken_1.png": frame(2),
            "broken_2.png": frame(2)[:200],
            "other.png": frame(2),
        },
    )
    rows = run(scenes, {"match": RULE, "contiguous": True})
    found = {key: (row["reason"], row["stage"]) for key, row in rows.items() if row["status"] != "ok"}
    assert found == {
        "gap_1.png": ("FRAMES_MISSING", "condition"),
        "twice_01.png": ("FRAMES_UNORDERED", "condition"),
        "alone_1.png": ("FRAMES_MISSING", "condition"),
        "size_1.png": ("FRAME_UNFIT", "condition"),
        "broken_1.png": ("FRAME_UNFIT", "condition"),
        "other.png": ("FRAMES_UNORDERED", "condition"),
    }
    assert "times 2 are missing between 1 and 3" in rows["gap_1.png"]["message"]
    assert {rows["a_8.png"]["status"], rows["b_8.png"]["status"]} == {"ok"}


def test_each_frame_is_restored_by_those_around_it(scenes):
    fill(scenes / "frames", {"one_1.png": frame(2), "gap_1.png": frame(2), "gap_3.png": frame(2, 1)})
    rows = run(scenes, {"match": RULE, "around": 1, "contiguous": True})
    told = {key: json.loads(row["condition"]) for key, row in rows.items() if row["status"] == "ok"}
    assert {key: (each["frames"], each.get("place", 0)) for key, each in told.items()} == {
        f"{name}_{t}.png": seen for name in "ab" for t, seen in ((8, (2, 0)), (9, (3, 1)), (10, (2, 1)))
    }
    assert {key: row["reason"] for key, row in rows.items() if row["status"] != "ok"} == dict.fromkeys(
        ("one_1.png", "gap_1.png", "gap_3.png"), "FRAMES_MISSING"
    )
    fill(scenes / "frames", {"a_11.png": frame(0, 3)})
    again = run(scenes, {"match": RULE, "around": 1, "contiguous": True})
    changed = [key for key, row in again.items() if rows.get(key, {}).get("source_id") != row["source_id"]]
    assert sorted(changed) == ["a_10.png", "a_11.png"]  # alone those that have another neighbour


def test_a_manifest_says_which_rows_are_frames_and_in_which_order(scenes):
    lines = ["uri,group", "a_10.png,x", "b_8.png,y", "a_8.png,x", "b_9.png,", "a_9.png,x"]
    (scenes / "frames" / "list.csv").write_text("\n".join(lines))
    uri = str(scenes / "frames" / "list.csv")
    datasets = [{"name": "listed", "uri": uri, "group": {"listed": True}}]
    job = restore(scenes, scenes / "out", datasets=datasets, restorers=["temporal-median"])
    rows = {row["key"]: row for row in complete(job)}
    assert {key: (row["status"], row["reason"]) for key, row in rows.items()} == {
        "a_10.png": ("ok", None),
        "b_8.png": ("quarantined", "FRAMES_MISSING"),
        "b_9.png": ("quarantined", "FRAMES_UNORDERED"),
    }
    assert json.loads(rows["a_10.png"]["condition"])["frames"] == 3
    first = (scenes / "out" / "a_10.png").read_bytes()
    by_key = run(scenes)["a_8.png"]
    assert by_key["status"] == "ok"
    assert (scenes / "out" / "a_8.png").read_bytes() != first  # another frame is the image


def test_a_benchmark_makes_frames_and_scores_what_takes_them(scenes):
    degradation = {"name": "stack", "operators": [{"op": "burst", "frames": 5, "motion": 2.0}]}
    degradation["operators"].append({"op": "gaussian_noise", "sigma": 25})
    job = benchmark(
        scenes / "frames",
        scenes / "out",
        degradations=[degradation],
        restorers=["identity", "temporal-median"],
    )
    rows = complete(job)
    assert {row["status"] for row in rows} == {"ok"}
    gain = [row["psnr"] - row["psnr_degraded"] for row in rows if row["restorer"] == "temporal-median"]
    assert np.mean(gain) > 2


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"group": "(?P<name>.+)"}, r"group: match: needs a group \(\?P<scene>"),
        ({"group": "("}, "no regular expression"),
        ({"group": {"match": "(?P<scene>.+)", "contiguous": True}}, "contiguous: needs"),
        ({"group": RULE, "store": "tar"}, "not for tar"),
        ({"group": {"listed": True}}, "only a manifest has a column group"),
        ({"group": {"match": RULE, "listed": True}}, "give match, a rule for keys, or listed"),
        ({"group": {"match": RULE, "around": 0}}, "around"),
        ({}, "other frames of each scene; say with"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_with_the_cure(scenes, fields, said):
    datasets = [{"name": "stacks", "uri": str(scenes / "frames"), **fields}]
    with pytest.raises(JobError, match=said):
        complete(restore(scenes, scenes / "out", datasets=datasets, restorers=["temporal-median"]))


def test_a_group_that_no_restorer_uses_is_refused(scenes):
    datasets = [{"name": "stacks", "uri": str(scenes / "frames"), "group": RULE}]
    with pytest.raises(JobError, match=r"datasets\[0\].group: no restorer of the job takes it"):
        complete(restore(scenes, scenes / "out", datasets=datasets, restorers=["median"]))
