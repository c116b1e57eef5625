"""How the images of a dataset are found at its address: the doors of archives, each with its options."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from models.names import did_you_mean
from pipeline.jobs.frozen import UNKNOWN_NAME, Frozen
from pipeline.jobs.intervals import interval
from pipeline.jobs.key_rules import SEALED

MANIFEST_COLUMNS = (
    *("uri", "key", "size", "etag", "group", "reference", "reference_size", "reference_etag"),
    *("clear", "mask", "noise_level"),
)
"""What a manifest may say of an image."""

MANIFEST_ENDINGS = (
    ".parquet",
    ".csv",
    ".csv.gz",
    ".tsv",
    ".tsv.gz",
    ".jsonl",
    ".jsonl.gz",
    ".ndjson",
    ".orc",
)
"""Endings of addresses that are tables."""


def is_manifest(url: str) -> bool:
    """Whether an address alone says that it is a table, or an inventory."""
    name = url.lower()
    return name.endswith(MANIFEST_ENDINGS) or name.rpartition("/")[2].endswith("manifest.json")


class AnyOptions(Frozen):
    """What a door is told beside the address."""

    def with_texts(self, change: Callable[[str], str]) -> Self:
        """The same with every text changed that could name somebody: sealed, or opened again."""
        return self


class FolderStore(AnyOptions):
    """One object an image."""

    name: Literal["folder"]


class PagesStore(AnyOptions):
    """A folder whose files may hold several images: pages of a TIFF, frames of an animation."""

    name: Literal["pages"]


class TarStore(AnyOptions):
    """Tar shards, as WebDataset has them: one member an image."""

    name: Literal["tar"]


class ManifestStore(AnyOptions):
    """A table that lists the images, so that no store is listed."""

    name: Literal["manifest"]
    base: str | None = None
    """A folder that keys, and addresses without a scheme, are below; ``None``: the table's own."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Name of docs/doors.md -> the table's column, where it has another: ``{ uri = "path" }``."""

    @model_validator(mode="after")
    def _knows_the_names(self) -> Self:
        for name in self.columns:
            if name not in MANIFEST_COLUMNS:
                raise ValueError(f"columns.{name}: unknown; {did_you_mean(name, MANIFEST_COLUMNS)}")
        return self


class BidsStore(AnyOptions):
    """A dataset in the Brain Imaging Data Structure: which of its images, by what their names say."""

    name: Literal["bids"]
    suffixes: tuple[str, ...] = ()
    """Only these: ``["T1w", "T2w"]``."""
    datatypes: tuple[str, ...] = ()
    """Only these: ``["anat", "func"]``."""
    entities: dict[str, str | tuple[str, ...]] = Field(default_factory=dict)
    """Only images with these labels: ``{ sub = ["01", "02"], run = "1" }``."""

    @property
    def labels(self) -> dict[str, tuple[str, ...]]:
        """Entity -> the labels that are wanted."""
        given = {each: (one,) if isinstance(one, str) else one for each, one in self.entities.items()}
        return {each: tuple(one.removeprefix(f"{each}-") for one in some) for each, some in given.items()}

    def with_texts(self, change: Callable[[str], str]) -> Self:
        """With other labels: subjects have them."""
        changed = {each: tuple(map(change, labels)) for each, labels in self.labels.items()}
        return self.model_copy(update={"entities": changed})

    @field_validator("entities")
    @classmethod
    def _are_short_names(cls, entities: dict[str, Any]) -> dict[str, Any]:
        for name in entities:
            if not re.fullmatch("[a-z]+", name):
                raise ValueError(
                    f"entities.{name}: write the short name, as in file names: sub, ses, run, acq"
                )
        return entities


class DicomwebStore(AnyOptions):
    """A DICOMweb server: series are found by QIDO-RS, images read by WADO-RS, results stored by STOW-RS."""

    name: Literal["dicomweb"]
    modality: str | tuple[str, ...] = ()
    """Only series of these modalities: ``"CT"``, ``["CT", "MR"]``."""
    date: str | None = None
    """Only studies of this day or of a span: ``20260131``, ``20260101-20260131``, ``20260101-``."""
    study: str | tuple[str, ...] = ()
    """Only studies with these Study Instance UIDs."""
    filters: dict[str, str] = Field(default_factory=dict)
    """What else QIDO-RS is to match, by keyword or tag: ``{ BodyPartExamined = "CHEST" }``."""
    derived: bool = False
    """Also images that this program derived, which are else no sources."""
    uri: str | None = None
    """In ``output_store``: the server that derived series are stored on."""
    profile: str | None = None
    """In ``output_store``: the named profile of its credentials."""

    @model_validator(mode="after")
    def _dates_are_dates(self) -> Self:
        if self.date is not None and not self.date.startswith(SEALED) and not re.match(_DATES, self.date):
            raise ValueError(f"date: {self.date!r} is no day (20260131) and no span (20260101-20260131)")
        return self

    def with_texts(self, change: Callable[[str], str]) -> Self:
        """Days, studies and what is matched may name a patient; modalities do not."""
        studies = (self.study,) if isinstance(self.study, str) else self.study
        changed = {
            "date": self.date and change(self.date),
            "study": tuple(map(change, studies)),
            "filters": {name: change(text) for name, text in self.filters.items()},
        }
        return self.model_copy(update=changed)


class ZarrStore(AnyOptions):
    """A Zarr hierarchy of version 2 or 3: arrays of which two axes are those of an image."""

    name: Literal["zarr"]
    bands: str | None = None
    """The axis whose entries are the bands of one image; ``None``: the one called ``band``, if any."""
    tile: Annotated[int, Field(ge=1)] = 2048
    """Rows and columns of the blocks that are restored, about: whole chunks, or shards."""
    overlap: Annotated[int, Field(ge=0)] = 64
    """Pixels around a block that the restorer sees and nobody stores."""


_DATES = r"^(\d{8}|\d{8}-\d{8}|\d{8}-|-\d{8})$"


def is_stac(url: str) -> bool:
    """Whether an address alone says that it is the entrance of a catalogue."""
    return url.lower().rpartition("/")[2] in ("catalog.json", "collection.json")


class StacStore(AnyOptions):
    """A catalogue of the SpatioTemporal Asset Catalog specification: one item an image."""

    name: Literal["stac"]
    assets: tuple[str, ...] = ()
    """Which assets of an item are the image; several are its bands, in this order. Empty: the one that is
    an image and no thumbnail."""
    collections: tuple[str, ...] = ()
    """Only items of these collections."""
    bbox: tuple[float, float, float, float] | None = None
    """Only items that meet this box: west, south, east, north in degrees; west may be greater than east."""
    datetime: str | None = None
    """Only items of this time or interval: ``2024-05-01/2024-06-30``, ``../2024-06-30``, ``2024-05-01``."""
    cloud_cover: float | None = Field(default=None, ge=0, le=100)
    """Only items of at most so many percent clouds (``eo:cloud_cover``)."""
    look_up: bool = True
    """Whether the store is asked for size and version of assets whose items do not say ``file:size`` and
    ``file:checksum``; one request each. Without, a file that changed under its item counts as done."""

    def with_texts(self, change: Callable[[str], str]) -> Self:
        """With other names of collections."""
        return self.model_copy(update={"collections": tuple(map(change, self.collections))})

    @model_validator(mode="after")
    def _is_a_box(self) -> Self:
        if self.bbox is not None and not (-90 <= self.bbox[1] <= self.bbox[3] <= 90):
            raise ValueError("bbox: give west, south, east, north in degrees")
        return self

    @field_validator("datetime")
    @classmethod
    def _is_a_time(cls, value: str | None) -> str | None:
        if value is not None:
            interval(value)
        return value


Store = (
    BidsStore | DicomwebStore | FolderStore | ManifestStore | PagesStore | StacStore | TarStore | ZarrStore
)

_NAMES = tuple(get_args(each.model_fields["name"].annotation)[0] for each in get_args(Store))


def _named(value: Any) -> Any:
    given = {"name": value} if isinstance(value, str) else value
    if isinstance(given, dict) and "name" in given and given["name"] not in _NAMES:
        # The union's own words would hold what stands there, which schedulers show.
        raise PydanticCustomError(UNKNOWN_NAME, "names no store that there is", {"known": _NAMES})
    return given


AnyStore = Annotated[Store, Field(discriminator="name")]
StoreSpec = Annotated[
    AnyStore,
    # The schema says that a name alone will do, for schedulers that check a job before we see it.
    BeforeValidator(_named, json_schema_input_type=str | AnyStore),
]
