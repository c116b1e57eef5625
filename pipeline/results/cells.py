"""The dataset x degradation groups of a metric table, each with its rows by image x restorer.

Axes: N images, R restorers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline.results.bootstrap import Floats


@dataclass(frozen=True)
class Cell:
    """One dataset under one degradation: where in the table each image x restorer stands."""

    dataset: str
    degradation: str
    keys: Sequence[str]
    restorers: Sequence[str]
    rows: NDArray[np.int64]
    """N x R row numbers of the table; -1 where an image has no row for a restorer."""

    def pivot(self, column: Floats) -> Floats:
        """A column of the table as N x R, NaN where there is no row."""
        return np.where(self.rows >= 0, column[self.rows], np.nan)


def cells(table: pa.Table) -> Iterator[Cell]:
    """The dataset x degradation groups of a metric table, by name.

    Raises ``ValueError`` where two rows claim the same image x degradation x restorer.
    """
    (datasets, dataset_), (degradations, degradation_), (keys, key_), (restorers, restorer_) = (
        _encoded(table, name) for name in ("dataset", "degradation", "key", "restorer")
    )
    group_ = dataset_ * len(degradations) + degradation_
    order = np.argsort(group_, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(group_[order])) + 1):
        if not len(rows):
            continue
        image_codes, image_ = _those_there(key_[rows], len(keys))
        restorer_codes, column_ = _those_there(restorer_[rows], len(restorers))
        rows_NR = np.full((len(image_codes), len(restorer_codes)), -1, dtype=np.int64)
        rows_NR[image_, column_] = rows
        dataset, degradation = datasets[dataset_[rows[0]]], degradations[degradation_[rows[0]]]
        if np.count_nonzero(rows_NR >= 0) != len(rows):
            raise ValueError(
                f"dataset {dataset!r}, degradation {degradation!r}: the table holds more than one row for an "
                "image and restorer; run `restora verify` on the output folder"
            )
        yield Cell(dataset, degradation, keys.taken(image_codes), restorers.taken(restorer_codes), rows_NR)


class _Texts(Sequence[str]):
    """Texts of a column, of which no object of Python is made before it is asked for."""

    def __init__(self, texts: pa.Array) -> None:
        self._texts = texts

    def __len__(self) -> int:
        return len(self._texts)

    def __getitem__(self, place: Any) -> Any:
        found = self._texts[place]
        return found.to_pylist() if isinstance(place, slice) else found.as_py()

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts.to_pylist())

    def taken(self, places: NDArray[np.int64]) -> _Texts:
        """Those at these places."""
        return _Texts(self._texts.take(pa.array(places)))


def _encoded(table: pa.Table, name: str) -> tuple[_Texts, NDArray[np.int64]]:
    """Sorted distinct values of a text column, and each row's place among them."""
    encoded = table[name].cast(pa.string()).fill_null("").combine_chunks().dictionary_encode()
    order = pc.sort_indices(encoded.dictionary)
    place = np.empty(len(order), dtype=np.int64)
    place[order.to_numpy()] = np.arange(len(order))
    texts = _Texts(encoded.dictionary.take(order))
    return texts, place[encoded.indices.to_numpy(zero_copy_only=False)]


def _those_there(codes: NDArray[np.int64], count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Which of ``count`` codes there are, in order, and each one's place among them: sorts nothing."""
    there = np.zeros(count, bool)
    there[codes] = True
    return np.flatnonzero(there), (np.cumsum(there) - 1)[codes]
