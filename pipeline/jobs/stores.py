"""How the images of a dataset are found at its address: the doors of archives, each with its options."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from models.names import did_you_mean
from pipeline.jobs.frozen import Frozen

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


class FolderStore(Frozen):
    """One object an image."""

    name: Literal["folder"]


class TarStore(Frozen):
    """Tar shards, as WebDataset has them: one member an image."""

    name: Literal["tar"]


class ManifestStore(Frozen):
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


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


AnyStore = Annotated[FolderStore | ManifestStore | TarStore, Field(discriminator="name")]
StoreSpec = Annotated[
    AnyStore,
    # The schema says that a name alone will do, for schedulers that check a job before we see it.
    BeforeValidator(_named, json_schema_input_type=str | AnyStore),
]
