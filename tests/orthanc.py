"""An Orthanc of a test's own: a folder of its own, loopback only, a password, stopped by its own process."""

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from pipeline.doors.dicomweb.profiles import VARIABLE

BINARY = shutil.which("Orthanc") or ("/usr/sbin/Orthanc" if Path("/usr/sbin/Orthanc").exists() else None)
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
IS_INSTALLED = BINARY is not None and PLUGIN.exists()
USER, PASSWORD, PROFILE = "restora", "a secret of this test", "ward"


@dataclass(frozen=True)
class Orthanc:
    """A running server; ``profiles`` is the file that ``RESTORA_DICOMWEB`` names."""

    port: int
    profiles: Path

    @property
    def url(self) -> str:
        return f"dicomweb+http://127.0.0.1:{self.port}/dicom-web"

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {VARIABLE: str(self.profiles)}

    def ask(self, method: str, path: str, **options) -> requests.Response:
        """Orthanc's own interface, to fill it and to look into it."""
        url = f"http://127.0.0.1:{self.port}{path}"
        response = requests.request(method, url, auth=(USER, PASSWORD), timeout=30, **options)
        response.raise_for_status()
        return response

    def put(self, data: bytes) -> None:
        self.ask("POST", "/instances", data=data)

    def objects(self) -> list[bytes]:
        """Every instance, as a file."""
        return [
            self.ask("GET", f"/instances/{each}/file").content
            for each in self.ask("GET", "/instances").json()
        ]


@contextmanager
def running_orthanc(folder: Path) -> Iterator[Orthanc]:
    """An empty server that asks for a password."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    configuration = {
        "StorageDirectory": str(folder / "db"),
        "IndexDirectory": str(folder / "db"),
        "HttpPort": port,
        "DicomServerEnabled": False,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {USER: PASSWORD},
        "SaveJobs": False,
        "Plugins": [str(PLUGIN)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    (folder / "orthanc.json").write_text(json.dumps(configuration))
    profiles = folder / "dicomweb.toml"
    profiles.write_text(f'[{PROFILE}]\nuser = "{USER}"\npassword = "{PASSWORD}"\n')
    with (folder / "orthanc.log").open("wb") as log:
        server = subprocess.Popen([BINARY, str(folder / "orthanc.json")], stdout=log, stderr=log, cwd=folder)
        try:
            orthanc = Orthanc(port, profiles)
            _wait_for(orthanc, server)
            yield orthanc
        finally:
            server.terminate()
            server.wait(30)


def _wait_for(orthanc: Orthanc, server: subprocess.Popen, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.poll() is None:
        try:
            orthanc.ask("GET", "/system")
            return
        except requests.RequestException:
            time.sleep(0.1)
    raise AssertionError("Orthanc did not start")
