"""A Prefect server and worker of a test's own: loopback only, a home of their own, stopped by pid."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from tests.helpers import folder_of_somebody
from tests.postgres import BINARIES, running_postgres

ROOT = Path(__file__).parents[2]
DATABASE = "PREFECT_SERVER_DATABASE_CONNECTION_URL"


class Service:
    """``prefect ...`` commands, and what the server's API says, against one server."""

    def __init__(self, home: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/api"
        self.port = port
        self.home = home
        self.env = {
            **{
                name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "RAY_"))
            },
            "PREFECT_HOME": str(home),
            "PREFECT_API_URL": self.url,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "DO_NOT_TRACK": "1",
            "RAY_worker_niceness": "0",
            "PREFECT_CLI_COLORS": "false",
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "PREFECT_WORKER_QUERY_SECONDS": "3",
            "COLUMNS": "200",
        }

    def __call__(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs a command from the project's root."""
        command = [sys.executable, "-m", "prefect", *arguments]
        done = subprocess.run(
            command,
            cwd=ROOT,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=300,
            stdin=subprocess.DEVNULL,
        )
        assert not check or done.returncode == 0, f"{arguments}: {done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done

    def ask(self, path: str, body: dict | None = None):
        """POSTs to the API, or GETs without a body."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def runs(self) -> list[dict]:
        """Every flow run, the newest first."""
        return self.ask("/flow_runs/filter", {"sort": "START_TIME_DESC"})

    def artifacts(self, flow_run_id: str) -> dict[str, list[dict]]:
        """Artifacts of a run by type."""
        found: dict[str, list[dict]] = {}
        wanted = {"artifacts": {"flow_run_id": {"any_": [flow_run_id]}}}
        for artifact in self.ask("/artifacts/filter", wanted):
            found.setdefault(artifact["type"], []).append(artifact)
        return found

    def logs(self, flow_run_id: str) -> list[str]:
        """Lines of a run's log."""
        body = {"logs": {"flow_run_id": {"any_": [flow_run_id]}}, "sort": "TIMESTAMP_ASC"}
        return [record["message"] for record in self.ask("/logs/filter", body)]


@contextmanager
def prefect_service(home: Path):
    """A running server with the project's deployments and a worker."""
    service = Service(home, _free_port())
    with contextlib.ExitStack() as stack:
        if all(BINARIES):  # as in deploy/compose.yaml; SQLite where there is none
            service.env[DATABASE] = stack.enter_context(running_postgres(home))
        yield from _served(service)


def _served(service: Service):
    with _process(service, "server", "start", "--host", "127.0.0.1", "--port", str(service.port)) as server:
        _wait_until_healthy(service, server)
        service.ask("/work_pools/", {"name": "restora", "type": "process"})
        service("--no-prompt", "deploy", "--all")
        elsewhere = folder_of_somebody(service.home / "project")
        with _process(service, "worker", "start", "--pool", "restora", folder=elsewhere):
            yield service


@contextmanager
def _process(service: Service, *arguments: str, folder: Path = ROOT):
    log = (service.home / f"{arguments[0]}.log").open("wb")
    process = subprocess.Popen(
        [sys.executable, "-m", "prefect", *arguments],
        cwd=folder,
        env=service.env,
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        log.close()


def _wait_until_healthy(service: Service, server: subprocess.Popen, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert server.poll() is None, (service.home / "server.log").read_text()[-3000:]
        try:
            if service.ask("/health") is True:
                return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(f"no healthy server after {seconds} s")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
