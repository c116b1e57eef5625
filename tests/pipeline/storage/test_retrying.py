"""Stores that hang, break off or talk nonsense: one layer asks again, in its time, and says what it met."""

import re
import socket
import time

import pytest

from pipeline.errors import ImageError, StorageError
from pipeline.quarantine import read_failure
from pipeline.storage import retrying
from pipeline.storage import server as servers
from pipeline.storage.folder import Folder
from pipeline.storage.retrying import CONTACT_SECONDS, REQUEST_SECONDS, Unanswered, retried
from tests.faulty_s3 import OBJECT, faulty_s3


@pytest.fixture
def budget(monkeypatch):
    monkeypatch.setenv(CONTACT_SECONDS, "3")
    monkeypatch.setenv(REQUEST_SECONDS, "3")


DEEDS = {
    "hang": "took the connection and did not answer in time",
    "busy": "answered 503",
    "reset": "broke off the connection",
    "garbage": "broke off the connection|gave an answer that such a store does not give",
}


@pytest.mark.parametrize("mode", DEEDS)
def test_the_first_contact_ends_in_its_time_and_says_what_the_server_did(mode, budget):
    with faulty_s3(mode):
        begun = time.monotonic()
        with pytest.raises(StorageError, match=f"cannot reach s3://b/in: .*the server ({DEEDS[mode]})"):
            Folder("s3://b/in").exists("a.png")
        assert time.monotonic() - begun < 30, "a slow machine; three retries upon another took 1,651 s"


def test_a_server_that_is_not_there_is_said_to_be_so(budget):
    with faulty_s3("hang") as server:
        server.shutdown()
        server.server_close()
        with pytest.raises(StorageError, match="the server cannot be connected to"):
            list(Folder("s3://b/in").pages())


ACTIONS = {
    "read": lambda folder: folder.read("a.png"),
    "head": lambda folder: folder.head("a.png", 99),
    "open": lambda folder: folder.open("a.png").read(),
    "list": lambda folder: b"".join(each.key.encode() for page in folder.pages() for each in page),
    "exists": lambda folder: b"%d" % folder.exists("a.png"),
    "put": lambda folder: folder.put("a.png", OBJECT),
}


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("mode", ["busy", "reset"])
def test_every_request_is_tried_again_by_one_layer_alone(mode, action, monkeypatch):
    monkeypatch.setattr(retrying, "sleep", lambda _: None)
    right = {"list": b"a.png", "exists": b"1", "put": None}.get(action, OBJECT)
    with faulty_s3(mode, faults=2) as server:
        assert ACTIONS[action](Folder("s3://b/in")) == right
        assert server.requests == (4 if action == "open" else 3)


def test_the_tries_that_are_told_are_the_requests_that_were_made(budget):
    with faulty_s3("busy") as server:
        with pytest.raises(Unanswered) as failure:
            Folder("s3://b/in").read("a.png")
        assert re.search(f"; {server.requests} tr(y|ies) in", str(failure.value))
        assert "answered 503 SlowDown" in str(failure.value)
        assert read_failure(failure.value).reason == "READ_FAILED"


def test_half_an_object_is_not_taken_for_the_whole(monkeypatch):
    monkeypatch.setattr(retrying, "sleep", lambda _: None)
    with faulty_s3("cut", faults=2) as server:
        assert Folder("s3://b/in").read("a.png") == OBJECT
        assert server.requests == 3


def test_an_object_that_comes_a_byte_at_a_time_is_given_up(monkeypatch):
    monkeypatch.setenv(REQUEST_SECONDS, "0.6")
    monkeypatch.setenv(CONTACT_SECONDS, "0.6")
    with faulty_s3("drip"):
        begun = time.monotonic()
        with pytest.raises(Unanswered, match="did not answer in time"):
            Folder("s3://b/in").read("a.png")
        assert time.monotonic() - begun < 30


def test_after_the_first_answer_the_longer_budget_counts(monkeypatch):
    monkeypatch.setenv(CONTACT_SECONDS, "0.3")
    monkeypatch.setenv(REQUEST_SECONDS, "600")
    pauses = []
    monkeypatch.setattr(retrying, "sleep", pauses.append)
    with faulty_s3("busy", faults=0) as server:
        folder = Folder("s3://b/in")
        folder.read("a.png")
        server.faults, server.requests = 5, 0
        assert folder.read("a.png") == OBJECT
    assert len(pauses) == 5
    assert sum(pauses) > 10, "they grow"


def test_pauses_differ_so_that_workers_do_not_come_back_at_once(monkeypatch):
    pauses = []
    monkeypatch.setattr(retrying, "sleep", pauses.append)

    def busy():
        raise ConnectionError

    for _ in range(5):
        with pytest.raises(Unanswered):
            retried(busy, attempts=2)
    assert len(set(pauses)) == 5
    assert all(0.1 <= each <= 0.2 for each in pauses)


def test_a_nested_layer_does_not_multiply():
    calls = []

    def failing():
        calls.append(1)
        raise ConnectionError("reset")

    with pytest.raises(Unanswered):
        retried(lambda: retried(failing, attempts=1), attempts=3)
    assert len(calls) == 1
    with pytest.raises(ImageError):
        retried(lambda: _refuse(calls), attempts=3)
    assert len(calls) == 2


def _refuse(calls):
    calls.append(1)
    raise ImageError("UNREADABLE", "a pipe")


def test_a_list_of_objects_on_a_dead_web_server_waits_for_it_once(monkeypatch):
    monkeypatch.setattr(retrying, "sleep", lambda _: None)
    monkeypatch.setenv(CONTACT_SECONDS, "0.3")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listened to: it refuses
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        said = []
        for number in range(4):
            with pytest.raises((Unanswered, StorageError), match="cannot be connected to") as failure:
                Folder(f"{address}/{number}").read("a.png")
            said.append(str(failure.value))
    assert "; 1 try in" not in said[0]
    assert "; 1 try in" in said[1], "it is looked at once more, for the first object may be to blame"
    assert all("asked again in" in each for each in said[2:])


def test_a_server_that_falls_silent_is_asked_once_in_a_while(monkeypatch):
    """One object that never comes is no proof against a server that gives others meanwhile."""
    monkeypatch.setattr(retrying, "sleep", lambda _: None)
    silent, asked, known = [True], [], servers.Server()

    def ask():
        asked.append(1)
        if silent[0]:
            raise ConnectionError("reset")
        return "here"

    def ask_beside():
        silent[0] = False
        assert known.tried(ask, 1.0) == "here"
        silent[0] = True
        return ask()

    with pytest.raises(Unanswered):
        known.tried(ask_beside, 0.0)
    assert known.tried(lambda: "here", 1.0) == "here"
    for _ in range(5):
        with pytest.raises(Unanswered):
            known.tried(ask, 0.0)
    assert len(asked) == 4, "two beside each other, one that finds it silent, and one that looks"
    monkeypatch.setattr(servers, "monotonic", lambda: time.monotonic() + 2 * servers.BETWEEN_LOOKS)
    with pytest.raises(Unanswered, match="1 try"):
        known.tried(ask, 600.0)
    silent[0] = False
    monkeypatch.setattr(servers, "monotonic", lambda: time.monotonic() + 4 * servers.BETWEEN_LOOKS)
    assert [known.tried(ask, 600.0) for _ in range(2)] == ["here", "here"]
