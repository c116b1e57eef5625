"""A Parquet file that goes on where another ended: one file to every reader, and the same bytes."""

import io

import duckdb
import pandas
import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.results.growing_file import GrowingFile, sha256_between

SCHEMA = pa.schema(
    [
        pa.field("key", pa.string()),
        pa.field("score", pa.float64(), metadata={"unit": "dB"}),
        pa.field("dataset", pa.string()),
        pa.field("finished_at", pa.timestamp("us", tz="UTC")),
        pa.field("bands", pa.list_(pa.float64())),
    ],
    {"restora": "what it holds"},
)


def rows(first, count):
    numbers = range(first, first + count)
    columns = {
        "key": [f"{number}.png" for number in numbers],
        "score": [None if number % 5 == 0 else float(number) for number in numbers],
        "dataset": ["archive"] * count,
        "finished_at": pa.array(numbers, SCHEMA.field("finished_at").type),
        "bands": [[1.0 * number, 2.0] for number in numbers],
    }
    return pa.table(columns, SCHEMA)


def written(path, sections, ends=()):
    """Where the sections that were written end."""
    found = []
    with GrowingFile(path, SCHEMA, ends) as file:
        for tables in sections:
            with file.section() as section:
                for table in tables:
                    section.write_table(table)
            assert file.groups == len(tables)
            found.append(file.end)
        file.finish({b"said": "beside"})
    return found


SECTIONS = [[rows(0, 300), rows(300, 200)], [rows(500, 7)], [], [rows(507, 93)]]


def test_every_reader_sees_one_file(tmp_path):
    path = tmp_path / "grown.parquet"
    written(path, SECTIONS)
    pq.write_table(rows(0, 600), tmp_path / "plain.parquet")
    assert pq.read_table(path).equals(pq.read_table(tmp_path / "plain.parquet"), check_metadata=True)
    assert pq.ParquetFile(path).metadata.metadata[b"said"] == b"beside"
    assert pq.ParquetFile(path).read_row_group(2).select(["key"]).equals(rows(500, 7).select(["key"]))
    assert polars.read_parquet(path)["key"].to_list() == rows(0, 600)["key"].to_pylist()
    assert polars.scan_parquet(path).filter(polars.col("score") > 580).collect()["score"].len() == 16
    assert pandas.read_parquet(path)["score"].sum() == rows(0, 600).to_pandas()["score"].sum()
    (told,) = duckdb.sql(f"select count(*), sum(score), max(key), sum(bands[1]) from '{path}'").fetchall()
    assert told == (600, float(sum(n for n in range(600) if n % 5)), "99.png", float(sum(range(600))))
    assert duckdb.sql(f"select key from '{path}' where score = 506").fetchall() == [("506.png",)]


@pytest.mark.parametrize("kept", range(5))
def test_what_goes_on_has_the_bytes_of_what_is_written_at_once(tmp_path, kept):
    whole, other = tmp_path / "whole.parquet", tmp_path / "other.parquet"
    ends = written(whole, SECTIONS)
    written(other, [*SECTIONS[:kept], [rows(900, 50)]])
    written(other, SECTIONS[kept:], ends[:kept])
    assert other.read_bytes() == whole.read_bytes()
    with whole.open("rb") as file, other.open("rb") as its:
        assert sha256_between(file, ends[0], ends[1]) == sha256_between(its, ends[0], ends[1])
        assert sha256_between(file, 0, 10) != sha256_between(file, 0, 11)


def test_up_to_its_first_end_it_is_a_file(tmp_path):
    ends = written(tmp_path / "grown.parquet", SECTIONS)
    start = (tmp_path / "grown.parquet").read_bytes()[: ends[0]]
    assert (
        pq.ParquetFile(io.BytesIO(start)).read(["key", "score"]).equals(rows(0, 500).select(["key", "score"]))
    )


def test_where_no_section_ends_none_is_kept(tmp_path):
    ends = written(tmp_path / "grown.parquet", SECTIONS)
    with pytest.raises(pa.ArrowInvalid, match="no section of Parquet ends at byte"):
        GrowingFile(tmp_path / "grown.parquet", SCHEMA, [ends[0] - 1])
