"""STAC catalogues as archives have them, and the judge of those that we write."""

import json
from collections.abc import Iterable
from pathlib import Path

import jsonschema
import numpy as np
import pystac
import rasterio
from rasterio.transform import from_origin
from stac_validator.validate import StacValidate

from pipeline.hashing import sha256_hex

SCHEMAS = Path(pystac.__file__).parent / "validation/jsonschemas"
STAC = "https://schemas.stacspec.org/v1.1.0"
PLACES = {
    f"{STAC}/{kind}-spec/json-schema/{path.name}": str(path)
    for kind in ("item", "catalog", "collection")
    for path in (SCHEMAS / "stac-spec/v1.1.0").glob("*.json")
} | {f"https://geojson.org/schema/{path.name}": str(path) for path in (SCHEMAS / "geojson").glob("*.json")}
"""Address of a core schema -> the copy that pystac brings, so that nothing is fetched."""
_NUMBERS = {"type": "array", "items": {"type": "number"}}
FIELDS = {
    "processing:software": {"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1},
    "processing:lineage": {"type": "string", "minLength": 1},
    "processing:datetime": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$"},
    "proj:code": {"type": "string", "pattern": "^[A-Z]+:[0-9]+$"},
    "proj:wkt2": {"type": "string", "pattern": "CRS"},
    "proj:shape": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2},
    "proj:transform": _NUMBERS | {"minItems": 6, "maxItems": 6},
    "proj:bbox": _NUMBERS | {"minItems": 4, "maxItems": 4},
    "file:size": {"type": "integer", "minimum": 0},
    "file:checksum": {"type": "string", "pattern": "^1220[0-9a-f]{64}$"},
}
"""What extensions that are declared say of their fields, in versions 1.2.0, 2.0.0 and 2.1.0: all others with
their prefixes are wrong. Their own schemas are fetched by stac-validator, which a test has no network for."""


def raster(
    index: int = 0, height: int = 32, width: int = 40, west: float = 500000.0, bands: int = 1
) -> bytes:
    """A GeoTIFF of uint16, 10 m a pixel, of UTM zone 33."""
    samples_CHW = np.random.default_rng(index).integers(100, 3000, (bands, height, width), np.uint16)
    profile = {"driver": "GTiff", "dtype": "uint16", "count": bands, "height": height, "width": width}
    with rasterio.MemoryFile() as file:
        grid = {"crs": "EPSG:32633", "transform": from_origin(west, 5000000.0, 10, 10)}
        with file.open(**profile, **grid) as made:
            made.write(samples_CHW)
        return file.read()


def item_of(name: str, assets: dict[str, str], **fields) -> dict:
    """An item of a Saturday in May over the Alps; ``fields`` are its own, or its properties."""
    own = {key: fields.pop(key) for key in ("collection", "geometry", "bbox", "links") if key in fields}
    box = own.get("bbox", [14.0, 45.0, 15.0, 46.0])
    corners = [[box[i], box[j]] for i, j in ((0, 1), (2, 1), (2, 3), (0, 3), (0, 1))] if box else []
    return {
        "type": "Feature", "stac_version": "1.1.0", "id": name, "bbox": box, "links": [],
        "geometry": {"type": "Polygon", "coordinates": [corners]},
        "properties": {"datetime": "2024-05-04T10:00:00Z", "platform": "sentinel-2a", "gsd": 10, **fields},
        "assets": {k: {"href": href, "type": "image/tiff", "roles": ["data"]} for k, href in assets.items()},
    } | own  # fmt: skip


def catalogue(folder: Path, items: Iterable[dict], name: str = "alps") -> Path:
    """A static catalogue with a collection of these items, each in its own folder; its entrance."""
    links = []
    for item in items:
        path = folder / name / item["id"] / f"{item['id']}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"collection": name} | item))
        links.append({"rel": "item", "href": f"./{item['id']}/{item['id']}.json"})
    collection = {"type": "Collection", "stac_version": "1.1.0", "id": name, "links": links}
    (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / name / "collection.json").write_text(json.dumps(collection))
    return entrance(folder, [name])


def entrance(folder: Path, names: Iterable[str]) -> Path:
    """The catalogue above collections."""
    links = [{"rel": "child", "href": f"./{name}/collection.json"} for name in names]
    path = folder / "catalog.json"
    path.write_text(json.dumps({"type": "Catalog", "stac_version": "1.1.0", "id": "root", "links": links}))
    return path


def item_collection(images: dict[str, bytes]) -> bytes:
    """An ItemCollection of one item an image, which says what is in the file."""
    items = []
    for name, data in images.items():
        item = item_of(name.rpartition("/")[0] or name.rpartition(".")[0], {"image": name})
        known = {"file:size": len(data), "file:checksum": "1220" + sha256_hex(data)}
        item["assets"]["image"] |= known
        items.append(item)
    return json.dumps({"type": "FeatureCollection", "features": items, "links": []}).encode()


def problems(folder: Path) -> list[str]:
    """What stac-validator says is wrong with the catalogue of a folder; links that lead nowhere besides."""
    found = []
    for path in sorted(folder.rglob("*.json")):
        if "_restora" in path.parts:
            continue
        judge = StacValidate(str(path), core=True, schema_map=dict(PLACES))
        judge.run()
        found += [str(each) for each in judge.message if not each["valid_stac"]]
        found += [f"{path}: {each}" for each in _wrong_fields(json.loads(path.read_text()))]
        links = json.loads(path.read_text())["links"]
        found += [f"{path}: {each['href']}" for each in links if not (path.parent / each["href"]).exists()]
    return found


def _wrong_fields(entry: dict) -> list[str]:
    """Of an item: fields of extensions that are not declared, not known, or not as they are to be."""
    wrong, declared = [], " ".join(entry.get("stac_extensions", ())).replace("projection", "proj")
    for place in (entry.get("properties", {}), *entry.get("assets", {}).values()):
        for name, value in place.items():
            prefix, colon, _ = name.partition(":")
            if not colon or prefix not in ("processing", "proj", "file"):
                continue
            judge = jsonschema.Draft7Validator(FIELDS.get(name, False))
            wrong += [f"{name}: {error.message}" for error in judge.iter_errors(value)]
            wrong += [] if f"io/{prefix}/v" in declared else [f"{name}: its extension is not declared"]
    return wrong
