"""How the images of a dataset are found at its address: the doors of archives, each with its options."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from pipeline.jobs.frozen import Frozen


class FolderStore(Frozen):
    """One object an image."""

    name: Literal["folder"]


class TarStore(Frozen):
    """Tar shards, as WebDataset has them: one member an image."""

    name: Literal["tar"]


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


AnyStore = Annotated[FolderStore | TarStore, Field(discriminator="name")]
StoreSpec = Annotated[
    AnyStore,
    # The schema says that a name alone will do, for schedulers that check a job before we see it.
    BeforeValidator(_named, json_schema_input_type=str | AnyStore),
]
