"""Manifests: tables that say which images there are, from end to end, and what is wrong with them."""

import gzip
import json
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.orc
import pyarrow.parquet as pq
import pytest

from pipeline import run
from pipeline.attached import Attached
from pipeline.doors import open_archive
from pipeline.errors import JobError, StorageError
from pipeline.jobs.job import Dataset, Job
from pipeline.ledger.run_folder import open_run
from pipeline.privacy.key import VARIABLE, make_key
from tests.canary import CANARY, hits
from tests.door_contract import listed
from tests.helpers import benchmark, complete, encoded, fill, photograph, plan_and_execute, restore

ANY_SHARE = {"threshold": 1.0, "stop_share": 1.0}
WRITERS = {
    "parquet": lambda rows, path: pq.write_table(pa.Table.from_pylist(rows), path),
    "orc": lambda rows, path: pyarrow.orc.write_table(pa.Table.from_pylist(rows), path),
    "jsonl": lambda rows, path: path.write_text("\n".join(map(json.dumps, rows))),
    "jsonl.gz": lambda rows, path: path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode())),
    "csv": lambda rows, path: path.write_text(text_of(rows, ",")),
    "tsv.gz": lambda rows, path: path.write_bytes(gzip.compress(text_of(rows, "\t").encode())),
}


def text_of(rows: list[dict], delimiter: str) -> str:
    cells = [list(rows[0])] + [["" if each is None else str(each) for each in row.values()] for row in rows]
    return "\n".join(delimiter.join(row) for row in cells)


def archive_at(path, **store):
    dataset = {"name": "list", "uri": str(path), "store": {"name": "manifest"} | store}
    return open_archive(Dataset.model_validate(dataset), str(path))


@pytest.mark.parametrize("kind", WRITERS)
def test_every_kind_of_table_says_the_same(tmp_path, kind):
    rows = [
        {"uri": f"a/{i}.png", "size": 100 + i, "etag": f'"e{i}"', "noise_level": i if i else None,
         "reference": f"s3://sharp/{i}.png"} for i in range(3)
    ]  # fmt: skip
    WRITERS[kind](rows, tmp_path / f"list.{kind}")
    entries = listed(archive_at(tmp_path / f"list.{kind}"))
    assert [(each.key, each.size, each.version, each.at) for each in entries] == [
        (f"a/{i}.png", 100 + i, f"e{i}", f"{tmp_path}/a/{i}.png") for i in range(3)
    ]
    assert [Attached.of(each.attached) for each in entries] == [
        Attached(reference=f"s3://sharp/{i}.png", noise_level=float(i) if i else None) for i in range(3)
    ]


@pytest.mark.parametrize(("row", "store", "key", "at"), [
    ({"uri": "s3://b/x/1.png"}, {}, "b/x/1.png", "s3://b/x/1.png"),
    ({"uri": "s3://b/x/1.png"}, {"base": "s3://b/x"}, "1.png", "s3://b/x/1.png"),
    ({"key": "x/1.png"}, {"base": "s3://b"}, "x/1.png", "s3://b/x/1.png"),
    ({"uri": "https://h/1.png?w=9"}, {}, "h/1.png", "https://h/1.png?w=9"),
    ({"path": "/data/1.png"}, {"columns": {"uri": "path"}}, "data/1.png", "/data/1.png"),
])  # fmt: skip
def test_what_an_address_is_called(tmp_path, row, store, key, at):
    WRITERS["parquet"]([row], tmp_path / "list.parquet")
    (entry,) = listed(archive_at(tmp_path / "list.parquet", **store))
    assert (entry.key, entry.at, entry.size, entry.version) == (key, at, -1, "")


def test_a_table_in_the_folder_that_one_is_in(tmp_path, monkeypatch):
    WRITERS["csv"]([{"uri": "a.png"}], tmp_path / "list.csv")
    monkeypatch.chdir(tmp_path)
    (entry,) = listed(archive_at("list.csv"))
    assert (entry.key, entry.at) == ("a.png", f"{tmp_path}/a.png")


@pytest.mark.parametrize(("rows", "store", "said"), [
    ([{"path": "a.png"}], {}, 'has neither a column "uri" nor "key"'),
    ([{"uri": "a.png"}], {"columns": {"size": "bytes"}}, "no column 'bytes' for size"),
    ([{"uri": "a.png"}, {"uri": "b.png"}, {"uri": "a.png"}], {}, "rows 1 and 3 name one image"),
    ([{"uri": "a.png"}, {"uri": None}], {}, "row 2 is empty"),
    ([{"uri": "a", "size": "12"}, {"uri": "b", "size": "x"}], {}, "row 2: size is 'x'"),
    ([{"uri": "a", "noise_level": -1.0}], {}, "row 1: noise_level is -1"),
    ([{"uri": "a", "noise_level": float("nan")}], {}, "row 1: noise_level is nan"),
    ([{"uri": "a", "noise_level": 300}], {}, "255 at most"),
    ([{"uri": "https://h/a.png?X-Amz-Signature=abc"}], {}, "row 1 holds a signed address"),
])  # fmt: skip
def test_a_wrong_table_is_refused_by_row_and_name(tmp_path, rows, store, said):
    WRITERS["csv" if "size" in rows[0] else "parquet"](rows, tmp_path / "list.csv" if "size" in rows[0]
                                                        else tmp_path / "list.parquet")  # fmt: skip
    with pytest.raises(JobError) as error:
        listed(archive_at(tmp_path / ("list.csv" if "size" in rows[0] else "list.parquet"), **store))
    assert said in str(error.value)


@pytest.mark.parametrize(("name", "data", "kind"), [
    ("list.parquet", b"PAR1 no", JobError), ("list.csv", b"", JobError), ("list.jsonl", b"{", JobError),
    ("list.csv.gz", b"plain", StorageError), ("manifest.json", b"[]", JobError),
    ("manifest.json", b"no", JobError), ("list.txt", b"a", JobError),
])  # fmt: skip
def test_a_damaged_table_is_no_empty_archive(tmp_path, name, data, kind):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(kind):
        listed(archive_at(tmp_path / name))


S3_ROWS = [("b", "a%20b/1.png", "true", "false", 7, "e1"), ("b", "old.png", "false", "false", 7, "e2"),
           ("b", "gone.png", "true", "true", "", ""), ("b", "folder/", "true", "false", 0, "e3"),
           ("b", "2.png", "true", "false", 9, "e4")]  # fmt: skip


@pytest.mark.parametrize("kind", ["CSV", "ORC", "Parquet"])
def test_an_inventory_of_s3_is_a_manifest(tmp_path, kind):
    names = ("Bucket", "Key", "IsLatest", "IsDeleteMarker", "Size", "ETag")
    folder = tmp_path / "inv/b/daily"
    (folder / "data").mkdir(parents=True)
    if kind == "CSV":
        text = "\n".join(",".join(f'"{cell}"' for cell in row) for row in S3_ROWS)
        (folder / "data/x.csv.gz").write_bytes(gzip.compress(text.encode()))
        file = "x.csv.gz"
    else:
        own = ("bucket", "key", "is_latest", "is_delete_marker", "size", "e_tag")
        rows = [dict(zip(own, (b, k.replace("%20", " "), latest == "true", gone == "true", s or None, e),
                         strict=True)) for b, k, latest, gone, s, e in S3_ROWS]  # fmt: skip
        file = f"x.{kind.lower()}"
        WRITERS[kind.lower()](rows, folder / "data" / file)
    manifest = {"sourceBucket": "b", "destinationBucket": "arn:aws:s3:::inv", "fileFormat": kind,
                "fileSchema": ", ".join(names), "files": [{"key": f"inv/b/daily/data/{file}"}]}  # fmt: skip
    dated = folder / "2026-11-27T01-00Z"
    dated.mkdir()
    (dated / "manifest.json").write_text(json.dumps(manifest))
    left_out: Counter[str] = Counter()
    archive = archive_at(dated / "manifest.json")
    entries = [each for page in archive.pages("*", left_out) for each in page]
    assert [(each.key, each.size, each.version, each.at) for each in entries] == [
        ("a b/1.png", 7, "e1", "s3://b/a b/1.png"), ("2.png", 9, "e4", "s3://b/2.png")
    ]  # fmt: skip
    assert sum(left_out.values()) == 2


def test_a_report_of_storage_insights_is_a_manifest(tmp_path):
    rows = [{"bucket": "g", "name": "x/1.png", "size": 5, "etag": "e"}]
    WRITERS["parquet"](rows, tmp_path / "shard_0.parquet")
    (tmp_path / "r_manifest.json").write_text(json.dumps({"report_shards_file_names": ["shard_0.parquet"]}))
    (entry,) = listed(archive_at(tmp_path / "r_manifest.json"))
    assert (entry.key, entry.at, entry.size, entry.version) == ("x/1.png", "gs://g/x/1.png", 5, "e")


def listed_pairs(folder, count: int = 6) -> list[dict]:
    fill(folder / "in", {f"{i}.png": encoded(photograph(i)) for i in range(count)})
    fill(folder / "sharp", {f"{i}-true.png": encoded(photograph(i)) for i in range(count)})
    return [
        {"uri": f"{folder}/in/{i}.png", "reference": f"{folder}/sharp/{i}-true.png",
         "noise_level": 5.0 * (i + 1), "site": "AB"[i % 2], "year": 2024 + i % 3} for i in range(count)
    ]  # fmt: skip


def job_of(folder, **fields) -> Job:
    dataset = {"name": "list", "uri": str(folder / "list.parquet")} | fields.pop("dataset", {})
    defaults = {"datasets": [dataset], "degradations": [], "restorers": ["identity"], "quarantine": ANY_SHARE}
    return benchmark("", folder / "out", **(defaults | fields))


def test_pairs_of_a_manifest_with_columns_that_are_carried_along(tmp_path):
    rows = listed_pairs(tmp_path)
    rows[3]["reference"] = None
    rows[4]["uri"] = f"{tmp_path}/in/absent.png"
    rows[5]["uri"] = "nonsense://host/5.png"
    WRITERS["parquet"](rows, tmp_path / "list.parquet")
    job = job_of(tmp_path, dataset={"carry": ["site", "year"]})
    found = {row["site"] + row["year"] + str(row["reason"]): row for row in complete(job)}
    assert {name for name in found if not name.endswith("None")} == {
        "B2024NO_REFERENCE", "A2025NOT_FOUND", "B2026READ_FAILED"
    }  # fmt: skip
    good = found["A2024None"]
    assert (good["psnr"], good["key"], good["condition"]) == (np.inf, f"{tmp_path}/in/0.png"[1:],
                                                              '{"noise_level": "given"}')  # fmt: skip
    assert good["reference_uri"] == rows[0]["reference"]
    rows[1]["reference_etag"] = "another"
    WRITERS["parquet"]([{"reference_etag": None} | row for row in rows], tmp_path / "list.parquet")
    planned, _ = plan_and_execute(job)
    assert planned.left == 1, "the one whose reference is said to be another"
    page = str(run.report(open_run(job)))
    assert page.endswith("index.html")


def test_the_report_has_means_by_what_is_carried(tmp_path):
    rows = listed_pairs(tmp_path, 4)
    for i, row in enumerate(rows):
        fill(tmp_path / "in", {f"{i}.png": encoded(photograph(i) ^ np.uint8([1, 8][i % 2]))})
        row["uri"] = f"{tmp_path}/in/{i}.png"
    WRITERS["parquet"](rows, tmp_path / "list.parquet")
    job = job_of(tmp_path, dataset={"carry": ["site"]})
    complete(job)
    run.report(open_run(job))
    text = (tmp_path / "out/report/index.html").read_text()
    part = text[text.index('id="groups"') : text.index('id="pictures"')]
    assert "<td>A</td><td>2</td><td>48.1" in part
    assert "<td>B</td><td>2</td><td>30.0" in part


def test_a_mask_of_each_image_is_what_its_restorer_gets(tmp_path):
    image = photograph(0)
    mask = np.full(image.shape[:2], 255, np.uint8)
    mask[10:14, 10:14] = 0
    holed = np.where(mask[..., None] > 0, image, 0).astype(np.uint8)
    fill(tmp_path, {"a.png": encoded(holed), "b.png": encoded(holed), "m.png": encoded(mask)})
    rows = [{"uri": "a.png", "mask": "m.png"}, {"uri": "b.png", "mask": None}]
    WRITERS["parquet"](rows, tmp_path / "list.parquet")
    restorer = {"name": "fill", "solver": "total_variation_inpainting"}
    job = restore("", tmp_path / "out", datasets=[{"name": "list", "uri": str(tmp_path / "list.parquet")}],
                  restorers=[restorer], quarantine=ANY_SHARE)  # fmt: skip
    first, second = complete(job)
    assert first["status"] == "ok"
    assert second["reason"] == "CONDITION_MISSING"


def test_groups_stand_or_fall_together(tmp_path):
    fill(tmp_path, {f"{i}.png": encoded(photograph(i)) if i != 2 else b"no image" for i in range(4)})
    rows = [{"uri": f"{i}.png", "group": "ab"[i // 2]} for i in range(4)]
    WRITERS["parquet"](rows, tmp_path / "list.parquet")
    dataset = {"name": "list", "uri": str(tmp_path / "list.parquet")}
    job = restore("", tmp_path / "out", datasets=[dataset], quarantine=ANY_SHARE)
    assert [row["reason"] for row in complete(job)] == [None, None, "UNREADABLE", "SERIES_INCOMPLETE"]


def test_a_private_manifest_tells_no_name(tmp_path, monkeypatch):
    make_key(tmp_path / "key")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "key"))
    place = tmp_path / CANARY
    WRITERS["parquet"]([{"uri": row["uri"], "reference": row["reference"]} for row in listed_pairs(place, 3)],
                       tmp_path / "list.parquet")  # fmt: skip
    job = job_of(tmp_path, dataset={"private": True})
    assert [row["psnr"] for row in complete(job)] == [np.inf] * 3
    assert hits(tmp_path / "out") == []
    with pytest.raises(JobError, match="carry: columns of a private dataset"):
        job_of(tmp_path, dataset={"private": True, "carry": ["site"]})


@pytest.mark.parametrize(("fields", "said"), [
    ({"dataset": {"carry": ["psnr"]}}, 'carry: "psnr" is a column'),
    ({"dataset": {"carry": ["sit"]}}, 'did you mean "site"?'),
    ({"datasets": [{"name": "f", "uri": "x", "carry": ["a"], "references": "y"}]}, "a folder has no columns"),
])  # fmt: skip
def test_columns_that_cannot_be_carried_are_refused(tmp_path, fields, said):
    WRITERS["parquet"](listed_pairs(tmp_path, 1), tmp_path / "list.parquet")
    with pytest.raises(JobError) as error:
        plan_and_execute(job_of(tmp_path, **fields))
    assert said in str(error.value)


def test_originals_inside_the_output_are_never_written_over(tmp_path):
    WRITERS["parquet"](listed_pairs(tmp_path, 1), tmp_path / "list.parquet")
    dataset = {"name": "list", "uri": str(tmp_path / "list.parquet")}
    with pytest.raises(JobError, match="inside"):
        plan_and_execute(restore("", tmp_path / "in", datasets=[dataset], overwrite=True))
