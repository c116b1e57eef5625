"""Rows of a benchmark that a calibration is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.ledger.run_folder import RunFolder
from pipeline.ledger.schema import OK
from pipeline.results.tables import read_metrics

_COLUMNS = ["dataset", "key", "restorer", "status", "channels", "dtype"]


def evidence_rows(run: RunFolder, restorer: str, evidence: str, *others: str) -> list[dict[str, Any]]:
    """Of one restorer, those whose column ``evidence`` says something; with ``others`` beside it."""
    table = read_metrics(run, [*_COLUMNS, evidence, *others])
    mine = (each for each in table.to_pylist() if each["restorer"] == restorer and each["status"] == OK)
    return [each for each in mine if each[evidence] is not None]


def image_names(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """One for each image, whatever was done to it."""
    return [f"{each['dataset']}\0{each['key']}" for each in records]


def image_numbers(records: Sequence[Mapping[str, Any]]) -> NDArray[np.int64]:
    """The same as numbers from 0."""
    names = image_names(records)
    return np.unique(names, return_inverse=True)[1] if names else np.zeros(0, np.int64)
