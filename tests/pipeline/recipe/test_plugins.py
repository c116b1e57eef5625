"""docs/example-package: built, installed beside Restora, and run; its version is in recipe and rows."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline import run
from pipeline.formats import FORMATS
from pipeline.jobs.job import Job
from pipeline.recipe.plugins import TABLES
from pipeline.storage.stores import STORES
from tests.flows.command import COMMAND, ENV
from tests.helpers import photographs_in
from tests.packages import put_package

ROOT = Path(__file__).parents[3]
JOB = """
name = "plugged"
output = "{out}"
datasets = [{{ name = "photographs", uri = "{photos}" }}]
degradations = ["awgn-25"]
restorers = [{{ name = "shallow", weights = "{weights}" }}]
metrics = ["psnr", "gradient_mae", "mine:Absolute"]
"""
MINE = """
from dataclasses import replace
from restora_example.gradient_mae import GradientMAE

class Absolute:
    protocol = replace(GradientMAE.protocol, name="absolute")
    def __call__(self, restored_BCHW, reference_BCHW, valid_B1HW):
        return (restored_BCHW - reference_BCHW).abs().double().mean((1, 2, 3))
"""
WEIGHTS_AND_COMMAND = """
import sys
from pathlib import Path
from models.card import Card
from models.networks import build_network, card_facts
from models.weights import save_weights
from flows.cli.entry import main
network = build_network("shallow", {"channels": 3})
card = Card(name="shallow", summary="x", task="denoising", architecture="shallow", **card_facts(network))
save_weights(Path(sys.argv.pop(1)), card, network.state_dict())
main()
"""


def checked(command, **options) -> str:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=300, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> tuple[Path, dict[str, str]]:
    """Where the example package is installed, and the environment of a process that has it."""
    place = tmp_path_factory.mktemp("plugins")
    shutil.copytree(ROOT / "docs" / "example-package", place / "source")
    build = "from setuptools import build_meta; build_meta.build_wheel('..')"
    checked([sys.executable, "-c", build], cwd=place / "source")
    (wheel,) = place.glob("*.whl")
    options = ["--quiet", "--no-deps", "--no-index", "--target", place / "site"]
    checked([sys.executable, "-m", "pip", "install", *options, wheel])
    (place / "own").mkdir()
    (place / "own" / "mine.py").write_text(MINE)
    path = os.pathsep.join(map(str, (place / "site", place / "own", ENV["PYTHONPATH"])))
    return place, {**ENV, "PYTHONPATH": path}


@pytest.mark.parametrize("engine", ["local", pytest.param("ray", marks=pytest.mark.long)])
def test_the_example_is_used_by_name_and_is_in_recipe_and_rows(installed, tmp_path, engine):
    place, environment = installed
    weights = tmp_path / "shallow.safetensors"
    photographs_in(tmp_path / "photos", 2)
    job = tmp_path / "job.toml"
    job.write_text(JOB.format(out=tmp_path / "out", photos=tmp_path / "photos", weights=weights))
    both = [sys.executable, "-c", WEIGHTS_AND_COMMAND, weights]
    checked([*both, "benchmark", job, "--engine", engine, "--workers", "1"], env=environment, cwd=tmp_path)
    rows = pq.read_table(tmp_path / "out" / "tables" / "metrics.parquet").to_pylist()
    assert [row["status"] for row in rows] == ["ok", "ok"]
    for row in rows:
        assert 0 < row["gradient_mae"] < 1
        assert 0 < row["mine:Absolute"] < row["mine:Absolute_degraded"] + 0.1
        packages = row["plugins"].split(", ")
        assert packages[0].startswith("mine.py sha256:")
        assert packages[1:] == ["restora-example 0.1.0"]
    recipe = json.loads((tmp_path / "out" / "recipe.json").read_text())["recipe"]
    assert recipe["plugins"]["networks"] == {"shallow": "restora-example 0.1.0"}
    assert recipe["plugins"]["metrics"]["gradient_mae"] == "restora-example 0.1.0"

    # Another version is another recipe, and says so.
    (info,) = (place / "site").glob("*.dist-info")
    metadata = (info / "METADATA").read_text()
    (info / "METADATA").write_text(metadata.replace("Version: 0.1.0", "Version: 0.2.0"))
    again = subprocess.run(
        [*COMMAND, "benchmark", str(job), "--engine", "local"],
        env=environment,
        capture_output=True,
        text=True,
    )
    (info / "METADATA").write_text(metadata)
    assert again.returncode == 2
    assert "restora-example 0.2.0" in again.stdout + again.stderr


ATTIC = """
from dataclasses import replace
from urllib.parse import urlsplit
from pipeline.formats.png import Png
from pipeline.storage.disk import Disk

class Attic(Disk):
    protocol = "attic"
    def __init__(self, url, profile):
        super().__init__(urlsplit(url).path)

class Turned(Png):
    name, extensions, summary = "turned", (".turned",), "a PNG whose bytes are the other way round"

    def recognises(self, data):
        return super().recognises(data[::-1])

    def decode(self, data, limits):
        image = super().decode(data[::-1], limits)
        return replace(image, metadata=replace(image.metadata, format="turned"))

    def encode(self, image):
        return super().encode(image)[::-1]
"""


@pytest.fixture
def attic(tmp_path, monkeypatch):
    """A package with a store and a format, as if it had been there when the process began."""
    groups = {"stores": {"attic": "attic_code:Attic"}, "formats": {"turned": "attic_code:Turned"}}
    monkeypatch.syspath_prepend(put_package(tmp_path / "site", "attic", "3.0", ATTIC, **groups))
    for each in TABLES:
        each.__dict__.pop("installed", None)
    yield
    for each in (STORES, FORMATS):
        each.__dict__.pop("installed", None)
        each._loaded.clear()


def test_a_store_and_a_format_of_a_package_serve_a_run(attic, tmp_path):
    photographs_in(tmp_path / "photos", 2)
    first, second = sorted((tmp_path / "photos").glob("*.png"))
    turned = second.with_suffix(".turned")
    turned.write_bytes(second.read_bytes()[::-1])
    job = Job.parse(
        {
            "name": "attic",
            "kind": "restore",
            "output": f"attic://{tmp_path}/out",
            "datasets": [{"name": "photos", "uri": f"attic://{tmp_path}/photos"}],
            "restorers": ["median"],
        }
    )
    options = run.Options(engine="local")
    with run.open_run(job, options) as opened:
        run.execute(opened, options, run.plan(opened, options))
        run.compact(opened)
    table = pq.read_table(tmp_path / "out" / "_restora" / "tables" / "metrics.parquet")
    rows = {row["key"]: row for row in table.to_pylist()}
    assert {key: row["status"] for key, row in rows.items()} == dict.fromkeys(
        (first.name, second.name, turned.name), "ok"
    )
    restored = {name: (tmp_path / "out" / name).read_bytes() for name in (second.name, turned.name)}
    assert restored[turned.name][::-1] == restored[second.name]
    assert {row["plugins"] for row in rows.values()} == {"attic 3.0"}
    assert opened.specification["plugins"] == {"formats": {"turned": "attic 3.0"}}
