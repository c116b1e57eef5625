"""Kills the sealing of a ledger at every write, link and deletion on disk, and proves that nothing is lost or
doubled before and after it is sealed again. Prints the number of points.

    python -m tests.seal_points FOLDER [EVERY]

With ``EVERY``: every so-manieth point only.
"""

import shutil
import signal
import sys
from pathlib import Path

from pipeline.ledger.ledger import Ledger
from pipeline.ledger.schema import OK, schema
from pipeline.ledger.sealing import seal
from pipeline.storage.folder import Folder
from tests.dying import die_at, in_fork


def main(folder: str, every: int = 1) -> None:
    """Seals undisturbed first, then dies at one point after the other until a seal comes through."""
    assert in_fork(lambda: _prepare(f"{folder}/start")) == 0
    for point in range(0, 10_000, every):
        place = f"{folder}/{point}"
        shutil.copytree(f"{folder}/start", place)
        ended = in_fork(lambda place=place, point=point: _seal(place, dies_at=point))
        assert in_fork(lambda place=place, ended=ended: _prove(place, is_sealed=ended == 0)) == 0, point
        if ended == 0:
            print(point)
            return
        assert ended == -signal.SIGKILL, f"point {point}: ended by {ended}"
        assert in_fork(lambda place=place: _seal_and_prove(place)) == 0, f"{point}, sealed again"
        shutil.rmtree(place)


def _ledger(place: str) -> Ledger:
    return Ledger(Folder(place), "ledger/x", schema(["psnr"]))


def _prepare(place: str) -> None:
    """Two units in a segment and four that wait; litter of a seal, and a file that should have gone."""
    ledger = _ledger(place)
    for unit in range(2):
        _commit(ledger, unit)
    assert seal(ledger, lambda: None, at_least=1) is not None
    for unit in range(1, 6):
        _commit(ledger, unit)
    ledger.folder.put("ledger/x-sealed/ffff.parquet", b"half a segm")


def _commit(ledger: Ledger, unit: int) -> None:
    rows = [
        {"source_id": f"{unit:031x}{image}", "status": OK, "attempt": 0, "psnr": unit + image / 10}
        for image in range(3)
    ]
    ledger.commit(f"{unit:032x}", rows)


def _seal(place: str, dies_at: int = -1) -> None:
    if dies_at >= 0:
        die_at(dies_at)
    seal(_ledger(place), lambda: None, at_least=1)


def _seal_and_prove(place: str) -> None:
    _seal(place)
    _prove(place, is_sealed=True)


def _prove(place: str, is_sealed: bool) -> None:
    ledger = _ledger(place)
    found = sorted(
        (row["unit_id"], row["source_id"], row["psnr"])
        for table in ledger.tables()
        for row in table.to_pylist()
    )
    assert found == [
        (f"{unit:032x}", f"{unit:031x}{image}", unit + image / 10) for unit in range(6) for image in range(3)
    ], found
    assert len(ledger.committed().done) == 18
    assert [len(ledger.rows(f"{unit:032x}")) for unit in range(6)] == [3] * 6
    assert ledger.lost() == []
    if is_sealed:
        assert ledger.unit_keys() == []
        sealed = ledger.sealed()
        assert set(sealed.listed).issuperset(sealed.manifest.retired), "who is reading them finds them"


if __name__ == "__main__":
    Path(sys.argv[1]).mkdir(exist_ok=True)
    main(sys.argv[1], *map(int, sys.argv[2:]))
