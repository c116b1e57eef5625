"""``restora demo``: pictures out of scikit-image's wheel, denoised and ranked."""

import numpy as np
import PIL.Image
import pytest
import skimage.data
from typer.testing import CliRunner

from flows.cli.app import app
from flows.cli.demo import PHOTOGRAPHS, SIDE, copy_photographs
from tests.flows.command import restora


def test_photographs_are_the_middle_of_those_in_the_wheel_and_are_written_once(tmp_path):
    copy_photographs(tmp_path)
    paths = sorted(tmp_path.iterdir())
    assert len(paths) == len(PHOTOGRAPHS)
    margin = (512 - SIDE) // 2
    expected = skimage.data.astronaut()[margin : margin + SIDE, margin : margin + SIDE]
    np.testing.assert_array_equal(np.asarray(PIL.Image.open(tmp_path / "astronaut.png")), expected)
    assert all(PIL.Image.open(path).mode == "RGB" for path in paths)
    before = [path.stat().st_mtime_ns for path in paths]
    copy_photographs(tmp_path)
    assert [path.stat().st_mtime_ns for path in paths] == before


@pytest.mark.slow
def test_demo_ranks_the_network_first_and_the_second_time_does_nothing(tmp_path):
    first = restora("demo", tmp_path / "demo", "--limit", "2", "--engine", "local")
    assert first.returncode == 0, first.stderr
    rankings = [line for line in first.stdout.splitlines() if "ffdnet-colour" in line or "median" in line]
    assert ["ffdnet-colour" in line for line in rankings] == [True, False, True, False], first.stdout
    assert (tmp_path / "demo" / "report" / "index.html").exists()
    again = CliRunner().invoke(app, ["demo", str(tmp_path / "demo"), "--limit", "2"])
    assert again.exit_code == 0, again.stderr
    assert again.stdout.strip() == "nothing to do: 2 of 2 images are done"
