"""The doctor's findings, against what is really installed and reachable."""

import os
from importlib import metadata

import pytest

from pipeline.doctor import Known, cluster, packages, reach


def test_packages_are_reported_with_the_versions_that_are_installed():
    found = {finding.subject: finding for finding in packages()}
    assert metadata.version("torch") in found["torch"].message
    assert {finding.level for finding in found.values()} <= {"ok", "warning"}


@pytest.mark.parametrize(("versions", "level"), [(">=0", "bad"), ("<0.0.1", "ok")])
def test_a_known_bad_version_is_named_with_its_cure(versions, level):
    known = (Known("numpy", versions, "does not work", "pip install something else"),)
    (finding,) = (each for each in packages(known) if each.subject == "numpy")
    assert finding.level == level
    assert (finding.cure == "pip install something else") == (level == "bad")
    assert metadata.version("numpy") in finding.message


def test_storage_is_probed_and_left_clean(tmp_path):
    (tmp_path / "mine.txt").write_text("stays")
    assert reach(str(tmp_path)).level == "ok"
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    "url", ["/nonexistent/folder", "nosuchscheme://bucket/x", "s3://key:secret@bucket/x"]
)
def test_storage_out_of_reach_has_a_cure(url):
    finding = reach(url)
    assert finding.level == "bad"
    assert finding.cure
    assert "secret" not in finding.message


@pytest.mark.slow
def test_ray_is_started_counted_and_stopped():
    import ray

    (finding,) = cluster(None)
    assert finding.level == "ok"
    assert f"CPU cores: {os.cpu_count()}" in finding.message
    assert not ray.is_initialized()
