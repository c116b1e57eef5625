"""A signed address of weights in every place that a run writes to: its signature is in none of them."""

import io
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from flows.cli import failures
from flows.cli.app import app
from models.weights import shipped_path
from tests.flows.command import ENV, restora
from tests.helpers import encoded, fill, photograph

SECRET = "CANARYBIRD"
SIGNED = f"w.safetensors?X-Amz-Credential={SECRET}&X-Amz-Signature={SECRET}&token={SECRET}"


class _Weights(BaseHTTPRequestHandler):
    """The shipped weights for whoever signs; 403, with the whole address in the answer, for ``denied``."""

    def do_HEAD(self) -> None:
        self._answer(b"")

    def do_GET(self) -> None:
        self._answer(shipped_path("ffdnet-colour").read_bytes())

    def _answer(self, body: bytes) -> None:
        is_signed = SECRET in self.path and not self.path.startswith("/denied")
        body = body if is_signed else self.path.encode()
        self.send_response(200 if is_signed else 403)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    """Its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Weights)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def places(tmp_path, monkeypatch) -> Path:
    """Everything that a command may write to, in one folder; two photographs and a broken one."""
    for name, variable in (("cache", "RESTORA_CACHE"), ("tmp", "TMPDIR")):
        (tmp_path / name).mkdir()
        monkeypatch.setitem(ENV, variable, str(tmp_path / name))
        monkeypatch.setenv(variable, str(tmp_path / name))
    monkeypatch.setattr(tempfile, "tempdir", None)  # read anew
    images = {f"{number}.png": encoded(photograph(number)) for number in range(2)}
    fill(tmp_path / "in", images | {"broken.png": images["0.png"][:40]})
    return tmp_path


def here(capfd, *arguments: object) -> tuple[int, str]:
    """The command in this process, which has imported everything: exit code, and all that anyone prints."""
    capfd.readouterr()
    done = CliRunner().invoke(app, [str(each) for each in arguments])
    return done.exit_code, done.output + "".join(capfd.readouterr())


def told(place: Path) -> list[str]:
    """Files and names of files that hold the secret; Parquet files by their values and metadata too."""
    found = []
    for path in (each for each in place.rglob("*") if each.is_file() and not each.is_symlink()):
        data = path.read_bytes()
        if path.suffix == ".parquet":
            table = pq.read_table(io.BytesIO(data))
            data += repr((table.to_pylist(), table.schema.metadata)).encode()
        if SECRET.encode() in data or SECRET in str(path):
            found.append(str(path.relative_to(place)))
    return found


def test_no_sink_of_a_local_run_holds_a_signature(server, places, capfd):
    out = places / "out"
    options = ("--restorer", f"{server}/{SIGNED}", "--engine", "local")
    done = restora("restore", places / "in", out, *options)
    assert done.returncode == 3, done.stdout + done.stderr
    assert told(places) == [], "before another command writes the report anew"
    assert SECRET not in done.stdout + done.stderr
    for command in ("verify", "report", "retry"):
        code, printed = here(capfd, command, out)
        assert code in (0, 3), printed
        assert SECRET not in printed
    assert told(places) == []


def test_no_refusal_repeats_a_signature(server, places, capfd, monkeypatch):
    monkeypatch.setenv("RESTORA_CONTACT_SECONDS", "1")
    for address in (f"{server}/denied/{SIGNED}", f"http://127.0.0.1:9/{SIGNED}"):
        options = ("--restorer", address, "--engine", "local")
        code, printed = here(capfd, "restore", places / "in", places / "out", *options)
        assert code in (1, 2), printed
        assert SECRET not in printed
    assert told(places) == []


def test_an_interrupted_command_is_repeated_without_the_secret_in_its_address(monkeypatch):
    """The interrupt can come before the address is looked at and refused."""
    address = "s3://KEY:ab/SECRET@bucket/scans"
    monkeypatch.setattr(failures.sys, "argv", ["restora", "score", address, "sharp", "--metric", "psnr"])
    said = failures._this_command("--debug")
    assert said == "restora --debug score 's3://***@bucket/scans' sharp --metric psnr"
