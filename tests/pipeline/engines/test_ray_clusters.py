"""Ray where there is Ray already, and from folders whose packages are called as ours are."""

import os
import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.helpers import folder_of_somebody, photographs_in
from tests.killing import end

ROOT = Path(__file__).parents[3]
COMMAND = [sys.executable, "-P", "-c", "from flows.cli.entry import main; main()"]
"""As the console script starts: without the folder it is started in on its path."""
BIN = Path(sys.executable).parent


class Machine:
    """A user of a machine: a home, a folder for Ray, and no variables of Ray's."""

    def __init__(self, home: Path, ray: Path) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        self.ray = str(ray)
        self.env = kept | {
            "HOME": str(home),
            "RAY_TMPDIR": self.ray,
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_worker_niceness": "0",
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        }

    def restora(self, *arguments: object, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, *map(str, arguments)],
            cwd=cwd, env=self.env | more, capture_output=True, text=True, timeout=600,
        )  # fmt: skip

    def shell(self, command: str, **more: str) -> None:
        done = subprocess.run(
            ["bash", "-c", command], env=self.env | more, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def end(self) -> None:
        """Ends every process of Ray's that was started with this folder."""
        mine = set()
        for process in psutil.process_iter():
            try:
                if process.environ().get("RAY_TMPDIR") == self.ray and process.pid != os.getpid():
                    mine.add(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
                continue
        end(mine)


@pytest.fixture
def machine(tmp_path):
    user = Machine(tmp_path, Path(f"/tmp/rt{os.getpid()}c"))  # a socket's path must be short
    yield user
    user.end()


@pytest.fixture
def folder(tmp_path):
    """Where packages are called as ours are; beside it are images."""
    photographs_in(tmp_path / "images", 2)
    return folder_of_somebody(tmp_path / "project")


def documented() -> list[str]:
    """The commands that docs/operations.md gives for a cluster."""
    section = (
        (ROOT / "docs" / "operations.md").read_text().partition("## Ray clusters")[2].partition("\n## ")[0]
    )
    lines = [line.partition(" #")[0].strip() for line in re.findall(r"^    (.*)$", section, re.M)]
    assert [line.split()[0] for line in lines] == ["export", "ray", "ray", "ray", "restora"]
    return lines


def free_port() -> int:
    import socket

    for port in range(6400, 6500):  # Ray itself wants those from 10002 on
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)):
                return port
    raise AssertionError("no free port")


@pytest.fixture
def restore(tmp_path):
    return "restore", tmp_path / "images", "--restorer", "median", "--engine", "ray", "--workers", "1"


@pytest.mark.slow
def test_a_run_starts_its_own_ray_in_any_folder(machine, folder, restore, tmp_path):
    alone = machine.restora(*restore, tmp_path / "alone", cwd=folder)
    assert (alone.returncode, alone.stderr) == (0, "")
    assert (tmp_path / ".ray" / "auth_token").exists(), "Ray leaves a token, which its next head demands"


@pytest.mark.long
def test_runs_join_as_documented_or_start_their_own_ray(machine, folder, restore, tmp_path):
    port = free_port()
    machine.restora("doctor", cwd=tmp_path)  # a local start writes a token, which the next head demands
    export, make_token, head, other, _ = documented()
    size = " --num-cpus=2 --disable-usage-stats"
    for command in (make_token, f"{head}{size} --include-dashboard=false", other + size):
        machine.shell(f"{export}; {command.replace('6379', str(port)).replace('HEAD', '127.0.0.1')}")
    joined = machine.restora(*restore, tmp_path / "joined", "--ray-address", f"127.0.0.1:{port}", cwd=folder)
    assert (joined.returncode, joined.stderr) == (0, "")
    next((tmp_path / "joined").glob("*.png")).write_bytes(b"damaged")
    for sample in ((), ("--sample", "2")):
        verified = machine.restora(
            "verify", tmp_path / "joined", *sample, "--ray-address", f"127.0.0.1:{port}", cwd=folder
        )
        assert verified.returncode == 1
        assert "7 bytes, the ledger says" in verified.stderr, verified.stdout
    named = machine.restora("doctor", cwd=tmp_path, RAY_ADDRESS=f"127.0.0.1:{port}")
    assert f"127.0.0.1:{port}; nodes: 2, CPUs: 4" in words(named), named.stderr
    beside = machine.restora("doctor", cwd=tmp_path)
    assert "starts on this machine; CPU cores:" in words(beside), "a run without an address starts its own"

    (tmp_path / ".ray" / "auth_token").unlink()
    refused = machine.restora(
        *restore, tmp_path / "refused", "--ray-address", f"127.0.0.1:{port}", cwd=tmp_path
    )
    assert refused.returncode == 2
    assert "demands a token that this machine does not have; copy ~/.ray/auth_token" in refused.stderr

    machine.end()
    assert list(Path(machine.ray).rglob("ray_current_cluster")), "Ray forgot the dead cluster's address"
    # As with a Ray that wants tokens everywhere, of a user who has none yet.
    stale = machine.restora("doctor", cwd=tmp_path, RAY_AUTH_MODE="token")
    assert "starts on this machine; CPU cores:" in words(stale), stale.stderr


def words(done: subprocess.CompletedProcess[str]) -> str:
    """What was printed, without its lines and columns."""
    return " ".join(done.stdout.split())
