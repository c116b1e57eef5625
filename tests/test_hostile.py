"""A tenth of ``benchmarks/hostile.py``: damaged files of every format in one run."""

from contextlib import suppress

import pytest

from pipeline.errors import ImageError
from pipeline.formats import decode
from tests.helpers import complete
from tests.hostile_files import DAMAGES, hostile_file, hostile_files, originals
from tests.hostile_run import check_rows, job_over, write_files

FILES = 1000


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_damaged_files_cost_themselves_alone(tmp_path):
    files = list(hostile_files(FILES, seed=1))
    assert {each.damage for each in files} == DAMAGES.keys()
    assert [each.data for each in hostile_files(3, seed=1)] == [each.data for each in files[:3]]
    write_files(tmp_path / "in", files)
    write_files(tmp_path / "alone", [])
    alone, job = (
        job_over(tmp_path / "alone", tmp_path / "out-alone"),
        job_over(tmp_path / "in", tmp_path / "out"),
    )
    assert len(complete(alone)) == len(originals())
    complete(job)
    reasons, wrong = check_rows(job, alone, files)
    assert wrong == []
    assert reasons.total() == FILES + len(originals())
    assert not reasons.keys() & {"INTERNAL", "CRASHED", "TIMED_OUT"}


def test_what_a_raster_library_cannot_print_is_not_printed(capfd):
    """A message of GDAL that quotes bytes of the file which are no UTF-8."""
    with suppress(ImageError):
        decode(hostile_file(501, seed=5).data)
    assert "".join(capfd.readouterr()) == ""
