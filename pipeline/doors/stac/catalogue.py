"""The catalogue above the items of results: one file a folder, made anew out of the ledger each time."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable

from pipeline.doors.stac.derived import STAC_VERSION
from pipeline.storage.folder import Folder

CATALOGUE = "catalog.json"
_ROOT = "restored"
"""The id of the entrance."""


def write_catalogue(folder: Folder, items: Iterable[str]) -> None:
    """The entrance and the catalogues below it, of items by their keys: the lower ones first, so that no
    link leads nowhere, whenever it ends."""
    below = _tree(items)
    for place in sorted(below, key=lambda each: (-each.count("/"), each == "", each)):
        key = f"{place}/{CATALOGUE}" if place else CATALOGUE
        folder.put(key, json.dumps(_catalogue(place, sorted(below[place])), indent=1).encode())


def _tree(items: Iterable[str]) -> dict[str, set[tuple[str, str]]]:
    """Folder -> (relation, address below it); an item's own folder is none of the catalogue."""
    below: dict[str, set[tuple[str, str]]] = defaultdict(set)
    below[""] = set()
    for key in items:
        above, _, name = key.rpartition("/")
        parent, _, own = above.rpartition("/")
        is_new = parent not in below
        below[parent].add(("item", f"./{own}/{name}"))
        while is_new and parent:
            parent, _, own = parent.rpartition("/")
            is_new = parent not in below
            below[parent].add(("child", f"./{own}/{CATALOGUE}"))
    return below


def _catalogue(place: str, below: list[tuple[str, str]]) -> dict[str, object]:
    kind = "application/json"
    up = "../" * (place.count("/") + 1) if place else "./"
    links = [{"rel": "root", "href": f"{up}{CATALOGUE}", "type": kind}]
    if place:
        links.append({"rel": "parent", "href": f"../{CATALOGUE}", "type": kind})
    kinds = {"item": "application/geo+json", "child": kind}
    links += [{"rel": relation, "href": href, "type": kinds[relation]} for relation, href in below]
    return {
        "type": "Catalog",
        "stac_version": STAC_VERSION,
        "id": place.rpartition("/")[2] or _ROOT,
        "description": "Images restored by Restora; each item links to the one that it was made of.",
        "links": links,
    }
