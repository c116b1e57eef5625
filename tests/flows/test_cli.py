"""The command line: what it does, what it says and its exit codes."""

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
import tomllib

import duckdb
import PIL.Image
import pytest
from typer.testing import CliRunner

from flows.cli.app import COMMANDS, app
from flows.cli.failures import tell_of_fault
from flows.cli.session import run_job
from flows.cli.signals import Interrupted, interrupt
from models import catalog
from pipeline.errors import REASONS, RunStopped
from pipeline.formats.base import codec_errors
from pipeline.jobs.job import Dataset, Job, Quarantine, Resources
from pipeline.run import Options
from pipeline.starvation import is_starved
from tests.flows.command import COMMAND, ENV, ROOT, restora
from tests.flows.photographs import job_fields, put_job, put_photographs
from tests.helpers import benchmark, photographs_in


@pytest.fixture
def images(tmp_path):
    put_photographs(tmp_path / "images", 3)
    return tmp_path / "images"


def job_file(tmp_path, images, **more):
    return put_job(tmp_path / "job.toml", job_fields(images, tmp_path / "out", **more))


def test_a_home_that_cannot_be_written_is_no_matter_of_drawings(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    env = {name: value for name, value in ENV.items() if name not in ("MPLCONFIGDIR", "XDG_CONFIG_HOME")}
    told = {}
    for name in ("flows.cli.console", "logging"):
        program = f"import {name}, matplotlib; matplotlib.get_cachedir()"
        ended = subprocess.run(
            [sys.executable, "-c", program], env=env | {"HOME": str(tmp_path / "file" / "home")},
            capture_output=True, text=True, cwd=ROOT, check=True,
        )  # fmt: skip
        told[name] = ended.stderr
    assert "matplotlib" in told["logging"]
    assert told["flows.cli.console"] == ""


def invoke(*arguments):
    """In this process: quicker, for what ends before any work."""
    return CliRunner().invoke(app, [str(each) for each in arguments])


@pytest.mark.parametrize("command", [name for name, *_ in COMMANDS])
def test_help_of_every_command_has_an_example(command):
    done = invoke(command, "--help")
    assert done.exit_code == 0
    assert f"Example:  restora {command}" in done.stdout


def test_help_names_every_command_and_imports_next_to_nothing(monkeypatch):
    monkeypatch.setitem(ENV, "PYTHONPROFILEIMPORTTIME", "1")
    done = restora("--help")
    assert done.returncode == 0
    for name, *_ in COMMANDS:
        assert f" {name} " in done.stdout
    imported = modules_imported(done)
    assert "flows.cli.app" in imported
    packages = {each.partition(".")[0] for each in imported}
    assert not packages & {
        "torch",
        "ray",
        "prefect",
        "pyarrow",
        "pydantic",
        "numpy",
        "PIL",
        "scipy",
        "skimage",
    }


def modules_imported(done) -> set[str]:
    """What the process told of its imports, successful or not, as PYTHONPROFILEIMPORTTIME has it tell."""
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}


def test_benchmark_runs_says_so_and_the_second_time_does_nothing(tmp_path, images, monkeypatch):
    path = job_file(tmp_path, images)
    monkeypatch.setitem(ENV, "PYTHONPROFILEIMPORTTIME", "1")
    first = restora("benchmark", path, "--engine", "local")
    assert first.returncode == 0, first.stderr
    imported = modules_imported(first)
    assert {"torch", "pyarrow"} <= imported
    needless = {"pandas.core", "scipy", "ray", "prefect", "skimage"}  # pyarrow asks for pandas, and gets none
    assert not imported & needless, "seconds of start-up for nothing"
    assert "3 of 3 images" in first.stdout
    assert "verified: 3 sources = 3 ok + 0 quarantined" in first.stdout
    table = tmp_path / "out" / "tables" / "metrics.parquet"
    best = duckdb.sql(f"select restorer from '{table}' group by 1 order by avg(psnr) desc limit 1").fetchall()
    ranked = [
        line.split()[0]
        for line in first.stdout.splitlines()
        if line.strip().startswith(("identity", "median"))
    ]
    assert ranked[0] == best[0][0]

    before = {
        path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*.*") if "plan" not in path.parts
    }
    second = invoke("benchmark", path, "--engine", "local")
    assert second.exit_code == 0
    assert second.stdout.strip() == "nothing to do: 3 of 3 images are done"
    assert all(path.stat().st_mtime_ns == at for path, at in before.items())

    (tmp_path / "out" / "report" / "index.html").unlink()
    assert invoke("benchmark", path, "--engine", "local").exit_code == 0
    assert (tmp_path / "out" / "report" / "index.html").exists(), "a lost report is written again"

    put_photographs(images, 4)  # writes the three again, which makes them new versions
    again = invoke("benchmark", path, "--engine", "local")
    assert "4 of 4 images" in again.stdout
    assert "3 images changed or deleted" in again.stdout


def test_a_run_can_be_read_from_another_folder(tmp_path, images, monkeypatch):
    assert invoke("benchmark", job_file(tmp_path, images), "--engine", "local").exit_code == 0
    monkeypatch.chdir(tmp_path)
    assert "rows written, 0 parts taken out" in invoke("table", "out", "--to", "parquet").stdout
    assert invoke("table", "out", "--to", "parquet").stdout.endswith("as it was\n")
    verified = invoke("verify", "out")
    assert verified.exit_code == 0, verified.stderr
    assert "whole" in verified.stdout
    table = invoke("table", "out")
    assert "identity" in table.stdout
    assert "95 % interval" in table.stdout
    report = invoke("report", tmp_path / "out")
    assert report.stdout.strip() == str(tmp_path / "out" / "report" / "index.html")


def test_too_many_quarantined_images_end_with_3_and_retry_takes_only_them(tmp_path, images):
    (images / "bad.png").touch()
    path = put_job(tmp_path / "job.toml", job_fields(images, tmp_path / "my results"))
    done = invoke("benchmark", path, "--engine", "local")
    assert done.exit_code == 3
    assert f"1 x EMPTY: {REASONS['EMPTY']} (bad.png)" in done.stdout
    assert "1 of 4 images (25.0%) are quarantined" in done.stderr
    assert f"restora retry '{tmp_path}/my results'" in done.stderr

    again = invoke("benchmark", path, "--engine", "local")
    assert again.exit_code == 3, "the second run does nothing and still says that images are missing"
    assert "nothing to do: 4 of 4 images are done, 1 of them quarantined" in again.stdout

    status = (images / "bad.png").stat()
    retried = invoke("retry", tmp_path / "my results", "--engine", "local")
    assert retried.exit_code == 3
    assert "1 of 1 images" in retried.stdout, "only what was quarantined"
    assert (images / "bad.png").stat().st_mtime_ns == status.st_mtime_ns


def test_verify_finds_a_damaged_object(tmp_path, images):
    done = invoke("restore", images, tmp_path / "clean", "--restorer", "median", "--engine", "local")
    assert done.exit_code == 0, done.stderr
    assert PIL.Image.open(tmp_path / "clean" / "001.png").size == (48, 48)
    assert invoke("verify", tmp_path / "clean").exit_code == 0
    (tmp_path / "clean" / "001.png").write_bytes(b"damaged")
    (tmp_path / "clean" / "002.png").unlink()
    damaged = invoke("verify", tmp_path / "clean")
    assert damaged.exit_code == 1
    assert "001.png: 7 bytes, the ledger says" in damaged.stderr
    assert "002.png: the object is missing" in damaged.stderr


def test_degrade_takes_one_file_and_another_format(tmp_path, images):
    arguments = (
        images / "000.png",
        tmp_path / "noisy",
        "--degradation",
        "awgn-25",
        "--output-format",
        "tiff",
    )
    done = invoke("degrade", *arguments, "--engine", "local")
    assert done.exit_code == 0, done.stderr
    written = [path.name for path in (tmp_path / "noisy").glob("*.*")]
    assert written == ["000.png.tif"]


@pytest.mark.parametrize("kind", ["benchmark", "restore", "degrade"])
def test_the_starter_job_runs_as_it_stands_and_is_not_overwritten(tmp_path, monkeypatch, kind):
    monkeypatch.chdir(tmp_path)
    put_photographs(tmp_path / "out" / "demo" / "images", 2)
    assert invoke("init", "mine.toml", "--kind", kind).exit_code == 0
    job = Job.from_toml("mine.toml")
    assert (job.kind, job.name) == (kind, "mine")
    done = invoke("benchmark", "mine.toml", "--engine", "local")
    assert done.exit_code == 0, done.stderr
    assert "2 of 2 images" in done.stdout
    again = invoke("init", "mine.toml")
    assert (again.exit_code, "mine.toml: is there already" in again.stderr) == (2, True)


def test_every_comment_of_the_starter_job_that_is_a_field_is_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for kind in ("benchmark", "restore", "degrade"):
        assert invoke("init", f"{kind}.toml", "--kind", kind).exit_code == 0
        text = (tmp_path / f"{kind}.toml").read_text()
        for line in re.findall(r"^# (\w+ = .*?)(?:  +#.*)?$", text, re.M):
            if line.count("[") != line.count("]"):
                continue  # goes on in the next lines
            field = line.partition(" ")[0]
            known = {
                **Job.model_fields,
                **Dataset.model_fields,
                **Quarantine.model_fields,
                **Resources.model_fields,
            }
            assert field in known, line
            tomllib.loads(line)


def test_one_file_into_a_folder_beside_it_and_again(tmp_path, images, monkeypatch):
    monkeypatch.chdir(images)
    command = ("restore", "000.png", "out/", "--restorer", "median", "--engine", "local")
    first = invoke(*command)
    assert first.exit_code == 0, first.stderr
    assert PIL.Image.open("out/000.png").size == (48, 48)
    again = invoke(*command)
    assert again.stdout.strip() == "nothing to do: 1 of 1 images are done", "its own output is no source"


def test_one_file_into_one_file(tmp_path, images, monkeypatch):
    monkeypatch.chdir(images)
    done = invoke("restore", "000.png", "clean/first.jpg", "--restorer", "median")
    assert done.exit_code == 0, done.stderr
    assert PIL.Image.open("clean/first.jpg").format == "JPEG"
    assert [path.name for path in (images / "clean").iterdir()] == ["first.jpg"]
    assert "consistency" in done.stdout
    for name in ("./000.png", "clean/../000.png"):
        itself = invoke("restore", "000.png", name, "--restorer", "median")
        assert (itself.exit_code, "is SOURCE itself" in itself.stderr) == (2, True)
    other = invoke("restore", "000.png", "001.png", "--restorer", "median")
    assert (other.exit_code, "or --overwrite" in other.stderr) == (2, True)
    for source, dest, message in (
        ("absent.png", "clean.png", "SOURCE: no such file or folder"),
        ("absent", "out", "SOURCE: no such file or folder"),
        ("000.png", "clean.heic", "DEST: no format here writes .heic; end it with .png"),
    ):
        wrong = invoke("restore", source, dest, "--restorer", "median")
        assert (wrong.exit_code, message in wrong.stderr) == (2, True)
    (images / "a[").mkdir()  # what a console might take for markup
    (images / "a[/b].png").write_bytes((images / "000.png").read_bytes())
    odd = invoke("restore", "a[/b].png", "clean/odd.png", "--restorer", "median")
    assert odd.exit_code == 0, odd.stderr
    (images / "bad.png").write_bytes(b"no picture")
    bad = invoke("restore", "bad.png", "good.png", "--restorer", "median")
    assert (bad.exit_code, "bad.png: UNREADABLE" in bad.stderr) == (3, True)
    assert not (images / "good.png").exists()


def test_files_that_are_no_images_are_left_out_and_do_not_count(tmp_path, images):
    for name in (".DS_Store", "Thumbs.db", "001.json", "notes.TXT", "._001.png", "IMG_1.MOV"):
        (images / name).write_bytes(b"none")
    arguments = ("restore", images, tmp_path / "clean", "--restorer", "median", "--engine", "local")
    done = invoke(*arguments, "--limit", "2")
    assert done.exit_code == 0, done.output
    assert "left out: 6 files, by name no image: 3 of a system, 1 .json, 1 .mov, 1 .txt\n" in done.stdout
    assert "2 of 2 images" in done.stdout
    assert sorted(path.name for path in (tmp_path / "clean").glob("*.png")) == ["000.png", "001.png"]


@pytest.mark.parametrize(
    ("restorer", "message"),
    [
        ("bicubic", "choose one with a scale of its own"),
        ("wiener", "needs to know what blurred the images"),
        ("inpaint-gated", "needs to know which pixels are holes"),
    ],
)
def test_a_restorer_that_can_do_nothing_is_refused_before_any_work(tmp_path, images, restorer, message):
    done = invoke("restore", images, tmp_path / "clean", "--restorer", restorer, "--engine", "local")
    assert done.exit_code == 2
    assert message in done.stderr
    assert not (tmp_path / "clean").exists()


@pytest.mark.parametrize("told", [("--mask", "alpha"), ()])
def test_a_colour_of_holes_is_refused_where_no_file_has_it(tmp_path, images, told):
    arguments = ("--restorer", "inpaint-gated", "--holes", "white", *told)
    done = invoke("restore", images, tmp_path / "clean", *arguments)
    assert done.exit_code == 2
    assert re.search("holes: .*has no effect", done.stderr)


def test_a_missing_extra_stops_the_run_with_the_command_that_installs_it(tmp_path, images, monkeypatch):
    (images / "slice.dcm").write_bytes(b"anything")
    monkeypatch.setitem(sys.modules, "pydicom", None)  # as if it were not installed
    arguments = ("--not-private", "--restorer", "median", "--engine", "local")
    done = invoke("restore", images, tmp_path / "clean", *arguments)
    assert done.exit_code == 2
    assert "datasets[0]: holds DICOM images, which need an extra: pip install 'restora[dicom]'" in done.stderr


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"restorers": ["medain"]}, 'restorers[0]: unknown restorer "medain"; did you mean "median"?'),
        (
            {"degradations": ["bicubic-x44"]},
            'degradations[0]: unknown preset "bicubic-x44"; did you mean "bicubic-x4"?',
        ),
        ({"metrics": ["psnr_z"]}, 'metrics[0]: unknown metric "psnr_z"'),
        ({"metric": ["psnr"]}, "metric: unknown field"),
        ({"resources": {"workers": 0}}, "resources.workers"),
    ],
)
def test_wrong_jobs_end_with_2_and_the_cure(tmp_path, images, fields, message):
    done = invoke("benchmark", job_file(tmp_path, images, **fields), "--engine", "local")
    assert done.exit_code == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("benchmark", "no-such.toml"), "no-such.toml: no such file"),
        (("benchmark",), "JOB.toml"),
        (("benchmark", "x.toml", "--engine", "spark"), "spark"),
        (("restore", "a", "b"), "--restorer"),
        (("restore", "a", "b", "--restorer", "median", "--noise-level", "999"), "noise_level"),
        (("verify", "/nonexistent"), "holds no run of restora"),
        (("list", "restorer"), 'did you mean "restorers"?'),
        (("frobnicate",), "frobnicate"),
        (("degrade", "s3://key:secret@bucket/x", "out", "--degradation", "blur"), "do not belong in a URL"),
    ],
)
def test_wrong_command_lines_end_with_2(arguments, message):
    done = invoke(*arguments)
    assert done.exit_code == 2
    assert message in done.output
    assert "secret" not in done.output


def test_a_job_whose_folder_is_not_there_ends_with_2(tmp_path):
    path = job_file(tmp_path, tmp_path / "absent")
    done = invoke("benchmark", path, "--engine", "local")
    assert done.exit_code == 2
    assert "cannot list" in done.stderr
    assert "Traceback" not in done.stderr


def test_debug_shows_where_an_error_came_from(tmp_path):
    done = invoke("--debug", "benchmark", tmp_path / "absent.toml")
    assert done.exit_code == 2
    assert "Traceback" in done.output


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)])
def test_stopping_keeps_what_is_committed_and_says_how_to_go_on(tmp_path, images, number):
    put_photographs(images, 16, size=96)
    fields = {"restorers": ["non-local-means"], "resources": {"unit_images": 1}}
    path = job_file(tmp_path, images, **fields)
    process = subprocess.Popen(
        [*COMMAND, "benchmark", str(path), "--engine", "local"],
        cwd=ROOT, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    ledger = tmp_path / "out" / "ledger"
    while not list(ledger.rglob("*.parquet")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    os.kill(process.pid, number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert f"To continue: restora benchmark {path}" in errors
    assert "Traceback" not in errors
    committed = len(list(ledger.rglob("*.parquet")))
    assert 0 < committed < 16
    done = invoke("benchmark", path, "--engine", "local")
    assert done.exit_code == 0, done.stderr
    assert f"continuing: {committed} of 16 images are done already" in done.stdout
    assert f"{16 - committed} of {16 - committed} images" in done.stdout


def test_a_stop_while_the_command_starts_is_no_traceback():
    code = "import os, signal; from flows.cli import entry; "
    code += "entry._run = lambda: os.kill(os.getpid(), signal.SIGINT); entry.main()"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "stopped before it began\n")


def test_a_folder_that_is_not_there_is_a_wrong_command_line(tmp_path, monkeypatch):
    compress, adapt = (
        "compress ffdnet-grey --data absent --method prune",
        "adapt ffdnet-grey absent --minutes 1",
    )
    monkeypatch.chdir(tmp_path)
    for command in (compress, adapt):
        done = invoke(*command.split())
        assert (done.exit_code, done.stdout) == (2, ""), done.output
        assert f"cannot list {tmp_path / 'absent'}: no such folder; check the address" in done.stderr
    assert not list(tmp_path.glob("*.safetensors"))


def test_a_stop_is_no_fault_of_the_image_that_is_being_decoded():
    with pytest.raises(Interrupted), codec_errors("PNG"):
        interrupt(signal.SIGTERM)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("can't start new thread"),
        ImportError("libx.so: failed to map segment from shared object"),
        OSError(12, "Cannot allocate memory"),
    ],
)
def test_too_little_memory_is_said_with_the_cure(error, capsys):
    wrapped = RunStopped("a store did not answer")
    wrapped.__cause__ = error
    for each, said in ((error, ""), (wrapped, "a store did not answer\n")):
        assert tell_of_fault(each) == 1
        found = capsys.readouterr().err
        assert found.startswith(f"{said}too little memory is allowed, or too few threads: raise ulimit -v")
    assert not is_starved(ValueError("start new thread"))


def test_what_cannot_load_its_libraries_is_refused_at_once(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (2 << 30, 2 << 30))
    done = invoke("verify", "out")
    assert done.exit_code == 2
    assert "ulimit -v allows 2,048 MiB of addresses, and below 2,816" in done.stderr
    assert invoke("verify", "--help").exit_code == invoke("list", "metrics").exit_code == 0


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("restorers", {"median", "total-variation", "bicubic"}),
        ("degradations", {"bicubic-x4", "awgn-25", "gaussian_blur"}),
        ("metrics", {"psnr", "psnr_y", "ssim"}),
        ("formats", {"png", "jpeg", "tiff", "webp"}),
        ("solvers", {"total_variation", "wiener"}),
        ("operators", {"gaussian_blur", "jpeg"}),
        ("networks", {"ffdnet", "rrdbnet"}),
    ],
)
def test_lists_for_people_and_for_programs(kind, expected):
    done = invoke("list", kind, "--json")
    assert done.exit_code == 0, done.output
    records = json.loads(done.stdout)
    assert expected <= {record["name"] for record in records}
    assert all(record.keys() == records[0].keys() for record in records)
    drawn = invoke("list", kind).stdout.splitlines()
    for name in expected:
        assert sum(line.split()[:1] == [name] for line in drawn) == 1, name
    assert len(drawn) < len(records) + 8, "a line for each"


def test_list_with_a_name_says_all_about_one():
    done = invoke("list", "metrics", "psnr_y")
    assert done.exit_code == 0
    assert "-10 log10(mse of luma over valid pixels)" in done.stdout
    assert "ssim" not in done.stdout
    wrong = invoke("list", "metrics", "psnr_yy")
    assert wrong.exit_code == 2
    assert 'unknown metric "psnr_yy"; did you mean "psnr_y"' in wrong.stderr


def test_table_of_a_stopped_run_says_how_to_get_one(tmp_path, images):
    assert invoke("benchmark", job_file(tmp_path, images), "--engine", "local").exit_code == 0
    (tmp_path / "out" / "tables" / "metrics.parquet").unlink()
    done = invoke("table", tmp_path / "out")
    assert done.exit_code == 2
    assert "was stopped before it wrote its tables" in done.stderr
    assert invoke("report", tmp_path / "out").exit_code == 0
    assert invoke("table", tmp_path / "out").exit_code == 0


def test_every_example_of_the_help_is_a_command_line_that_parses(tmp_path):
    for name, _, _, example in COMMANDS:
        words = example.split()
        assert words[:2] == ["restora", name]
        done = invoke(*words[1:], "--help")
        assert done.exit_code == 0, example


def test_a_run_builds_its_networks_once(tmp_path, monkeypatch):
    built = []
    build = catalog.build

    def counted(name, *rest, **options):
        built.append(name)
        return build(name, *rest, **options)

    monkeypatch.setattr(catalog, "build", counted)
    photographs_in(tmp_path / "in", 2)
    job = benchmark(tmp_path / "in", tmp_path / "out", restorers=["ffdnet-colour", "identity"])
    assert run_job(job, Options(engine="local")) == 0
    assert sorted(built) == ["ffdnet-colour", "identity"], "planned, restored, scored, verified and reported"
    built.clear()
    assert run_job(job, Options(engine="local")) == 0
    assert sorted(built) == ["ffdnet-colour", "identity"], "to know that nothing is left"
