"""From a folder with a package of the caller's that is called as one of ours, the import says what to do."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["pipeline", "models", "flows"])
def test_a_package_that_hides_ours_is_named(tmp_path, name):
    (tmp_path / f"{name}.py").write_text("raise SystemExit('it was run')\n")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    told = [sys.executable, "-c", "import restora"]
    done = subprocess.run(told, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert f"its own package {name}, which {tmp_path / name}.py stands in the place of" in done.stderr
    assert "python -P" in done.stderr


def test_a_safe_path_finds_ours(tmp_path):
    (tmp_path / "pipeline.py").write_text("raise SystemExit('it was run')\n")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    told = [sys.executable, "-P", "-c", "import restora; print(restora.Job.__module__)"]
    done = subprocess.run(told, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout == "pipeline.jobs.job\n", done.stderr
