"""pyarrow imports no pandas by itself, and takes what is of pandas as soon as somebody imports that."""

import subprocess
import sys

from tests.killing import ROOT

PUT_OFF = """
import sys
from pipeline.pandas_later import put_off_pandas

put_off_pandas()
put_off_pandas()
import pyarrow as pa

table = pa.table({"x": [1.0, None]})
assert "pandas" not in sys.modules, "imported by a list"
"""
LATER = """
import pandas

missing = pandas.DataFrame({"x": [1.0, float("nan")]})
assert pa.table(missing)["x"].null_count == 1
assert pa.array(missing["x"]).null_count == 1
"""
TO_PANDAS = "assert table.to_pandas()['x'].isna().sum() == 1"


def in_process(code: str) -> None:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_a_data_frame_is_one_once_pandas_is_imported():
    in_process(PUT_OFF + LATER)


def test_a_table_still_becomes_a_data_frame():
    in_process(PUT_OFF + TO_PANDAS)


def test_where_pandas_is_there_nothing_changes():
    in_process("import pandas" + PUT_OFF.replace("assert", "#") + LATER)
