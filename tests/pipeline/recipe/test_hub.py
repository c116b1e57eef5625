"""Weights by ``hf://``, from a stand-in of the hub's file API: a real server on loopback."""

import hashlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from models.weights import shipped_path
from pipeline.errors import JobError
from pipeline.recipe.weights import fetch_restorer

pytest.importorskip("huggingface_hub", reason="the extra hf is not installed")
TOKEN = "hf_of_a_test"
COMMIT = {"main": "a" * 40, "v2": "b" * 40}


class Hub(BaseHTTPRequestHandler):
    """``/ORG/REPO/resolve/REVISION/FILE`` by HEAD and GET, with the headers that the library goes by."""

    files: dict[str, bytes]
    asked: list[tuple[str, str]]

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        self.asked.append((self.command, self.path))
        repo, _, rest = self.path.lstrip("/").partition("/resolve/")
        revision, _, file = rest.partition("/")
        if repo not in ("us/free", "us/ours", "us/gated"):
            return self.fault(404, "RepoNotFound")
        if repo == "us/gated":
            return self.fault(403, "GatedRepo")
        if repo == "us/ours" and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.fault(401, "RepoNotFound")
        if revision not in (*COMMIT, *COMMIT.values()):
            return self.fault(404, "RevisionNotFound")
        if file not in self.files:
            return self.fault(404, "EntryNotFound")
        content = self.files[file]
        self.send_response(200)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT.get(revision, revision))
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def fault(self, status, code):
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The files that the hub holds, and what it was asked."""
    Hub.files = {"small/srvgg.safetensors": shipped_path("srvgg-x2").read_bytes()}
    Hub.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    yield Hub
    server.shutdown()
    thread.join()
    server.server_close()


def downloads(hub):
    return sum(command == "GET" and "/resolve/" in path for command, path in hub.asked)


def test_weights_come_by_their_name_and_once(hub):
    restorer = fetch_restorer("hf://us/free/small/srvgg.safetensors")
    assert restorer.card.scale == 2
    assert restorer.card.weights_sha256 == hashlib.sha256(hub.files["small/srvgg.safetensors"]).hexdigest()
    fetch_restorer("hf://us/free/small/srvgg.safetensors")
    assert downloads(hub) == 1
    assert hub.asked[-1][0] == "HEAD", "asked each time whether it is still the newest"
    hub.files["small/srvgg.safetensors"] = shipped_path("srvgg-x4").read_bytes()
    hub_commit = COMMIT["main"]
    COMMIT["main"] = "c" * 40
    try:
        assert fetch_restorer("hf://us/free/small/srvgg.safetensors").card.scale == 4
    finally:
        COMMIT["main"] = hub_commit


def test_a_revision_and_a_token_are_sent(hub, monkeypatch):
    fetch_restorer("hf://us/free@v2/small/srvgg.safetensors")
    assert hub.asked[-1][1] == "/us/free/resolve/v2/small/srvgg.safetensors"
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert fetch_restorer("hf://us/ours/small/srvgg.safetensors").card.scale == 2


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("hf://us/ours/small/srvgg.safetensors", "a private one needs HF_TOKEN"),
        ("hf://us/nothing/x.safetensors", "the hub has no us/nothing"),
        ("hf://us/free/x.safetensors", "us/free has no file x.safetensors"),
        ("hf://us/free@v9/small/srvgg.safetensors", "no revision 'v9'"),
        ("hf://us/gated/x.safetensors", "conditions accepted"),
        ("hf://us/x.safetensors", "hf://ORG/REPO/FILE"),
    ],
)
def test_what_cannot_be_had_says_why(hub, url, said):
    with pytest.raises(JobError, match=said) as error:
        fetch_restorer(url)
    assert url in str(error.value)
    assert TOKEN not in str(error.value)


def test_a_hub_that_does_not_answer_leaves_what_was_fetched(hub, monkeypatch):
    fetch_restorer("hf://us/free/small/srvgg.safetensors")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(time, "sleep", lambda _: None)  # the library's pauses between its tries
    assert fetch_restorer("hf://us/free/small/srvgg.safetensors").card.scale == 2
    with pytest.raises(JobError, match="does not answer"):
        fetch_restorer("hf://us/free/another.safetensors")
