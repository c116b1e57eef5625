"""The services of ``deploy/compose.yaml`` as plain processes: do they work together?

``python -m benchmarks.compose``. Commands and environments are those of the file, with this machine in
place of its hosts and free ports in place of its own; PostgreSQL is Debian's (apt-get install postgresql),
the store moto's. Then, in the worker's environment: images go into a bucket, ``restora restore`` takes them
over the Ray head, a deployment takes them once more, and a client without the token is refused. Takes
minutes; ends with 1 where a step fails.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import yaml

from tests.helpers import photographs_in
from tests.moto_s3 import running_s3
from tests.postgres import running_postgres

ROOT = Path(__file__).parents[1]
SERVICES = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))["services"]
SECRETS = {"POSTGRES_PASSWORD": "unused", "STORE_PASSWORD": "test", "RAY_AUTH_TOKEN": "f0" * 32}
PATIENCE = 180.0
SECONDS_TO_END = 20


class Services:
    """Where each service listens, and what its file says of it with that put in."""

    def __init__(self, folder: Path, database: str, store: str) -> None:
        self.folder, self.database, self.store = folder, database, store
        self.prefect, self.ray = free_port(), free_port()

    def placed(self, text: str) -> str:
        """A text of the file as it is meant on this machine."""
        text = re.sub(r"\$\{(\w+)[^}]*\}", lambda found: SECRETS[found[1]], text)
        if text.startswith("postgresql"):
            return self.database
        text = re.sub(r"\b4200\b", str(self.prefect), re.sub(r"\b6379\b", str(self.ray), text))
        text = re.sub(r"(?<=//)prefect\b|\bray(?=:\d)|0\.0\.0\.0", "127.0.0.1", text)
        return text.replace("http://store:9000", self.store)

    def environment(self, name: str) -> dict[str, str]:
        """Of a service: what the file gives it, and where programs are."""
        given = {each: self.placed(str(value)) for each, value in SERVICES[name]["environment"].items()}
        kept = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        own = {
            "HOME": str(self.folder),
            "RAY_TMPDIR": str(self.folder),
            "RAY_USAGE_STATS_ENABLED": "0",
            "PYTHONPATH": str(ROOT),
        }
        return (
            kept
            | own
            | {"OMP_NUM_THREADS": "1", "DO_NOT_TRACK": "1", "PREFECT_WORKER_QUERY_SECONDS": "1"}
            | given
        )

    def command(self, name: str) -> list[str]:
        """Of a service; of the worker a shell's line."""
        words = [self.placed(each) for each in SERVICES[name]["command"]]
        return [*words, f"--port={self.prefect}"] if name == "prefect" else words


@dataclass(frozen=True)
class Service:
    """One of them, running."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path


@contextmanager
def started(services: Services, name: str) -> Iterator[Service]:
    """The service, from the project's folder; ended by its process group."""
    path = services.folder / f"{name}.log"
    with path.open("wb") as log:
        process = subprocess.Popen(
            services.command(name), cwd=ROOT, env=services.environment(name),
            stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            yield Service(name, process, path)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(SECONDS_TO_END)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def wait_for(service: Service, holds: Callable[[], bool]) -> None:
    """Until it holds; ends the script with the service's last lines where it ended, or takes too long."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and service.process.poll() is None:
        if holds():
            return
        time.sleep(0.5)
    raise SystemExit(
        f"{service.name}: not within {PATIENCE:.0f} s, or ended\n{service.log.read_text()[-3000:]}"
    )


def answers(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=5):
            return True
    except OSError:
        return False


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def step(
    what: str, command: list[str], environment: Mapping[str, str], expected: int = 0, says: str = ""
) -> None:
    """One command as the worker's container would run it; ends the script where it does otherwise."""
    begun = time.monotonic()
    done = subprocess.run(
        command, cwd=ROOT, env=dict(environment), capture_output=True, text=True, timeout=600
    )
    said = done.stdout + done.stderr
    if done.returncode != expected or says not in said:
        raise SystemExit(f"{what}: {done.returncode}\n{said[-4000:]}")
    print(f"{what}: ok, {time.monotonic() - begun:.0f} s", flush=True)


def main() -> int:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # every request of the store
    folder = Path(tempfile.mkdtemp(prefix="rc", dir="/tmp"))  # sockets of Ray lie below: a short path
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.callback(end_ray, folder)
        database = stack.enter_context(running_postgres(folder))
        store = stack.enter_context(running_s3())["AWS_ENDPOINT_URL"]
        services = Services(folder, database, store)
        prefect, ray = (stack.enter_context(started(services, name)) for name in ("prefect", "ray"))
        health = f"http://127.0.0.1:{services.prefect}/api/health"
        wait_for(prefect, lambda: answers(health))
        wait_for(ray, lambda: listens(services.ray))
        worker = stack.enter_context(started(services, "worker"))
        wait_for(worker, lambda: "started" in worker.log.read_text())
        use(services, services.environment("worker"))
    return 0


def use(services: Services, environment: dict[str, str]) -> None:
    """What a user does: by command, by deployment, and without the token."""
    photographs_in(services.folder / "images", 6)
    copy = (
        "import s3fs, sys; s = s3fs.S3FileSystem(); s.mkdir('archive'); "
        "s.put(sys.argv[1], 'archive/in', recursive=True)"
    )
    step("images in the store", [sys.executable, "-c", copy, str(services.folder / "images")], environment)
    restora = [sys.executable, "-m", "flows.cli", "restore", "s3://archive/in"]
    ours = [*restora, "s3://archive/out", "--restorer", "median"]
    step("restora restore over Ray", ours, environment, says="6 sources = 6 ok")
    job: dict[str, Any] = {"name": "again", "kind": "restore", "output": "s3://archive/again"}
    job |= {"datasets": [{"name": "scans", "uri": "s3://archive/in"}], "restorers": ["median"]}
    run = [sys.executable, "-m", "prefect", "deployment", "run", "restore/archive", "--watch"]
    step("prefect deployment run", [*run, "-p", f"job={json.dumps(job)}"], environment, says="successfully")
    step("restora verify", [*restora[:3], "verify", "s3://archive/again"], environment, says="whole")
    stranger = {name: value for name, value in environment.items() if not name.startswith("RAY_AUTH")}
    step("without the token", [*ours[:-3], "s3://archive/no", *ours[-2:]], stranger, 2, "demands a token")


def end_ray(folder: Path) -> None:
    """What Ray started with this folder and left."""
    for process in psutil.process_iter():
        try:
            if process.environ().get("RAY_TMPDIR") == str(folder) and process.pid != os.getpid():
                process.kill()
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue


if __name__ == "__main__":
    sys.exit(main())
