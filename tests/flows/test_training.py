"""From photographs to a restored archive: train, publish, restore with the weights, and the table of it."""

import json
import os
import signal
import subprocess
import sys
import threading
import time

import duckdb
import numpy as np
import PIL.Image
import pytest
from typer.testing import CliRunner

from flows.cli.app import app
from tests.flows.command import COMMAND, ENV, ROOT
from tests.flows.photographs import job_fields, put_job
from tests.helpers import photographs_in

NAMES = [f"{number:04}.png" for number in range(4)]

RECIPE = """
name = "tiny"
summary = "Tiny."
task = "denoising"
seed = 3
degradations = ["awgn-50"]
losses = [{ name = "l1" }]
batch = 8
ema_decay = 0.9
length = { steps = 150 }

[data]
datasets = [{ name = "photographs", uri = "elsewhere" }]
crop = 16

[network]
architecture = "ffdnet"
arguments = { features = 24, layers = 4, predicts = "noise" }

[optimizer]
learning_rate = 5e-3
schedule = { name = "cosine", warm_up = 0.05 }
"""


@pytest.fixture
def place(tmp_path):
    photographs_in(tmp_path / "images", 4, 64, 64)
    (tmp_path / "tiny.toml").write_text(RECIPE, encoding="utf-8")
    return tmp_path


def invoke(*arguments):
    """The command in this process, which has imported everything already."""
    return CliRunner().invoke(app, [str(each) for each in arguments])


def train(place, *more):
    images = place / "images"
    given = (place / "tiny.toml", place / "out", "--data", images, "--validate", images)
    return invoke("train", *given, "--engine", "local", "--device", "cpu", "--threads", "1", *more)


def test_trained_published_and_used_at_once(place):
    done = train(place, "--publish", place / "registry")
    assert done.exit_code == 0, done.output
    assert "tiny: 150 steps" in done.stdout
    assert f"weights  {place}/out/tiny.safetensors" in done.stdout
    assert json.loads((place / "registry" / "index.json").read_text())["tiny"]["file"] == "tiny.safetensors"

    noisy, clean = place / "noisy", place / "clean"
    degraded = invoke("degrade", place / "images", noisy, "--degradation", "awgn-50", "--engine", "local")
    assert degraded.exit_code == 0, degraded.output
    weights = place / "registry" / "tiny.safetensors"
    restored = invoke(
        "restore", noisy, clean, "--pattern", "*.png", "--restorer", weights, "--engine", "local"
    )
    assert restored.exit_code == 0, restored.output
    table = clean / "_restora" / "tables" / "metrics.parquet"
    rows = duckdb.sql(f"select restorer, status, count(*) from '{table}' group by all").fetchall()
    assert rows == [("tiny", "ok", 4)]

    ratios = [error(place, clean, name) / error(place, noisy, name) for name in NAMES]
    assert max(ratios) < 0.5, ratios


def error(place, folder, name):
    """Mean square in 8-bit levels."""
    first, second = (np.asarray(PIL.Image.open(each / name), float) for each in (place / "images", folder))
    return np.square(first - second).mean()


def test_ctrl_c_writes_a_checkpoint_and_the_same_command_goes_on(place):
    command = [*COMMAND, "train", str(place / "tiny.toml"), str(place / "out"), "--engine", "local"]
    command += ["--data", str(place / "images"), "--steps", "100000", "--device", "cpu", "--threads", "1"]
    command += ["--set", "checkpoints.every_steps=20"]
    with subprocess.Popen(
        command, cwd=ROOT, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 90
        while not (place / "out" / "checkpoints" / "newest.json").exists():
            assert time.monotonic() < deadline
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "stopped at step " in errors
    assert "The same command goes on" in errors
    step = errors.partition("stopped at step ")[2].partition(";")[0]

    def newest_step() -> int:
        text = (place / "out" / "checkpoints" / "newest.json").read_text()
        return json.loads(text)["checkpoints"][-1]["step"]

    assert newest_step() == int(step)
    # In this process, which has imported everything already.
    thread = threading.Thread(target=interrupt_behind, args=(newest_step, int(step)))
    thread.start()
    again = invoke(*command[len(COMMAND) :])
    thread.join()
    assert again.exit_code == 130, again.output
    assert f"going on from step {step}" in again.output
    assert newest_step() > int(step)


def interrupt_behind(newest_step, step: int) -> None:
    """Ctrl-C to this process once there is a later checkpoint."""
    deadline = time.monotonic() + 90
    while newest_step() <= step and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--set", "batc=3"), 'batc: unknown field; did you mean "batch"'),
        (("--steps", "1", "--minutes", "2"), "length: give either steps or minutes"),
        (("--minutes", "0"), "length.minutes: Input should be greater than 0, got 0"),
        (("--workers", "2"), "use --engine ray, or --set resources.workers=1"),
        (("--data", "none"), "none"),
    ],
)
def test_wrong_commands_say_why(place, more, message):
    done = train(place, *more)
    assert done.exit_code in (1, 2)
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_generate_refuses_a_restorer(place):
    weights = ROOT / "models" / "weights" / "ffdnet-colour.safetensors"
    done = invoke("generate", weights, place / "out", "-n", "4")
    assert done.exit_code == 2
    assert "restores images and generates none" in done.stderr


FLOW = """
import sys
from flows.train import train
from pipeline.jobs.job import Job
from pipeline.run import Options
from pipeline.training.recipe.recipe import TrainingRecipe
from pipeline.training.run import TrainingOptions

place, images = sys.argv[1], sys.argv[2]
dataset = '[{ name = "photographs", uri = "' + images + '" }]'
recipe = TrainingRecipe.from_toml(place + "/tiny.toml", (f"data.datasets={dataset}",))
job = Job.from_toml(place + "/against.toml")
state = train(
    recipe, place + "/out", TrainingOptions("local", device="cpu"), registry=place + "/registry",
    against=job, run_options=Options(engine="local"), return_state=True,
)
print(state.name)
"""


@pytest.mark.slow
def test_flow_trains_publishes_and_holds_against_the_catalog(place, service):
    put_job(place / "against.toml", job_fields(place / "images", place / "bench", degradations=["awgn-50"]))
    done = subprocess.run(
        [sys.executable, "-c", FLOW, str(place), str(place / "images")],
        cwd=ROOT,
        env=ENV | service.env,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout.split()[-1:] == ["Completed"], done.stderr[-3000:]
    assert (place / "registry" / "tiny.safetensors").exists()
    table = place / "bench" / "tables" / "metrics.parquet"
    means = dict(duckdb.sql(f"select restorer, avg(psnr) from '{table}' group by 1").fetchall())
    assert means.keys() == {"identity", "median", "tiny"}
    assert means["tiny"] > means["identity"] + 4
