"""The groups and arrays of a hierarchy as their metadata documents say, whatever the version."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.doors.zarr.valid_range import Valid, valid_of
from pipeline.storage.folder import Folder

if TYPE_CHECKING:
    from numpy.typing import NDArray

V3, ARRAY2, GROUP2, ATTRS2, ALL2 = "zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata"
METADATA = (V3, ARRAY2, GROUP2, ATTRS2)
_AXES = (("y", "x"), ("lat", "lon"), ("latitude", "longitude"), ("northing", "easting"), ("row", "col"))
"""Names of the two axes of an image, the rows first."""
_BANDS = ("band", "bands")
_NO_NUMBERS = (
    *("bool", "datetime64", "timedelta64", "str", "bytes", "object"),
    *("fixed_length_utf32", "variable_length", "null_terminated_bytes", "raw_bytes"),
)
"""How names of types begin, NumPy's and those of version 3."""
_FLAGS = ("flag_values", "flag_masks", "flag_meanings")


@dataclass(frozen=True)
class Node:
    """A group or an array."""

    path: str
    """Below the root, without slashes at its ends; empty for the root."""
    version: int
    document: Mapping[str, Any]
    """``zarr.json``, or ``.zarray`` or ``.zgroup``."""
    attributes: Mapping[str, Any]

    @property
    def is_array(self) -> bool:
        """Or a group."""
        return "shape" in self.document

    @property
    def shape(self) -> tuple[int, ...]:
        """Of an array."""
        return tuple(self.document["shape"])

    @property
    def dtype(self) -> str:
        """NumPy's name; that of the document where NumPy knows none."""
        import numpy as np

        told = self.document["data_type"] if self.version == 3 else self.document["dtype"]
        if isinstance(told, dict):  # a type with parameters, which only version 3 has
            told = told.get("name")
        try:
            return str(np.dtype(told).newbyteorder("=").name)
        except (TypeError, ValueError):
            return str(told)

    @property
    def has_numbers(self) -> bool:
        """Or truth values, dates, spans and texts, which are no samples."""
        return not self.dtype.removeprefix("numpy.").startswith(_NO_NUMBERS)

    @property
    def samples_dtype(self) -> str:
        """What its numbers are: NetCDF 3 and Java know no unsigned ones, and ``_Unsigned`` tells them."""
        told = str(self.attributes.get("_Unsigned", "")).lower()
        if told == "true" and self.dtype.startswith("int"):
            return f"u{self.dtype}"
        return self.dtype.removeprefix("u") if told == "false" else self.dtype

    def as_stored(self, samples: NDArray[Any]) -> NDArray[Any]:
        """Of ``samples_dtype``, as the array has them."""
        return samples if self.samples_dtype == self.dtype else samples.view(self.dtype)

    def as_samples(self, stored: NDArray[Any]) -> NDArray[Any]:
        """``as_stored`` backwards."""
        if self.samples_dtype == self.dtype:
            return stored
        return stored.astype(self.dtype, copy=False).view(self.samples_dtype)

    @property
    def chunks(self) -> tuple[int, ...]:
        """What one object holds along each axis: a chunk, or a shard of them."""
        grid = self.document["chunk_grid"]["configuration"] if self.version == 3 else self.document
        return tuple(grid["chunk_shape" if self.version == 3 else "chunks"])

    @property
    def pieces(self) -> tuple[int, ...]:
        """What is decompressed at a time, along each axis: a chunk, be it alone or in a shard."""
        codecs = self.document["codecs"] if self.version == 3 else ()
        shard = next((each for each in codecs if each.get("name") == "sharding_indexed"), None)
        return self.chunks if shard is None else tuple(shard["configuration"]["chunk_shape"])

    @property
    def names(self) -> tuple[str, ...]:
        """Of the axes; empty texts where nobody says."""
        told = self.document.get("dimension_names") or self.attributes.get("_ARRAY_DIMENSIONS")
        return tuple(str(each or "") for each in told) if told else ("",) * len(self.shape)

    @property
    def nodata(self) -> tuple[float | str, ...]:
        """Every value that means no data, each once: there may be several missing values (CF 2.5.1).

        In version 2 xarray has one for what absent chunks are filled with, where others mean no more.
        """
        filled = self.attributes.get("_FillValue")
        if filled is None and self.version == 2 and "_ARRAY_DIMENSIONS" in self.attributes:
            filled = self.document.get("fill_value")
        missing = self.attributes.get("missing_value")
        told = [filled, *(missing if isinstance(missing, list) else [missing])]
        known = [self._as_sample(each) for each in told if isinstance(each, int | float | str)]
        return tuple(dict.fromkeys(known))

    @property
    def valid(self) -> Valid | None:
        """Least and greatest sample that is a measurement; ``None`` where nobody says."""
        is_whole = self.samples_dtype.startswith(("int", "uint"))
        return valid_of(self.attributes, is_whole=is_whole, as_sample=self._as_sample)

    def _as_sample(self, told: float | str) -> float | str:
        """A value that is written as the array's own type has it, where its samples are of another sign."""
        if self.samples_dtype == self.dtype or not isinstance(told, int | float) or told != int(told):
            return told
        bits = int(self.dtype.lstrip("uint"))
        value = int(told) % (1 << bits)
        return value - (1 << bits) if self.samples_dtype[0] == "i" and value >> (bits - 1) else value

    @property
    def separator(self) -> str:
        """Between the numbers in the key of a chunk."""
        if self.version == 2:
            return str(self.document.get("dimension_separator") or ".")
        encoding = self.document.get("chunk_key_encoding", {})
        default = "/" if encoding.get("name", "default") == "default" else "."
        return str(encoding.get("configuration", {}).get("separator", default))

    @property
    def prefix(self) -> str:
        """Before the numbers in the key of a chunk."""
        is_default = self.document.get("chunk_key_encoding", {}).get("name", "default") == "default"
        return f"c{self.separator}" if self.version == 3 and is_default else ""

    def chunk_key(self, numbers: tuple[int, ...]) -> str:
        """Below the array."""
        return self.prefix + (self.separator.join(map(str, numbers)) or "0")

    def chunk_numbers(self, key: str) -> tuple[int, ...] | None:
        """``chunk_key`` backwards; ``None`` for what is no chunk."""
        parts = key.removeprefix(self.prefix).split(self.separator)
        if (
            not key.startswith(self.prefix)
            or len(parts) != len(self.shape)
            or not all(map(str.isdigit, parts))
        ):
            return None
        return tuple(map(int, parts))


@dataclass(frozen=True)
class Axes:
    """Which axes of an array mean what, by their places."""

    rows: int
    columns: int
    bands: int | None = None


def axes_of(node: Node, names: tuple[str, ...], bands: str | None) -> Axes | None:
    """The axes of an image; ``None`` for an array that is none: coordinates, flags, scalars.

    ``names``: as the array, or the multiscale image that it is of, says; ``bands``: the axis of the bands.
    """
    if len(node.shape) < 2 or any(each in node.attributes for each in _FLAGS):
        return None
    lower = tuple(each.lower() for each in names)
    if lower[-1] in {name for pair in _AXES for name in pair} and lower[-1] == node.path.rpartition("/")[2]:
        return None
    if any(lower):
        pair = next((each for each in _AXES if set(each) <= set(lower)), None)
        if pair is None:
            return None
        rows, columns = (lower.index(each) for each in pair)
    else:
        rows, columns = len(lower) - 2, len(lower) - 1
    wanted = (bands.lower(),) if bands else _BANDS
    place = next((index for index, each in enumerate(lower) if each in wanted), None)
    return Axes(rows, columns, None if place in (rows, columns) else place)


def auxiliary(nodes: Mapping[str, Node]) -> set[str]:
    """Paths of the arrays that others name as their coordinates, grid mapping, mask or bounds."""
    named: set[str] = set()
    for node in nodes.values():
        above = node.path.rpartition("/")[0]
        for attribute in ("coordinates", "grid_mapping", "ancillary_variables", "bounds"):
            told = node.attributes.get(attribute)
            words = told.split() if isinstance(told, str) else []
            named.update(f"{above}/{word}".lstrip("/") for word in words)
    return named


def multiscale_levels(nodes: Mapping[str, Node]) -> dict[str, tuple[str, ...]]:
    """Path of the largest level of every OME-Zarr pyramid -> paths of the others, in their order."""
    levels: dict[str, tuple[str, ...]] = {}
    for node in nodes.values():
        for each in multiscales_of(node.attributes):
            paths = [f"{node.path}/{level['path']}".lstrip("/") for level in each.get("datasets", ())]
            if paths:
                levels[paths[0]] = tuple(paths[1:])
    return levels


def axis_names(nodes: Mapping[str, Node], node: Node) -> tuple[str, ...]:
    """Of an array: its own, else those of the OME-Zarr image that it is a level of."""
    if any(node.names):
        return node.names
    for above in _above(node.path):
        for each in multiscales_of(nodes[above].attributes) if above in nodes else ():
            axes = tuple(
                str(axis["name"] if isinstance(axis, dict) else axis) for axis in each.get("axes", ())
            )
            if len(axes) == len(node.shape):
                return axes
    return node.names


def multiscales_of(attributes: Mapping[str, Any]) -> list[Any]:
    """What OME-Zarr says of pyramids, before 0.5 and from then on."""
    told = attributes.get("multiscales", attributes.get("ome", {}).get("multiscales", []))
    return [each for each in told if isinstance(each, dict)] if isinstance(told, list) else []


def _above(path: str) -> Iterator[str]:
    while path:
        path = path.rpartition("/")[0]
        yield path


def read_nodes(folder: Folder) -> dict[str, Node]:
    """Every group and array by path: of the consolidated metadata, or of all documents below.

    Empty where the folder is no hierarchy. Raises what the store raises, ``ValueError`` for broken documents.
    """
    found = _consolidated(folder)
    if found is None:
        keys = (entry.key for page in folder.pages() for entry in page)
        found = {key: folder.read(key) for key in keys if key.rpartition("/")[2] in METADATA}
    documents = {key: json.loads(data) for key, data in found.items()}
    nodes = {}
    for key, document in documents.items():
        path, _, name = key.rpartition("/")
        if name == V3:
            nodes[path] = Node(path, 3, document, document.get("attributes") or {})
        elif name in (ARRAY2, GROUP2):
            attributes = documents.get(f"{path}/{ATTRS2}".lstrip("/"), {})
            nodes[path] = Node(path, 2, document, attributes)
    return dict(sorted(nodes.items()))


def read_array(folder: Folder) -> Node | None:
    """The array at a folder, by its own documents; ``None`` where there is none."""
    if folder.exists(V3):
        document = json.loads(folder.read(V3))
        return Node("", 3, document, document.get("attributes") or {})
    if not folder.exists(ARRAY2):
        return None
    attributes = json.loads(folder.read(ATTRS2)) if folder.exists(ATTRS2) else {}
    return Node("", 2, json.loads(folder.read(ARRAY2)), attributes)


def _consolidated(folder: Folder) -> dict[str, bytes] | None:
    if folder.exists(ALL2):
        return {
            key: json.dumps(each).encode() for key, each in json.loads(folder.read(ALL2))["metadata"].items()
        }
    if folder.exists(V3):
        root = json.loads(folder.read(V3))
        inside = root.pop("consolidated_metadata", None)
        if root.get("node_type") == "array":
            return {V3: json.dumps(root).encode()}
        if inside:
            documents = {f"{path}/{V3}": each for path, each in inside["metadata"].items()}
            return {key: json.dumps(each).encode() for key, each in ({V3: root} | documents).items()}
    return None
