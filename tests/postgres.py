"""A PostgreSQL of a test's own: a folder of its own, loopback only, stopped by its own command."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BINARIES = shutil.which("initdb"), shutil.which("postgres")


@contextmanager
def running_postgres(folder: Path) -> Iterator[str]:
    """The address of an empty database, as Prefect's server takes it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # PostgreSQL refuses to run as root; there is an account of its own where it is installed.
    as_other = (
        ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if os.geteuid() == 0 else []
    )
    data = Path(f"/tmp/restora-postgres-{os.getpid()}-{port}")
    data.mkdir(mode=0o700)
    if as_other:
        shutil.chown(data, "postgres", "postgres")
    initdb = [*as_other, "initdb", "--pgdata", str(data), "--username=prefect", "--auth=trust", "--no-sync"]
    subprocess.run(initdb, check=True, capture_output=True, cwd="/")
    options = ["-h", "127.0.0.1", "-p", str(port), "-k", str(data), "-c", "fsync=off"]
    with (folder / "postgres.log").open("wb") as log:
        server = subprocess.Popen(
            [*as_other, "postgres", "-D", str(data), *options], stdout=log, stderr=log, cwd="/"
        )
        try:
            _wait_for(port, server)
            yield f"postgresql+asyncpg://prefect@127.0.0.1:{port}/postgres"
        finally:
            server.terminate()
            server.wait(30)
            shutil.rmtree(data)


def _wait_for(port: int, server: subprocess.Popen[bytes], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.2)
    raise AssertionError("PostgreSQL did not start")
