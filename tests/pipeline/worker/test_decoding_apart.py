"""Compressed DICOM is decoded beside the worker: a codec that aborts or hangs costs one row."""

import os
from hashlib import sha256

import numpy as np
import pytest

from pipeline.errors import ImageError
from pipeline.formats import decode
from pipeline.formats.base import Limits
from pipeline.formats.fragile import may_crash
from pipeline.worker.decoding_apart import DecodersApart
from tests.dicom_samples import samples
from tests.helpers import complete, encoded, fill, photograph, restore

POISONED = """
import ctypes, hashlib, os, sys
if "pipeline.worker.decoder" in sys.orig_argv:
    import pipeline.formats as formats
    sound = formats.decode
    def decode(data, limits):
        digest = hashlib.sha256(data).hexdigest()
        if digest == os.environ.get("TEST_ABORTS"):
            os.abort()
        if digest == os.environ.get("TEST_HANGS"):
            ctypes.PyDLL(None).sleep(60)
        return sound(data, limits)
    formats.decode = decode
"""
"""The hang holds Python's lock, as codecs in C may."""
ABORTS, HANGS, SOUND = "JPEG-LL.dcm", "JPEG2000.dcm", "SC_rgb_rle.dcm"


def data_of(name: str) -> bytes:
    return samples()[name].read_bytes()


@pytest.fixture
def poisoned(tmp_path, monkeypatch):
    (tmp_path / "poisoned").mkdir()
    (tmp_path / "poisoned" / "sitecustomize.py").write_text(POISONED)
    monkeypatch.syspath_prepend(tmp_path / "poisoned")
    monkeypatch.setenv("TEST_ABORTS", sha256(data_of(ABORTS)).hexdigest())
    monkeypatch.setenv("TEST_HANGS", sha256(data_of(HANGS)).hexdigest())


def test_only_compressed_dicom_is_decoded_apart():
    assert all(may_crash(data_of(name)) for name in (ABORTS, HANGS, SOUND))
    assert not may_crash(data_of("CT_small.dcm"))
    assert not may_crash(encoded(photograph(1)))
    assert not may_crash(data_of(ABORTS)[:140])


def test_the_image_is_that_of_this_process_and_faults_have_their_reason():
    apart, data = DecodersApart(60), data_of(SOUND)
    for _ in range(2):
        assert np.array_equal(apart.decode(data, Limits()).samples, decode(data).samples)
    with pytest.raises(ImageError) as refusal:
        apart.decode(data[:-500], Limits())
    assert refusal.value.reason == "TRUNCATED"
    (child,) = apart._idle
    del apart, refusal  # whose traceback holds it
    assert child.wait(10) == 0, "nobody asks any more"


def test_a_codec_that_ends_its_process_costs_one_row_in_one_run(poisoned, tmp_path):
    image = encoded(photograph(1))
    fill(tmp_path / "in", {name: data_of(name) for name in (ABORTS, HANGS, SOUND)} | {"a.png": image})
    datasets = [{"name": "photos", "uri": str(tmp_path / "in"), "private": False}]
    job = restore(
        "", tmp_path / "out", datasets=datasets, output_format="tiff", limits={"decode_seconds": 1.5},
        quarantine={"threshold": 1.0},
    )  # fmt: skip
    rows = {row["key"]: (row["reason"], row["message"]) for row in complete(job)}
    assert rows[ABORTS] == ("CRASHED", "the decoder ended its process by signal SIGABRT")
    assert rows[HANGS] == ("TIMED_OUT", "not decoded after 1.5 s (limits.decode_seconds)")
    assert rows["a.png"][0] is None
    assert rows[SOUND][0] is None


def test_where_no_process_can_be_started_it_is_decoded_here(tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text("raise SystemExit(7)\n")
    monkeypatch.syspath_prepend(tmp_path)
    data = data_of(SOUND)
    assert np.array_equal(DecodersApart(60).decode(data, Limits()).samples, decode(data).samples)
    assert set(os.listdir(tmp_path)) <= {"sitecustomize.py", "__pycache__"}
