"""Tables of lakes that metric tables are handed over to."""

from __future__ import annotations

from pipeline.results.lakes.base import Lake
from pipeline.results.lakes.delta import DELTA
from pipeline.results.lakes.iceberg import ICEBERG
from pipeline.results.lakes.parquet import PARQUET

LAKES: dict[str, Lake] = {each.name: each for each in (PARQUET, DELTA, ICEBERG)}
"""By the name that ``restora table --to`` takes."""
