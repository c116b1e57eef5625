"""``restora explain``: the page, what it says, and what is refused."""

import base64
import io
import re

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from flows.cli.app import app
from flows.cli.explain_progress import line
from flows.cli.insight_command import _command
from models.card import Card
from models.networks import build_network
from models.weights import save_weights
from pipeline.ledger.run_folder import open_existing
from pipeline.report.write import write_report
from pipeline.results.tables import read_metrics
from tests.helpers import benchmark, complete, encoded, photograph, photographs_in


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photo.png").write_bytes(encoded(photograph(1)[:40, :48]))
    torch.manual_seed(0)
    network = build_network("srvgg", {"channels": 3, "features": 4, "layers": 2, "scale": 2})
    arguments = {"channels": 3, "features": 4, "layers": 2, "scale": 2}
    facts = {"architecture": "srvgg", "arguments": arguments, "channels": 3, "scale": 2, "halo": 4}
    card = Card(name="mine", summary="Mine.", task="super-resolution", **facts)
    save_weights(tmp_path / "mine.safetensors", card, network.state_dict())
    return tmp_path


def test_its_progress_says_steps_and_time_left():
    assert line(6, None, 3.0).startswith("step 6 of 24, 0:00:09 left")
    refined = line(30, 2.3e-3, 30.0)
    assert refined.startswith(
        "step 30 of 384 at most, 0:05:54 left at most; the shares add up within 2.3e-03"
    )


def explain(*arguments):
    return CliRunner().invoke(app, ["explain", *arguments])


def test_the_page_shows_the_region_of_anyones_network(place):
    done = explain("mine.safetensors", "photo.png", "--region", "30,20,16,12", "--layer", "body.1")
    assert done.exit_code == 0, done.output
    page = (place / "photo.mine.html").read_text()
    assert "30,20,16,12 of the restored image" in page
    assert "restora explain mine.safetensors photo.png --region 30,20,16,12 --layer body.1" in page
    assert "<summary>Layer body.1</summary>" in page
    pictures = [
        Image.open(io.BytesIO(base64.b64decode(each))) for each in re.findall(r"base64,([^\"]+)", page)
    ]
    assert len(pictures) == 5  # input, restored, two maps, channels
    # Ten pixels of the map to one of the input: colour where the region is, and grey elsewhere.
    colour_HW = np.ptp(np.asarray(pictures[2]).astype(int), axis=2)
    region = colour_HW[100:160, 150:230].copy()
    colour_HW[60:200, 110:270] = 0
    assert region.mean() > 10
    assert region.mean() > 10 * colour_HW.mean()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["mine.safetensors", "none.png"], "no such file on this disk"),
        (["mine.safetensors", "photo.png", "--region", "90,0,16,16"], "has 80 x 64 pixels"),
        (["mine.safetensors", "photo.png", "--region", "1,2,3"], "give left,top,width,height"),
        (["mine.safetensors", "photo.png", "--of", "detial"], 'did you mean "detail"'),
        (["mine.safetensors", "photo.png", "--layer", "body.9"], "--layer: no layer"),
        (["identity", "photo.png", "--layer", "body.9"], "has no layers that give pictures"),
        (["mine.safetensors", "photo.png", "--private"], "would show who it is"),
    ],
)
def test_what_cannot_be_explained_is_refused_and_nothing_written(place, arguments, said):
    done = explain(*arguments)
    assert done.exit_code == 2
    assert said in " ".join(done.output.split())
    assert not list(place.glob("*.html"))


def test_the_command_on_the_page_holds_no_secret_of_an_address():
    signed = "https://host/mine.safetensors?X-Amz-Signature=CANARYBIRD"
    command = _command(signed, "photo.png", {"--mask": "s3://KEY:CANARYBIRD@bucket/masks", "--of": "level"})
    assert "CANARYBIRD" not in command
    assert command.startswith("restora explain 'https://host/mine.safetensors?X-Amz-Signature=***' photo.png")


def test_a_report_explains_the_worst_images_where_it_is_asked_to(place):
    photographs_in(place / "photos", 2)
    job = benchmark(place / "photos", place / "out", restorers=["identity"], metrics=["psnr"])
    complete(job)
    found = open_existing(str(place / "out"), None)
    page = place / "out" / "report" / "index.html"
    write_report(found, explained=1)
    assert re.findall(r"<h3>(.*), awgn-25, identity</h3>", page.read_text()) == [worst_of(found)]


def worst_of(found):
    rows = read_metrics(found).to_pylist()
    return min(rows, key=lambda row: row["psnr"])["key"]
