"""The item of a restored image: what the source's says that is still true, and how it came to be."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from pipeline.addresses import redacted
from pipeline.doors.stac.item import StacImage
from pipeline.formats.geotiff.gdal import opened_file
from pipeline.storage.folder import Folder
from pipeline.version import code_version

STAC_VERSION = "1.1.0"
_EXTENSION = "https://stac-extensions.github.io/{}/schema.json"
PROCESSING, PROJECTION, FILE = map(
    _EXTENSION.format, ("processing/v1.2.0", "projection/v2.0.0", "file/v2.1.0")
)
_TYPES = {
    ".tif": "image/tiff; application=geotiff", ".tiff": "image/tiff; application=geotiff",
    ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".webp": "image/webp",
    ".avif": "image/avif",
}  # fmt: skip
_ROW = ("restorer", "restorer_sha256", "recipe_id", "source_sha256", "degradation")
_SHA256 = "1220"
"""Multihash: function 0x12, 32 bytes."""


def item_key(key: str) -> str:
    """The key of the item of a result: named like the folder that both are in."""
    above = key.rpartition("/")[0]
    return f"{above}/{above.rpartition('/')[2]}.json"


def derived_item(source: StacImage, row: Mapping[str, Any], key: str, folder: Folder) -> dict[str, Any]:
    """Of a result that is stored at ``key``. Raises what the store raises."""
    projection = _projection(folder, key)
    item: dict[str, Any] = {
        "type": "Feature",
        "stac_version": STAC_VERSION,
        "stac_extensions": [PROCESSING, FILE, *([PROJECTION] if projection else [])],
        "id": source.id,
        "geometry": source.geometry,
        "properties": _properties(source, row, projection),
        "links": _links(source, key),
        "assets": {_asset_name(source): _asset(source, row, key)},
    }
    if source.geometry is not None and source.bbox is not None:
        item["bbox"] = list(source.bbox)
    return item


def _properties(source: StacImage, row: Mapping[str, Any], projection: dict[str, Any]) -> dict[str, Any]:
    kept = dict(source.properties or {})
    kept.setdefault("datetime", None)
    if kept["datetime"] is None:  # STAC wants an interval then; who says none has taken it at some time
        kept.setdefault("start_datetime", "0001-01-01T00:00:00Z")
        kept.setdefault("end_datetime", "9999-12-31T23:59:59Z")
    height = projection.get("proj:shape", (None,))[0]
    if height and row.get("height") and "gsd" in kept:
        kept["gsd"] = kept["gsd"] * row["height"] / height
    made = row.get("finished_at")
    time = {} if made is None else {"processing:datetime": made.isoformat().replace("+00:00", "Z")}
    ours = {f"restora:{name}": row[name] for name in _ROW if row.get(name) not in (None, "", "none")}
    processing = {
        "processing:software": {"Restora": code_version()},
        "processing:lineage": f"restored with {row['restorer']}" if row.get("restorer") else "degraded",
    }
    return kept | time | processing | ours | _scores(row) | projection


def _scores(row: Mapping[str, Any]) -> dict[str, float]:
    from pipeline.metrics import METRICS  # start-up: with them comes torch

    names = (*METRICS, "psnr_estimate", "psnr_floor")
    found = {f"restora:{name}": row[name] for name in names if row.get(name) is not None}
    return {name: value for name, value in found.items() if abs(value) < float("inf")}


def _links(source: StacImage, key: str) -> list[dict[str, str]]:
    up = "../" * key.count("/")
    return [
        {"rel": "root", "href": f"{up}catalog.json", "type": "application/json"},
        {"rel": "parent", "href": "../catalog.json", "type": "application/json"},
        {"rel": "derived_from", "href": redacted(source.item), "type": "application/geo+json"},
    ]


def _asset_name(source: StacImage) -> str:
    return "+".join(name for name, _ in source.assets)


def _asset(source: StacImage, row: Mapping[str, Any], key: str) -> dict[str, Any]:
    name = key.rpartition("/")[2]
    prefix = "output" if row.get("output_uri") else "degraded"
    kind = next((kind for end, kind in _TYPES.items() if name.lower().endswith(end)), None)
    several = {"bands": [{"name": each} for each, _ in source.assets]} if len(source.assets) > 1 else {}
    return {
        "href": f"./{name}",
        **({"type": kind} if kind else {}),
        "roles": ["data"],
        "file:size": row[f"{prefix}_bytes"],
        "file:checksum": _SHA256 + row[f"{prefix}_sha256"],
        **several,
    }


def _projection(folder: Folder, key: str) -> dict[str, Any]:
    """By the header of the result; nothing where it has no georeference."""
    if not key.lower().endswith((".tif", ".tiff")) or importlib.util.find_spec("rasterio") is None:
        return {}
    with opened_file("/result.tif", "GTiff", lambda: folder.open(key)) as raster:
        if raster.crs is None:
            return {"proj:shape": list(raster.shape)}
        authority = raster.crs.to_authority()
        named = (
            {"proj:code": ":".join(authority)} if authority else {"proj:wkt2": raster.crs.to_wkt("WKT2_2019")}
        )
        return {
            **named,
            "proj:shape": list(raster.shape),
            "proj:transform": list(raster.transform)[:6],
            "proj:bbox": list(raster.bounds),
        }
