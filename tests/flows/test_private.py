"""Private datasets from the command line: nothing printed or written tells a name."""

import pytest
from typer.testing import CliRunner

from flows.cli.app import app
from pipeline.privacy.key import VARIABLE
from tests.canary import CANARY, archive, hits


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "keys" / "privacy.key"))
    archive(tmp_path / "in")
    return tmp_path / "in" / CANARY


def said(*arguments) -> tuple[int, str]:
    """The command in this process: exit code and everything it printed."""
    done = CliRunner().invoke(app, [str(each) for each in arguments])
    return done.exit_code, done.output


def test_from_key_to_address_and_back(source, tmp_path, capfd):
    out = tmp_path / "out"
    arguments = ("restore", source, out, "--restorer", "identity", "--engine", "local")
    code, text = said(*arguments)
    assert code == 2
    assert "--private" in text
    code, text = said(*arguments, "--private")
    assert code == 2
    assert "restora key" in text
    assert CANARY not in text
    code, text = said("key")
    assert code == 0
    assert VARIABLE in text

    code, text = said(*arguments, "--private")
    assert code == 3, text
    assert CANARY not in text + "".join(capfd.readouterr()), "nor in what libraries and other processes print"
    assert "EMPTY" in text
    assert hits(out) == []

    code, text = said("whois", out)
    assert code == 0
    ids = dict(line.split("\tsource\t") for line in text.splitlines())
    assert len(ids) == 6
    assert all(address.startswith(str(source)) for address in ids.values())
    first = next(iter(ids))
    for name in (first.partition(".")[0], f"{first.partition('.')[0]}.dcm", first):
        assert said("whois", out, name) == (0, f"{first}\tsource\t{ids[first]}\n")
    assert said("whois", out, "nobody")[0] == 2

    for command in (("verify", out), ("report", out)):
        code, text = said(*command)
        assert code in (0, 3), text
        assert CANARY not in text
    assert hits(out) == []


def test_failures_tell_no_name(source, tmp_path):
    said("key")
    for wrong in (source / f"absent-{CANARY}", f"s3x://{CANARY}/scans", f"memory://{CANARY}/scans"):
        arguments = (wrong, tmp_path / "out", "--restorer", "identity", "--engine", "local")
        code, text = said("restore", *arguments, "--private")
        assert code in (1, 2), text
        assert CANARY not in text
    assert hits(tmp_path / "out") == []


def test_one_file_by_its_name(source, tmp_path):
    said("key")
    path = next(source.rglob("*-1.dcm"))
    code, text = said(
        "restore", path, tmp_path / "out", "--restorer", "identity", "--engine", "local", "--private"
    )
    assert code == 0, text
    assert CANARY not in text
    assert hits(tmp_path / "out") == []
    assert len(list((tmp_path / "out").glob("*.dcm"))) == 1


def test_a_sealed_address_stands_in_a_job(source, tmp_path):
    said("key")
    code, text = said("seal", source)
    assert code == 0
    assert text.startswith("sealed:")
    code, text = said(
        *("restore", text.strip(), tmp_path / "out", "--restorer", "identity", "--engine", "local"),
        *("--private", "--pattern", "*-1.dcm"),
    )
    assert code == 0, text
    assert hits(tmp_path / "out") == []
