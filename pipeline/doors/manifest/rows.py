"""From rows of a manifest to images: what they are called, where they are, what belongs to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pipeline.addresses import has_secret
from pipeline.attached import Attached
from pipeline.doors.manifest.columns import ADDRESS, KEY, Columns
from pipeline.doors.manifest.place import is_absolute, key_of
from pipeline.errors import JobError
from pipeline.storage.entries import Entries

_PLAIN = ("s3://", "gs://", "/")
_ATTACHED = ("reference", "clear", "mask", "noise_level")


@dataclass(frozen=True)
class Rows:
    """``entries(batch, first)``: the images of a batch, whose first row has this number."""

    columns: Columns
    base: str
    """What keys and addresses without a scheme are below."""
    named_base: str
    """The same, where the job names it: then it is no part of any key."""
    where: str
    """The manifest, for messages."""

    def entries(self, batch: pa.RecordBatch, first: int) -> Entries:
        """``JobError`` names the row with a value that is wrong."""
        found = self.columns.lists(batch, first, self.where)
        addresses = found[KEY if self.columns.is_keyed else ADDRESS]
        self._refuse_signed(addresses, first)
        keys, ats = self._named(addresses)
        none = [None] * len(keys)
        sizes = [-1 if each is None else each for each in found.get("size", none)]
        # The ETag without its quotes; else the size, which changes with most changes.
        versions = [
            tag.strip('"') if tag else str(size) if size >= 0 else ""
            for tag, size in zip(found.get("etag", none), sizes, strict=True)
        ]
        others = {"at": ats, "group": [each or "" for each in found.get("group", ())]}
        others["attached"] = self._attached(found, len(keys))
        return Entries(
            keys, sizes, versions, {name: column for name, column in others.items() if any(column)}
        )

    def _named(self, addresses: Sequence[str]) -> tuple[list[str], list[str]]:
        """Keys, and the addresses that they are read by."""
        if not self.columns.is_keyed and not self.named_base and (begin := _common_beginning(addresses)):
            return [each[len(begin) :].lstrip("/") for each in addresses], list(addresses)
        if self.columns.is_keyed or not any(map(is_absolute, addresses)):
            keys = [each.removeprefix("./") for each in addresses]
            return keys, [f"{self.base}/{each}" for each in keys]
        ats = [self._absolute(each) for each in addresses]
        return [self._key(each, at) for each, at in zip(addresses, ats, strict=True)], ats

    def _key(self, address: str, at: str) -> str:
        below = f"{self.named_base}/"
        if self.named_base and at.startswith(below):
            return at[len(below) :]
        return key_of(address) if is_absolute(address) else address.removeprefix("./")

    def _absolute(self, address: str) -> str:
        return address if is_absolute(address) else f"{self.base}/{address.removeprefix('./')}"

    def _attached(self, found: dict[str, list[Any]], count: int) -> list[str]:
        names = [name for name in _ATTACHED if name in found]
        if not names and not self.columns.carried:
            return []
        return [self._attached_at(found, place).text for place in range(count)]

    def _attached_at(self, found: dict[str, list[Any]], place: int) -> Attached:
        def value(name: str, missing: Any) -> Any:
            given = found[name][place] if name in found else None
            return missing if given is None else given

        def address(name: str) -> str:
            given = str(value(name, ""))
            return self._absolute(given) if given else ""

        return Attached(
            reference=address("reference"),
            reference_size=value("reference_size", -1),
            reference_version=value("reference_etag", ""),
            clear=address("clear"),
            mask=address("mask"),
            noise_level=value("noise_level", None),
            labels=tuple(found[f"carried {name}"][place] for name in self.columns.carried),
        )

    def _refuse_signed(self, addresses: Sequence[str], first: int) -> None:
        if "?" not in "".join(addresses):
            return
        for place, address in enumerate(addresses):
            if "?" in address and has_secret(address):
                raise JobError(
                    f"{self.where}: row {first + place:,} holds a signed address, which plans and tables "
                    "would show; give plain ones, and credentials in the environment or a profile"
                )


def _common_beginning(addresses: Sequence[str]) -> str:
    """``s3://``, or ``/`` of paths, where all begin so, as in most lists; nothing where they do not, or where
    a key is less than the rest of its address."""
    begins = next((each for each in _PLAIN if addresses and addresses[0].startswith(each)), "")
    if not begins or not all([each.startswith(begins) for each in addresses]):
        return ""
    return "" if begins == "/" and any("://" in each for each in addresses) else begins
