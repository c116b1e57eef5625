"""Series of slices: planned as one, checked as one, restored whole or quarantined whole."""

import io

import pytest

from pipeline.formats.series import HEAD_BYTES
from pipeline.ledger.attempts import Attempts
from pipeline.ledger.run_folder import open_run
from pipeline.planning import plan_files
from pipeline.planning.plan import make_plan
from pipeline.storage.folder import Folder
from pipeline.worker import series as worker_series
from pipeline.worker.worker import Worker
from tests.dicom_samples import pydicom, samples
from tests.helpers import commit, complete, encoded, fill, photograph, restore

ANY_SHARE = {"threshold": 1.0, "stop_share": 1.0}
UNITS_OF_TWO = {"unit_images": 2}


def slices(folder: str) -> list[bytes]:
    return [path.read_bytes() for name, path in samples().items() if f"/{folder}/" in name]


def edited(data: bytes, **attributes: object) -> bytes:
    dataset = pydicom.dcmread(io.BytesIO(data))
    for keyword, value in attributes.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    file = io.BytesIO()
    pydicom.dcmwrite(file, dataset)
    return file.getvalue()


CT, MR = slices("CT5N"), slices("CT2")


def archive(root, ct=CT, mr=MR) -> Folder:
    """Two series and three photographs, their names so that they lie mixed in the listing."""
    files = {f"{i}/ct": data for i, data in enumerate(ct)}
    files |= {f"{i}/mr.dcm": data for i, data in enumerate(mr)}
    files |= {f"{i}/photo.png": encoded(photograph(i)) for i in range(3)}
    return fill(root, files)


def job_of(root, out, how="stack", **fields):
    fields = {"restorers": ["identity"], "quarantine": ANY_SHARE, "resources": UNITS_OF_TWO} | fields
    dataset = {"name": "pacs", "uri": str(root), "private": False, "series": how}
    return restore("", out, datasets=[dataset], **fields)


def planned(job, committed=(), **options):
    opened = open_run(job)
    commit(opened, committed)
    make_plan(opened, workers=1, **options)
    return list(plan_files.read_units(opened.folder))


def reasons(rows, name="ct") -> list[str | None]:
    return [row["reason"] for row in rows if row["key"].endswith(name)]


def written(out) -> set[str]:
    files = (path.relative_to(out) for path in out.rglob("*") if path.is_file())
    return {path.as_posix() for path in files if "_restora" not in path.parts}


def test_a_series_is_in_one_unit_whatever_the_order_of_names_and_the_size_of_units(tmp_path):
    archive(tmp_path / "in")
    units = planned(job_of(tmp_path / "in", tmp_path / "out"))
    kinds = [sorted({source.key.rpartition("/")[2] for source in unit.sources}) for unit in units]
    assert kinds == [["photo.png"], ["photo.png"], ["ct"], ["mr.dcm"]]
    assert [len(unit.sources) for unit in units] == [2, 1, len(CT), len(MR)]
    assert planned(job_of(tmp_path / "in", tmp_path / "out")) == units


def test_small_series_share_a_unit(tmp_path):
    archive(tmp_path / "in")
    units = planned(job_of(tmp_path / "in", tmp_path / "out", resources={"unit_images": 32}))
    assert len(units) == 1
    assert len({source.group for source in units[0].sources}) == 3, "two series, and those that are alone"


def test_a_series_is_told_once_and_remembered(tmp_path, monkeypatch):
    archive(tmp_path / "in")
    units = planned(job_of(tmp_path / "in", tmp_path / "out"))

    def refuse(*_):
        raise AssertionError("read again")

    monkeypatch.setattr(Folder, "head", refuse)
    assert planned(job_of(tmp_path / "in", tmp_path / "out")) == units


def test_a_long_header_is_read_to_its_end(tmp_path):
    dataset = pydicom.dcmread(io.BytesIO(CT[0]))
    dataset.private_block(0x0011, "VENDOR", create=True).add_new(0x10, "OB", bytes(3 * HEAD_BYTES))
    file = io.BytesIO()
    pydicom.dcmwrite(file, dataset)
    archive(tmp_path / "in", ct=[file.getvalue(), *CT[1:]])
    units = planned(job_of(tmp_path / "in", tmp_path / "out"))
    assert len(CT) in [len(unit.sources) for unit in units]
    folder = Folder(str(tmp_path / "in"))
    assert worker_series.whole_head(folder, "0/ct") == file.getvalue()
    assert len(worker_series.whole_head(folder, "1/ct")) <= HEAD_BYTES


def test_one_slice_that_cannot_be_restored_takes_its_series_with_it_and_no_other(tmp_path):
    archive(tmp_path / "in", ct=[*CT[:2], CT[2][:-40], *CT[3:]])
    rows = complete(job_of(tmp_path / "in", tmp_path / "out"))
    assert reasons(rows) == [*["SERIES_INCOMPLETE"] * 2, "TRUNCATED", *["SERIES_INCOMPLETE"] * 2]
    message = next(row["message"] for row in rows if row["reason"] == "SERIES_INCOMPLETE")
    assert message.startswith(f"TRUNCATED in 1 of {len(CT)} images")
    assert set(reasons(rows, "mr.dcm")) == set(reasons(rows, "png")) == {None}
    others = {f"{i}/photo.png" for i in range(3)} | {f"{i}/mr.dcm" for i in range(len(MR))}
    assert written(tmp_path / "out") == others


def test_a_repaired_slice_brings_its_series_back_and_a_broken_one_takes_it_away(tmp_path):
    folder = archive(tmp_path / "in", ct=[CT[0], CT[1][:-40], *CT[2:]], mr=[])
    job = job_of(tmp_path / "in", tmp_path / "out")
    complete(job)
    folder.put("1/ct", CT[1])
    rows = complete(job)
    assert reasons(rows) == [None] * len(CT)
    assert {row["attempt"] for row in rows if row["key"].endswith("ct")} == {1}
    assert len([name for name in written(tmp_path / "out") if name.endswith("ct")]) == len(CT)
    late = edited(CT[0], SOPInstanceUID="1.2.3.4", ImagePositionPatient=[0, 0, 5000])
    folder.put("9/ct", late[:-40])
    rows = complete(job)
    assert reasons(rows) == [*["SERIES_INCOMPLETE"] * len(CT), "TRUNCATED"]
    assert not [name for name in written(tmp_path / "out") if name.endswith("ct")]


def test_a_retry_takes_the_whole_series_and_nothing_else(tmp_path):
    archive(tmp_path / "in")
    job = job_of(tmp_path / "in", tmp_path / "out")
    units = planned(job)
    ct = next(unit for unit in units if unit.sources[0].key.endswith("ct"))
    committed = [
        {
            "source_id": source.source_id,
            "status": "quarantined" if source == ct.sources[1] else "ok",
            "attempt": 0,
        }
        for unit in units
        for source in unit.sources
    ]
    (again,) = planned(job, committed, retry=True)
    assert again.sources == ct.sources
    assert again.attempt == 1


TWIN = {"SOPInstanceUID": "1.2.3.4"}
CONTRADICTIONS = {
    "two slices at one place": ([*CT, edited(CT[0], **TWIN)], "SERIES_INCONSISTENT"),
    "an image twice": ([*CT, CT[0]], "SERIES_INCONSISTENT"),
    "mixed kinds": (
        [*CT, edited(CT[0], **TWIN, SOPClassUID=pydicom.uid.MRImageStorage)],
        "SERIES_INCONSISTENT",
    ),
    "no geometry": ([edited(CT[0], ImagePositionPatient=None), *CT[1:]], "BAD_GEOMETRY"),
    "a localizer": (
        [edited(CT[0], ImageOrientationPatient=[0, 1, 0, 0, 0, -1]), *CT[1:]],
        "SERIES_INCONSISTENT",
    ),
}


def test_series_that_contradict_themselves_are_quarantined_before_anything_is_restored(tmp_path):
    files = {
        f"{fault}/{i}": edited(data, SeriesInstanceUID=f"1.2.3.{index}")
        for index, (fault, (images, _)) in enumerate(CONTRADICTIONS.items())
        for i, data in enumerate(images)
    }
    fill(tmp_path / "in", files | {f"good/{i}": data for i, data in enumerate(CT)})
    rows = complete(job_of(tmp_path / "in", tmp_path / "out"))
    found = {(row["key"].partition("/")[0], row["reason"]) for row in rows}
    assert found == {(fault, reason) for fault, (_, reason) in CONTRADICTIONS.items()} | {("good", None)}
    assert written(tmp_path / "out") == {f"good/{i}" for i in range(len(CT))}
    loose = complete(job_of(tmp_path / "in", tmp_path / "loose", how="together"))
    assert {row["reason"] for row in loose} == {None}


def test_views_of_a_projection_need_no_place(tmp_path):
    view = samples()["RG1_UNCR.dcm"].read_bytes()
    files = {"1.dcm": view, "2.dcm": edited(view, SOPInstanceUID="1.2.3.4")}
    fill(tmp_path / "in", files)
    rows = complete(job_of(tmp_path / "in", tmp_path / "out"))
    assert reasons(rows, ".dcm") == [None, None]


def test_single_images_fail_alone(tmp_path):
    archive(tmp_path / "in", ct=[CT[0], CT[1][:-40], *CT[2:]])
    job = job_of(tmp_path / "in", tmp_path / "out", how="single")
    assert {source.group for unit in planned(job) for source in unit.sources} == {""}
    assert reasons(complete(job)) == [None, "TRUNCATED", *[None] * (len(CT) - 2)]


def test_a_series_whose_unit_kills_its_process_falls_as_one(tmp_path):
    """Images that go one by one through a subprocess are a series still."""
    archive(tmp_path / "in", ct=CT[:2], mr=[])
    job = job_of(tmp_path / "in", tmp_path / "out", resources={"image_seconds": 0.01})
    (unit,) = (each for each in planned(job) if each.sources[0].group)
    worker, attempts = Worker(open_run(job)), Attempts(open_run(job).folder)
    attempts.begin(unit.unit_id)
    attempts.begin_again(unit.unit_id, 1)
    rows = worker(unit)
    assert {row["reason"] for row in rows} == {"TIMED_OUT"}


def test_a_combination_falls_alone(tmp_path):
    """Of a benchmark's rows only those of the restorer that failed; a copy that others need stays."""
    archive(tmp_path / "in", mr=[])
    job = job_of(
        tmp_path / "in",
        tmp_path / "out",
        kind="benchmark",
        degradations=["awgn-25"],
        restorers=["identity", "median"],
        metrics=["psnr"],
        save="all",
        output_format="dicom",
    )
    (unit,) = (each for each in planned(job) if each.sources[0].key.endswith("ct"))
    worker = Worker(open_run(job))
    rows = worker.process(unit)
    assert {row["status"] for row in rows} == {"ok"}
    culprit = next(row for row in rows if row["restorer"] == "median")
    culprit |= {"status": "quarantined", "reason": "NONFINITE_OUTPUT", "output_uri": None}
    after = worker_series.all_or_nothing(rows, unit, worker.layout)
    assert {row["reason"] for row in after if row["restorer"] == "median"} == {
        "SERIES_INCOMPLETE",
        "NONFINITE_OUTPUT",
    }
    assert {row["status"] for row in after if row["restorer"] == "identity"} == {"ok"}
    assert not [name for name in written(tmp_path / "out") if "/median/" in name]
    assert len([name for name in written(tmp_path / "out") if "/identity/" in name]) == len(CT)
    assert len([name for name in written(tmp_path / "out") if "/degraded/" in name]) == len(CT)


@pytest.mark.parametrize("kind", ["restore", "degrade"])
def test_what_comes_out_is_one_new_series(tmp_path, kind):
    archive(tmp_path / "in", mr=[])
    fields = {"kind": "degrade", "restorers": [], "degradations": ["awgn-25"]} if kind == "degrade" else {}
    for out in ("out", "again"):
        assert set(reasons(complete(job_of(tmp_path / "in", tmp_path / out, **fields)))) == {None}
    made = [pydicom.dcmread(tmp_path / "out" / f"{i}/ct") for i in range(len(CT))]
    before = [pydicom.dcmread(io.BytesIO(data)) for data in CT]
    assert len({each.SeriesInstanceUID for each in made}) == 1
    assert len({each.SOPInstanceUID for each in made}) == len(CT)
    assert {each.SeriesInstanceUID for each in made}.isdisjoint({each.SeriesInstanceUID for each in before})
    for i in range(len(CT)):
        assert (tmp_path / "out" / f"{i}/ct").read_bytes() == (tmp_path / "again" / f"{i}/ct").read_bytes()
        assert made[i].SourceImageSequence[0].ReferencedSOPInstanceUID == before[i].SOPInstanceUID
    said = made[0].DerivationDescription
    assert ("degraded by awgn-25" in said) == (kind == "degrade")
    mark = "derived" if kind == "degrade" else "restored"
    assert made[0].SeriesDescription.endswith(f"[{mark} - not for diagnosis]")
    codes = {item.CodeValue for item in made[0].DerivationCodeSequence}
    assert codes == {"DEGRADED" if kind == "degrade" else "RESTORED"}


def test_every_object_is_one_of_a_unit_though_a_series_is_cut_by_the_limit(tmp_path):
    archive(tmp_path / "in")
    job = job_of(tmp_path / "in", tmp_path / "out")
    complete(job, limit=4)
    rows = complete(job)
    assert {row["reason"] for row in rows} == {None}
    assert len(rows) == len(CT) + len(MR) + 3
