"""The wheel and the source distribution: built, compared with the sources, installed alone and used."""

import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from tests.helpers import photographs_in

pytestmark = pytest.mark.slow  # all in the one row, so that it is built once
ROOT = Path(__file__).parents[1]
PACKAGES = ("models", "pipeline", "flows", "restora")
NEVER = ("__pycache__", ".pyc")
SHIPPED_BESIDE = ("README.md", "LICENSE", "prefect.yaml", "docs/architecture.md", "conf/set5-x4.toml")


def sources() -> set[str]:
    """Every file of the packages, code and data alike."""
    files = (path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_file())
    return {str(path.relative_to(ROOT)) for path in files if not any(part in str(path) for part in NEVER)}


def checked(command, **options) -> str:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> tuple[Path, Path]:
    """The source distribution, and the wheel that is made from it."""
    place = tmp_path_factory.mktemp("built")
    copy = place / "copy"
    ignored = shutil.ignore_patterns(*NEVER, "*.egg-info", "build", "dist", "out", ".*")
    shutil.copytree(ROOT, copy, ignore=ignored, symlinks=True)
    build = "from setuptools import build_meta as b; import sys; b.build_{kind}(sys.argv[1])"
    checked([sys.executable, "-c", build.format(kind="sdist"), place], cwd=copy)
    (sdist,) = place.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(place / "unpacked", filter="data")
    (unpacked,) = (place / "unpacked").iterdir()
    checked([sys.executable, "-c", build.format(kind="wheel"), place], cwd=unpacked)
    (wheel,) = place.glob("*.whl")
    return sdist, wheel


def test_the_wheel_holds_every_source_and_nothing_else(built):
    with zipfile.ZipFile(built[1]) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert names == sources()


def test_the_source_distribution_holds_docs_jobs_and_deployments(built):
    with tarfile.open(built[0]) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert sources() <= names
    assert set(SHIPPED_BESIDE) <= names


def test_the_wheel_works_where_there_is_no_checkout(built, tmp_path):
    """In an environment of its own, from an empty folder, beside the libraries that the tests use."""
    venv.create(tmp_path / "venv", with_pip=False, symlinks=True)
    python = tmp_path / "venv" / "bin" / "python"
    install = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        python,
        "install",
        "--quiet",
        "--no-compile",
        "--no-deps",
        "--no-index",
    ]
    checked([*install, built[1]])
    (packages,) = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    libraries = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    # As with --system-site-packages, but of the environment of the tests; its own link to the checkout is
    # a .pth file, which counts only where Python looks for such files itself.
    (packages / "tests.pth").write_text("\n".join(libraries), encoding="utf-8")
    empty = tmp_path / "empty"
    empty.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*arguments) -> str:
        restora = tmp_path / "venv" / "bin" / "restora"
        return checked([restora, *arguments], cwd=empty, env=environment)

    where = checked(
        [python, "-c", "import pipeline.storage as p; print(p.__file__)"], cwd=empty, env=environment
    )
    assert str(packages) in where
    assert "nafnet-motion" in run("list", "restorers")
    photographs_in(empty / "in", 1)
    run(
        "restore", "in", "out", "--restorer", "nafnet-motion", "--engine", "local"
    )  # the demo has its own test
    assert (empty / "out" / "_restora" / "report" / "index.html").exists()
    assert "0.1.0" in run("--version")
