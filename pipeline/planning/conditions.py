"""Which mask, kernel and guide belong to which image, where a dataset has a folder of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from typing import Any

from pipeline.attached import Attached
from pipeline.jobs.conditions import DETECTED, ESTIMATED, OWN, Place
from pipeline.jobs.job import Dataset
from pipeline.planning.no_images import is_no_image
from pipeline.planning.partners import KeyRule, Kind, NoPartner, Partners
from pipeline.privacy.datasets import conditions_of
from pipeline.privacy.key import unseal
from pipeline.storage.base import Entry
from pipeline.storage.entries import Entries

_NUMBERS = (".npy", ".txt", ".csv")
_KINDS = {
    "mask": Kind(
        "masks",
        "mask.match",
        "NO_MASK",
        "NO_MASK",
        lambda key: not is_no_image(key),
        f"; no folder: {', '.join((*OWN, *DETECTED))}, or a file, which has an extension",
    ),
    "kernel": Kind(
        "kernels",
        "operators.match",
        "NO_KERNEL",
        "NO_KERNEL",
        lambda key: key.lower().endswith(_NUMBERS) or not is_no_image(key),
        f"; no folder: {', '.join(ESTIMATED)}, an operator with parameters (defocus:radius=3), or a file, "
        "which has an extension",
    ),
    "guide": Kind("guides", "guide.match", "NO_GUIDE", "NO_GUIDE", lambda key: not is_no_image(key)),
}


@dataclass(frozen=True)
class _Role:
    """A folder of masks, of kernels or of guides."""

    name: str
    rule: KeyRule
    partners: Partners

    def attach(self, page: Sequence[Entry]) -> list[Entry]:
        wanted = {entry.key: self.rule.names(entry.key)[0] for entry in page}
        found = self.partners.find(wanted.values())
        attached = []
        for entry in page:
            known = Attached.of(entry.attached)
            chosen = self.partners.choose(wanted[entry.key], found)
            attached.append(replace(entry, attached=self._with(known, chosen).text))
        return attached

    def _with(self, known: Attached, chosen: Entry | NoPartner) -> Attached:
        if known.fault:
            return known
        if isinstance(chosen, NoPartner):
            return replace(known, fault=chosen.reason, why=chosen.why)
        address, version = f"{self.partners.url}/{chosen.key}", chosen.version
        named: dict[str, Any] = {self.name: address, f"{self.name}_version": version}
        return replace(known, **named)


def with_conditions(dataset: Dataset, pages: Iterator[Entries]) -> Iterator[Entries]:
    """The pages of a dataset's images, with masks, kernels and guides that lie in folders of their own."""
    with ExitStack() as stack:
        roles = []
        for name, (place, folder) in conditions_of(dataset).items():
            partners = stack.enter_context(closing(Partners(folder, dataset, _KINDS[name])))
            roles.append(_Role(name, _rule_of(place), partners))
        for page in pages:
            for role in roles:
                page = Entries.of(role.attach(page))
            yield page


def _rule_of(place: Place) -> KeyRule:
    match, key = unseal([place.match or "", place.key or ""])
    return KeyRule(re.compile(match) if match else None, (key,))
