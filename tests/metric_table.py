"""Metric tables as the ledger compacts them, made from scores that a test writes down."""

import json

import pyarrow as pa

TEXT = {
    "degradation_params": "{}",
    "condition": "{}",
    "seed": "1",
    "restorer_sha256": "ab" * 32,
    "recipe_id": "cd" * 32,
    "unit_id": "ef" * 16,
    "device": "cpu",
    "code_version": "0.1.0+abc",
    "finished_at": "2026-03-01T12:00:00+00:00",
    "dtype": "uint8",
    "output_uri": None,
    "output_sha256": None,
    "degraded_uri": None,
}
NUMBERS = {"source_bytes": 1000, "height": 64, "width": 96, "channels": 3, "attempt": 1, "output_bytes": None}


def protocol(name, *, higher_is_better=True, unit="dB"):
    return {
        "name": name,
        "formula": "10 log10(1 / MSE)",
        "colour": "BT.601 luma (MATLAB, 16..235)",
        "border": "scale",
        "data_range": "1",
        "unit": unit,
        "higher_is_better": higher_is_better,
        "best": float("inf") if higher_is_better else 0.0,
        "source": "Wang et al. 2004, section 3",
        "window": "",
        "version": 1,
        "parameters": [],
    }


PROTOCOLS = {
    "psnr_y": protocol("psnr_y"),
    "mse": protocol("mse", higher_is_better=False, unit="fraction of the data range, squared"),
}


def row(
    key,
    restorer,
    *,
    dataset="set",
    degradation="bicubic-x4",
    reason=None,
    message=None,
    seconds=0.1,
    **scores,
):
    """One row; a reason makes it a quarantined one. Scores: ``psnr_y=30.0, psnr_y_degraded=25.0``."""
    names = {"dataset": dataset, "key": key, "degradation": degradation, "restorer": restorer}
    source = {"source_id": f"{dataset}-{key}", "source_uri": f"file:///in/{key}", "source_sha256": "00" * 32}
    status = {
        "status": "quarantined" if reason else "ok",
        "reason": reason,
        "stage": "decode" if reason else None,
        "message": message,
        "seconds": seconds,
    }
    return names | source | TEXT | NUMBERS | status | scores


def metric_table(rows, *, kind="benchmark", protocols=None, job=None, columns=None):
    """The rows as a table; score columns are all ``M`` and ``M_degraded`` of the protocols."""
    protocols = {"psnr_y": PROTOCOLS["psnr_y"]} if protocols is None else protocols
    scores = [name for metric in protocols for name in (metric, f"{metric}_degraded")]
    header = {
        "schema_version": 1,
        "kind": kind,
        "job": {"name": "night run"} if job is None else job,
        "recipe": {"schema_version": 1},
        "recipe_id": "cd" * 32,
        "protocols": protocols,
    }
    fields = [(name, pa.string()) for name in row("k", "r") if name not in {*NUMBERS, "seconds"}]
    fields += [(name, pa.int64()) for name in NUMBERS] + [("seconds", pa.float64())]
    fields += [(name, pa.float64()) for name in scores]
    schema = pa.schema(fields, metadata={b"restora": json.dumps(header).encode()})
    return pa.table(
        {name: pa.array([each.get(name) for each in rows], type=kind_) for name, kind_ in fields},
        schema=schema,
    )
