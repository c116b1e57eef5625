"""``restora score`` and ``restora.score``: what others restored, scored and ranked."""

import numpy as np
import pytest
from typer.testing import CliRunner

import restora
from flows.cli.app import app
from flows.scoring import score_fields
from pipeline.errors import JobError
from tests.helpers import encoded, fill, photograph


@pytest.fixture
def folders(tmp_path):
    fill(tmp_path / "sharp", {f"{i}.png": encoded(photograph(i)) for i in range(3)})
    fill(tmp_path / "a", {f"{i}_x1.png": encoded(photograph(i) ^ np.uint8(1)) for i in range(3)})
    fill(tmp_path / "b", {f"{i}_x1.png": encoded(photograph(i) ^ np.uint8(4)) for i in range(2)})
    return tmp_path


RULE = ("--match", r"(?P<id>.+)_x1\.png", "--reference", "{id}.png")


def test_folders_are_ranked_by_the_command(folders, monkeypatch):
    monkeypatch.chdir(folders)
    done = CliRunner().invoke(app, ["score", "a", "b", "sharp", *RULE, "--engine", "local"])
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert "left out: 1 references that no image of b has" in lines
    ranked = [line.split() for line in lines if line.startswith((" a (best)", " b "))]
    assert [(each[0], each[-2]) for each in ranked] == [("a", "3"), ("b", "2")]
    again = CliRunner().invoke(app, ["score", "a", "b", "sharp", *RULE, "--engine", "local"])
    assert "nothing to do: 5 of 5" in again.output


def test_sequences_of_folders_have_scores_of_their_own(folders, monkeypatch):
    monkeypatch.chdir(folders)
    fill(folders / "walk", {f"s_{t}.png": encoded(photograph(t, 40, 40)) for t in range(3)})
    fill(folders / "same", {f"s_{t}.png": encoded(photograph(t, 40, 40)) for t in range(3)})
    command = ["score", "same", "walk", "--group", r"(?P<scene>.+)_(?P<t>\d+)\.png", "--engine", "local"]
    for said in ("3 of 3 images", "nothing to do: 3 of 3"):
        done = CliRunner().invoke(app, command)
        assert done.exit_code == 0, done.output
        assert said in done.output
        assert "same: 1 sequence, psnr_worst_frame inf, temporal_error 0, flow_error 0" in done.output


def test_one_file_against_one_and_python(folders):
    result = restora.score(
        folders / "a" / "1_x1.png", folders / "sharp" / "1.png", output=folders / "out", metrics=["mae"]
    )
    (row,) = result.metrics().to_pylist()
    assert (row["key"], row["restorer"], row["degradation"]) == ("1.png", "1_x1.png", "found")
    assert row["mae"] == pytest.approx(1 / 255)


@pytest.mark.parametrize(("arguments", "said"), [
    (["sharp"], "REFERENCES: is needed"), (["a", "a", "sharp"], "two of the folders are one"),
    (["a", "sharp/1.png", "--match", "x"], "needs no rule"), (["a", "sharp", "--metric", "psnrr"], "psnr"),
    (["a", "sharp", "--match", "("], "match"), (["a", "sharp", "--group", "x"], "--group: match: needs a"),
])  # fmt: skip
def test_a_wrong_command_line_says_what_to_do(folders, monkeypatch, arguments, said):
    monkeypatch.chdir(folders)
    done = CliRunner().invoke(app, ["score", *arguments, "--engine", "local"])
    assert done.exit_code == 2
    assert said in done.output


def test_names_tell_folders_of_one_name_apart():
    fields = score_fields(["s3://x/swinir/set5", "s3://x/esrgan/set5"], "s3://x/sharp/set5")
    assert [each["name"] for each in fields["datasets"]] == ["swinir-set5", "esrgan-set5"]
    with pytest.raises(JobError):
        score_fields(["s3://x/a", "s3://x/a"], "s3://x/b")
