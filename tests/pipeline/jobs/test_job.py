"""Jobs: what is wrong with one is said by path, with the cure."""

import json

import pytest
from pydantic import ValidationError

from pipeline.errors import JobError
from pipeline.jobs.job import Job
from pipeline.ledger.run_folder import open_existing, open_run
from pipeline.recipe.recipe import Recipe
from pipeline.results.verify import verify
from tests.helpers import benchmark, complete, photographs_in, restore

ISSUE = """
name = "set5-x4"
output = "out/set5-x4"
datasets = [{ name = "set5", uri = "../shared/data/Set5/HR", pattern = "*.png" }]
degradations = ["bicubic-x4"]
restorers = ["bicubic", "lanczos"]
metrics = ["psnr_y", "ssim_y", "psnr", "ssim", "mae", "mse"]
"""

EXPLICIT = """
name = "explicit"
output = "out"
datasets = [{ name = "a", uri = "a" }, { name = "b", uri = "s3://bucket/b", profile = "work" }]
degradations = [
  { name = "soft", operators = [{ op = "gaussian_blur", sigma = [0.8, 1.6] },
                                { op = "gaussian_noise", sigma = 15 }] },
]
restorers = ["median", { name = "tv", solver = "total_variation", weight = 0.08 }]
metrics = ["psnr"]
save = "restored"
"""


def from_toml(tmp_path, text: str) -> Job:
    path = tmp_path / "job.toml"
    path.write_text(text)
    return Job.from_toml(path)


def test_the_smallest_job_is_read_and_built(tmp_path):
    job = from_toml(tmp_path, ISSUE)
    assert [each.name for each in job.restorers] == ["bicubic", "lanczos"]
    assert Recipe.of(job).combinations == [("bicubic-x4", "bicubic"), ("bicubic-x4", "lanczos")]
    assert Recipe.of(job).degradations[0].scale == 4


def test_the_mark_and_the_line_ends_of_windows_change_nothing(tmp_path):
    (tmp_path / "windows.toml").write_bytes(b"\xef\xbb\xbf" + ISSUE.lstrip().replace("\n", "\r\n").encode())
    assert Job.from_toml(tmp_path / "windows.toml") == from_toml(tmp_path, ISSUE)


def test_explicit_forms_are_read_and_built(tmp_path):
    recipe = Recipe.of(from_toml(tmp_path, EXPLICIT))
    assert recipe.degradations[0].specification()["operators"][0] == {
        "op": "gaussian_blur",
        "sigma": [0.8, 1.6],
    }
    assert recipe.restorers[1].restorer.card.arguments["weight"] == 0.08


def test_jobs_survive_json_as_the_books_keep_them(tmp_path):
    job = from_toml(tmp_path, EXPLICIT)
    assert Job.parse(job.model_dump(mode="json")) == job
    assert Job.model_validate_json(job.model_dump_json()) == job
    assert Recipe.of(Job.parse(job.model_dump(mode="json"))).recipe_id == Recipe.of(job).recipe_id


FORM_FAULTS = [
    ({"name": "no/slash"}, r"^job: name: .*pattern"),
    ({"datasets": [{"name": "a", "uri": " "}]}, r"datasets\[0\]\.uri: is empty, .*; give a path"),
    (
        {"datasets": [{"name": "a", "uri": "a", "references": ""}], "degradations": []},
        r"datasets\[0\]\.references\.uri: is empty",
    ),
    ({"name": 3}, r"^job: name: must be a text in quotation marks, got 3"),
    ({"seed": True}, r"^job: seed: must be a number, got true"),
    ({"seed": "7"}, r"^job: seed: must be a number, without quotation marks, got '7'"),
    ({"seed": 1.5}, r"^job: seed: must be a whole number, got 1\.5"),
    ({"flags": "yes"}, r"^job: flags: must be true or false, without quotation marks, got 'yes'"),
    ({"flags": 1}, r"^job: flags: must be true or false, without quotation marks, got 1"),
    ({"limits": {"max_pixels": True}}, r"^job: limits\.max_pixels: must be a number, got true"),
    (
        {"restorers": [{"name": "identity", "noise_level": "5"}]},
        r"^job: restorers\[0\]\.noise_level: must be a number, without quotation marks, got '5'",
    ),
    (
        {"datasets": [{"name": "a", "uri": "a", "store": {"name": "zarr", "tile": "5"}}]},
        r"^job: datasets\[0\]\.store\.zarr\.tile: must be a number, without quotation marks, got '5'",
    ),
    ({"output_store": "dicom"}, r"^job: output_store: unknown 'dicom'; did you mean \"dicomweb\"\?"),
    ({"output_store": {}}, r"^job: output_store: name is needed, got {}"),
    ({"output_store": 3}, r"^job: output_store: must be a table in { }, got 3"),
    ({"outptu": "x"}, r'outptu: unknown field; did you mean "output"\?'),
    ({"datasets": []}, r"datasets: needs at least 1, got \[\]"),
    ({"datasets": [{"name": "a"}]}, r"datasets\[0\]\.uri: is needed"),
    ({"datasets": ["in"]}, r"datasets\[0\]: must be a table in { }, got 'in'"),
    ({"metrics": "psnr"}, r"metrics: must be a list in \[ \], got 'psnr'"),
    (
        {"datasets": [{"name": "a", "uri": "a", "patern": "*"}]},
        r'datasets\[0\]\.patern: unknown field; did you mean "pattern"',
    ),
    (
        {"datasets": [{"name": "a", "uri": "a"}, {"name": "a", "uri": "b"}]},
        r"datasets\[1\]: 'a' is there twice",
    ),
    ({"restorers": ["median", "median"]}, r"restorers\[1\]: 'median' is there twice"),
    ({"metrics": ["psnr", "psnr"]}, r"metrics\[1\]: 'psnr' is there twice"),
    (
        {"restorers": [{"name": "degraded", "solver": "median"}]},
        r"restorers\[0\]: the name 'degraded' is reserved",
    ),
    ({"restorers": [{"name": "x", "weight": 2}]}, r"restorers\[0\]: unknown field 'weight'"),
    (
        {"restorers": [{"name": "x", "solver": "median", "weights": "w"}]},
        r"restorers\[0\]: give either solver",
    ),
    ({"restorers": [{"name": "x", "noise_level": 300}]}, r"restorers\[0\]\.noise_level: .*255, got 300"),
    ({"degradations": []}, r"degradations: a benchmark needs at least one; see restora list degradations"),
    ({"restorers": []}, r"restorers: a benchmark needs at least one"),
    ({"metrics": []}, r"metrics: a benchmark needs at least one"),
    ({"save": "everything"}, r"save: .*'none', 'restored' or 'all', got 'everything'"),
    ({"seed": -1}, r"seed: .*greater than or equal to 0, got -1"),
    ({"resources": {"workers": 0}}, r"resources\.workers: .*greater than or equal to 1, got 0"),
    ({"resources": {"worker": 1}}, r'resources\.worker: unknown field; did you mean "workers"'),
    ({"quarantine": {"threshold": 1.5}}, r"quarantine\.threshold: .*less than or equal to 1, got 1.5"),
    ({"limits": {"max_pixels": "many"}}, r"limits\.max_pixels: must be a number.*, got 'many'"),
    ({"kind": "restore"}, r"degradations: a restore run takes images as they are"),
    (
        {"kind": "restore", "degradations": [], "restorers": ["median"], "distances": ["frechet_lite0"]},
        r"distances: need references, which a restore run does not have",
    ),
    ({"distances": ["frechet_lite0", "frechet_lite0"]}, r"distances\[1\]: 'frechet_lite0' is there twice"),
    (
        {"kind": "restore", "degradations": [], "metrics": [], "restorers": ["median", "identity"]},
        r"restorers: a restore run takes exactly one, got 2",
    ),
    ({"overwrite": True}, r"overwrite: is for restore and degrade runs"),
    ({"psnr_needed": 28.0}, r"psnr_needed: is compared with floors; give calibration or psnr_estimate"),
    (
        {"kind": "restore", "degradations": [], "metrics": [], "save": "all"},
        r"save: a restore run keeps its result",
    ),
    (
        {"kind": "restore", "degradations": [], "restorers": ["median"], "metrics": ["niqe", "hqnr"]},
        r'metrics\[1\]: "hqnr" is empty without a guide',
    ),
    *[
        ({"datasets": [{"name": "a", "uri": "a"} | given]}, rf"datasets\[0\]\.{said}")
        for given, said in (
            ({"mask": {"own": "alpha", "holes": "white"}}, "mask: holes: is for masks of files"),
            ({"mask": {"detect": ["dust"], "holes": "white"}}, "mask: holes: is for masks of files"),
            ({"mask": {"own": "alpha", "profile": "p"}}, "mask: profile: has no effect without file or uri"),
            ({"guide": {"bands": [1], "profile": "p"}}, "guide: profile: has no effect without file or uri"),
            (
                {"operators": {"chain": [{"op": "gaussian_blur", "sigma": 1}], "border": "circular"}},
                "operators: border: is for kernels",
            ),
            ({"radiometry": {"low": 0, "high": 1, "offset": 3.0}}, "radiometry: offset: counts only beside"),
            (
                {"radiometry": {"low": 0, "high": float("inf")}},
                "radiometry.high: must be a finite number, got inf",
            ),
        )
    ],
    ({"resources": {"image_seconds": float("inf")}}, r"image_seconds: must be a finite number, got inf"),
    ({"kind": "degrade"}, r"restorers, metrics, distances: a degrade run has none"),
    (
        {"kind": "degrade", "restorers": [], "metrics": [], "degradations": ["awgn-15", "awgn-25"]},
        r"degradations: a degrade run takes exactly one, got 2",
    ),
]


@pytest.mark.parametrize(("fields", "said"), FORM_FAULTS, ids=lambda value: str(value)[:60])
def test_a_wrong_form_is_refused_by_path_with_the_cure(fields, said):
    with pytest.raises(JobError, match=said):
        benchmark("in", "out", **fields)


IDLE = [
    {"psnr_needed": 28.0, "save": "restored"},
    {"metrics": ["qnr"]},
    {"mask": {"own": "alpha", "holes": "white", "profile": "p"}},
    {"guide": {"bands": [1], "profile": "p"}},
    {"operators": {"chain": [{"op": "gaussian_blur", "sigma": 1}], "border": "circular"}},
    {"radiometry": {"low": 0, "high": 1, "offset": 3.0}},
]
"""Fields without effect, of the job or its dataset, which jobs had before they were refused."""


@pytest.mark.parametrize("idle", IDLE, ids=str)
def test_what_a_run_was_once_allowed_does_not_close_what_it_made(tmp_path, idle):
    photographs_in(tmp_path / "in", 1)
    job = restore(tmp_path / "in", tmp_path / "out")
    complete(job)
    folder = open_run(job).folder
    written = json.loads(folder.read("job.json"))
    (written if {"save", "metrics"} & {*idle} else written["datasets"][0]).update(idle)
    folder.put("job.json", json.dumps(written).encode())
    with pytest.raises(JobError, match="leave it out"):
        Job.parse(written)
    assert open_existing(folder.url).job == Job.parse(written, written=True)
    if "save" in idle:  # the others are of restorers that take a mask, a guide or a blur
        assert verify(open_existing(folder.url)).is_whole


def test_an_empty_output_is_not_the_current_folder():
    with pytest.raises(JobError, match=r"output: is empty, .*; give a path or URL"):
        benchmark("in", "")


MEANING_FAULTS = [
    (
        {"degradations": ["bicubic-x44"]},
        r'degradations\[0\]: unknown preset "bicubic-x44"; did you mean "bicubic-x4"\?',
    ),
    (
        {"degradations": [{"name": "d", "operators": [{"op": "gausian_noise", "sigma": 1}]}]},
        r'degradations\[0\]\.operators\[0\]: unknown operator "gausian_noise"; did you mean "gaussian_noise"',
    ),
    (
        {"degradations": [{"name": "d", "operators": [{"op": "gaussian_noise", "sgima": 1}]}]},
        r'degradations\[0\]\.operators\[0\]: gaussian_noise: unknown parameter "sgima"; did you mean "sigma"',
    ),
    (
        {"degradations": [{"name": "d", "operators": [{"op": "gaussian_noise"}]}]},
        r"degradations\[0\]\.operators\[0\]: gaussian_noise: give sigma too",
    ),
    (
        {"degradations": [{"name": "d", "operators": [{"op": "gaussian_noise", "sigma": [1, 999]}]}]},
        r"degradations\[0\]\.operators\[0\]: gaussian_noise: sigma must be .*got 999",
    ),
    (
        {"degradations": [{"name": "d", "operators": [{"op": "gaussian_noise", "sigma": [20, 10]}]}]},
        r"degradations\[0\]\.operators\[0\]\.sigma: a pair is a range, from low to high; got \[20, 10\]",
    ),
    (
        {
            "degradations": [{"name": "d", "operators": [{"op": "bicubic", "scale": [2, 4]}]}],
            "restorers": ["bicubic"],
        },
        r"degradations\[0\]\.operators\[0\]\.scale: must be one number, not a range",
    ),
    ({"restorers": ["medain"]}, r'restorers\[0\]: unknown restorer "medain"; did you mean "median"'),
    (
        {"restorers": [{"name": "x", "solver": "meidan"}]},
        r'restorers\[0\]: unknown solver "meidan"; did you mean',
    ),
    (
        {"restorers": [{"name": "x", "solver": "total_variation", "wieght": 1}]},
        r'restorers\[0\]: total_variation: unknown parameter "wieght"; did you mean "weight"',
    ),
    (
        {"restorers": [{"name": "x", "weights": "model.zip"}]},
        r"restorers\[0\]: model.zip: weights end in .*safetensors",
    ),
    (
        {"restorers": [{"name": "x", "weights": "/no/a.safetensors"}]},
        r"restorers\[0\]: /no/a.safetensors: no such file; check the address",
    ),
    (
        {"restorers": [{"name": "median", "estimate_noise": True}]},
        r'restorers\[0\]\.estimate_noise: "median" takes none, it would have no effect',
    ),
    ({"metrics": ["psnr", "ssmi"]}, r'metrics\[1\]: unknown metric "ssmi"; did you mean "ssim"'),
    ({"output_format": "pgn"}, r'output_format: unknown format "pgn"; did you mean "png"'),
    ({"output_format": "raster"}, r'output_format: "raster" is only read; choose one of png, jpeg'),
    (
        {"degradations": ["bicubic-x4"], "restorers": ["bicubic-x2"]},
        r'"bicubic-x2" enlarges by 2, but degradations\[0\]',
    ),
    (
        {"degradations": ["bicubic-x4"], "restorers": ["median"]},
        r'"median" enlarges by 1, but degradations\[0\]',
    ),
]


@pytest.mark.parametrize(("fields", "said"), MEANING_FAULTS, ids=lambda value: str(value)[:60])
def test_a_wrong_name_or_value_is_refused_by_path_with_the_cure(fields, said):
    with pytest.raises(JobError, match=said):
        Recipe.of(benchmark("in", "out", **fields))


def test_files_that_are_no_jobs_are_refused_by_name(tmp_path):
    with pytest.raises(JobError, match=r"absent\.toml: no such file"):
        Job.from_toml(tmp_path / "absent.toml")
    with pytest.raises(JobError, match=r"job\.toml: not valid TOML: .*(line 1|end of document)"):
        from_toml(tmp_path, "name = [")
    with pytest.raises(JobError, match=r"job\.toml: not valid TOML: .*line 2.*: 'name = \"b\"'"):
        from_toml(tmp_path, 'name = "a"\nname = "b"\nkind = "restore"')
    with pytest.raises(JobError, match=r"job\.toml: not valid TOML: .*: 'name = \"b\"'"):
        from_toml(tmp_path, 'name = "a"\nname = "b"')
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(JobError, match=r"binary\.toml: cannot be read"):
        Job.from_toml(tmp_path / "binary.toml")
    with pytest.raises(JobError, match=r"cannot be read"):
        Job.from_toml(tmp_path)


def test_every_fault_is_told_at_once():
    with pytest.raises(JobError) as refusal:
        Job.parse({"name": "a b", "output": 3, "datasets": [{"name": "x"}]})
    assert len(str(refusal.value).splitlines()) == 3


def test_another_recipe_is_refused_in_the_same_place_with_the_difference(tmp_path):
    photographs_in(tmp_path / "in", 1)
    complete(benchmark(tmp_path / "in", tmp_path / "out"))
    for changed, said in [
        ({"degradations": ["awgn-50"]}, r'degradations\[0\]\.name: "awgn-25" -> "awgn-50"'),
        ({"seed": 1}, r"seed: 0 -> 1"),
        ({"metrics": ["psnr"]}, r"metrics\.mae"),
        ({"restorers": ["identity"]}, r"restorers"),
        ({"save": "all"}, r'save: "none" -> "all"'),
    ]:
        with pytest.raises(JobError, match=said) as refusal:
            open_run(benchmark(tmp_path / "in", tmp_path / "out", **changed))
        assert "choose another output" in str(refusal.value)


def test_what_is_no_part_of_the_recipe_may_change(tmp_path):
    photographs_in(tmp_path / "in", 1)
    job = benchmark(tmp_path / "in", tmp_path / "out")
    changed = benchmark(
        tmp_path / "in2",
        tmp_path / "out",
        name="other",
        resources={"workers": 7},
        quarantine={"threshold": 1},
    )
    assert open_run(changed).recipe_id == open_run(job).recipe_id


def test_a_recipe_by_which_nothing_was_done_gives_way(tmp_path):
    photographs_in(tmp_path / "in", 1)
    open_run(benchmark(tmp_path / "in", tmp_path / "out"))
    changed = benchmark(tmp_path / "in", tmp_path / "out", seed=5)
    assert open_run(changed).recipe_id == Recipe.of(changed).recipe_id


@pytest.mark.parametrize("output", ["in", "in/out", "in/deep/er"])
def test_an_output_among_the_sources_is_refused(tmp_path, output):
    photographs_in(tmp_path / "in", 1)
    with pytest.raises(JobError, match=r"output: .* is inside datasets\[0\].*choose a place outside"):
        open_run(restore(tmp_path / "in", tmp_path / output))
    assert [each.name for each in (tmp_path / "in").iterdir()] == ["0000.png"], "and nothing was written"


def test_a_neighbour_of_the_sources_is_a_good_output(tmp_path):
    photographs_in(tmp_path / "in", 1)
    open_run(restore(tmp_path / "in", tmp_path / "in-restored"))


@pytest.mark.parametrize("field", ["seed", "flags", "output_store"])
def test_a_secret_in_the_wrong_place_is_not_told(field):
    """Schedulers show what the form itself says of parameters that do not fit; people see ours."""
    fields = benchmark("in", "out").model_dump(mode="json")
    fields |= {field: "s3://KEY:CANARYBIRD@bucket/out"}
    with pytest.raises(ValidationError) as of_the_form:
        Job.model_validate(fields)
    with pytest.raises(JobError, match=f"^job: {field}: ") as told:
        Job.parse(fields)
    assert "CANARYBIRD" not in str(told.value)
    assert "CANARYBIRD" not in str(of_the_form.value)
