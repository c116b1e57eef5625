"""Ledgers of a few units with made-up rows."""

from pipeline.ledger.schema import OK
from pipeline.ledger.sealing import seal


def commit(ledger, *units, status=OK, attempt=0):
    """Three rows a unit; the name of a unit is its number."""
    for unit in units:
        sources = [f"{unit:030x}{image:02x}" for image in range(3)]
        rows = [{"source_id": each, "status": status, "attempt": attempt, "psnr": 1.5} for each in sources]
        ledger.commit(f"{unit:032x}", rows)


def sealed(ledger, at_least=1):
    """Seals without a lease."""
    return seal(ledger, lambda: None, at_least)


def rows_of(ledger):
    """What tells the rows apart, sorted."""
    rows = (row for table in ledger.tables() for row in table.to_pylist())
    return sorted((row["unit_id"], row["source_id"], row["attempt"]) for row in rows)
