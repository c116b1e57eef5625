"""An item as an image: which assets it is, and what of the item its results will say again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Any

from pipeline.doors.stac.filters import box_of
from pipeline.doors.stac.hrefs import resolved
from pipeline.doors.stac.said import said_bands
from pipeline.errors import ImageError, JobError
from pipeline.imaging.said_band import SaidBand

CARRIED = (
    *(
        "datetime",
        "start_datetime",
        "end_datetime",
        "platform",
        "instruments",
        "constellation",
        "mission",
        "gsd",
    ),
    *(
        "eo:cloud_cover",
        "eo:snow_cover",
        "view:off_nadir",
        "view:sun_azimuth",
        "view:sun_elevation",
        "grid:code",
    ),
)
"""Properties that are as true of a restored image; what describes the pixels of the source is not."""
_SIDE_ROLES = frozenset(
    {"thumbnail", "overview", "metadata", "data-mask", "snow-ice", "cloud", "cloud-shadow"}
)
_IMAGES = (".tif", ".tiff", ".jp2", ".png", ".jpg", ".jpeg", ".webp", ".ntf")


@dataclass(frozen=True)
class StacImage:
    """The image of an item, or why there is none."""

    key: str
    item: str = ""
    """Address of the item."""
    id: str = ""
    collection: str = ""
    assets: tuple[tuple[str, str], ...] = ()
    """Name and address."""
    geometry: Mapping[str, Any] | None = None
    bbox: tuple[float, ...] | None = None
    properties: Mapping[str, Any] | None = None
    """Those in ``CARRIED``."""
    reason: str = ""
    """Code of what is wrong, known from the listing."""
    why: str = ""
    said: tuple[tuple[SaidBand, ...], ...] = ()
    """Of the bands of each asset, as many as ``assets``; empty where nothing is said of any."""

    @property
    def bands(self) -> list[tuple[str, str, tuple[SaidBand, ...]]]:
        """Name and address of each asset, and what is said of its bands."""
        said = self.said or ((),) * len(self.assets)
        return [(name, address, bands) for (name, address), bands in zip(self.assets, said, strict=True)]

    @property
    def text(self) -> str:
        """As one line, for the plan."""
        return json.dumps(astuple(self), ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def of(cls, text: str) -> StacImage:
        """Out of that line."""
        key, item, name, collection, assets, geometry, box, told, reason, why, *said = json.loads(text)
        hrefs = tuple((asset, address) for asset, address in assets)
        bands = tuple(tuple(SaidBand(*band) for band in one) for each in said for one in each)
        return cls(key, item, name, collection, hrefs, geometry, box, told, reason, why, bands)

    def refuse(self) -> None:
        """``ImageError`` where the listing found it wrong."""
        if self.reason:
            raise ImageError(self.reason, self.why)


def image_of(
    item: Mapping[str, Any], address: str, wanted: tuple[str, ...], nameless: str = "item"
) -> StacImage:
    """The image of an item that was found at an address: the assets that are wanted, or the only one.

    ``nameless`` is the key of an item without an id. ``JobError`` where the job has to say which asset. Any
    other fault is the image's own.
    """
    name, assets = str(item.get("id") or ""), item.get("assets")
    collection = str(item.get("collection") or "")
    above = "/".join(map(_segment, (collection, name) if collection else (name,)))
    if not name or not isinstance(assets, dict):
        return StacImage(above or nameless, address, reason="BAD_ITEM", why="it has no id, or no assets")
    properties = item.get("properties") or {}
    try:
        chosen = _chosen(assets, wanted, name)
        hrefs = tuple((each, resolved(address, assets[each].get("href"))) for each in chosen)
        said = tuple(said_bands(assets[each], properties) for each in chosen)
    except ImageError as error:
        return StacImage(above, address, name, collection, reason=error.reason, why=str(error))
    told = {each: properties[each] for each in CARRIED if properties.get(each) is not None}
    return StacImage(
        f"{above}/{_file_name(hrefs)}",
        address,
        name,
        collection,
        hrefs,
        item.get("geometry"),
        box_of(dict(item)),
        told,
        said=said if any(said) else (),
    )


def _segment(name: str) -> str:
    """One part of a key: a slash in an id is no folder."""
    return name.replace("%", "%25").replace("/", "%2F") if "/" in name else name


def _file_name(assets: tuple[tuple[str, str], ...]) -> str:
    if len(assets) > 1:
        return "+".join(_segment(name) for name, _ in assets) + ".tif"
    address = assets[0][1]
    plain = address.partition("?")[0] if address.startswith("http") else address
    return plain.rstrip("/").rpartition("/")[2] or _segment(assets[0][0])


def _chosen(assets: Mapping[str, Any], wanted: tuple[str, ...], item: str) -> tuple[str, ...]:
    there = {name: each for name, each in assets.items() if isinstance(each, dict)}
    missing = [each for each in wanted if each not in there]
    if missing:
        raise ImageError(
            "NO_ASSET", f"it has no asset {', '.join(missing)}; there are {', '.join(there) or 'none'}"
        )
    if wanted:
        return wanted
    images = [name for name, each in there.items() if _is_image(each)]
    data = [name for name in images if "data" in (there[name].get("roles") or ())]
    if len(images) > 1 and len(data) != 1:
        raise JobError(
            f"the item {item} has several images: {', '.join(images)}; name the one that is meant, or those "
            f'that are bands of one image: store = {{ name = "stac", assets = ["{images[0]}"] }}'
        )
    if not images:
        raise ImageError(
            "NO_ASSET", f"none of its assets is an image; there are {', '.join(there) or 'none'}"
        )
    return tuple(data if len(images) > 1 else images)


def _is_image(asset: Mapping[str, Any]) -> bool:
    roles, kind = set(asset.get("roles") or ()), str(asset.get("type") or "")
    if roles & _SIDE_ROLES:
        return False
    if kind:
        return kind.startswith("image/")
    return str(asset.get("href") or "").lower().partition("?")[0].endswith(_IMAGES)
