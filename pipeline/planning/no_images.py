"""Files that are no images by their name: what systems and programs leave beside pictures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from pipeline.storage.entries import Entries
from pipeline.wording import number_of

_NAMES = {".ds_store", "thumbs.db", "desktop.ini", ".directory", ".picasa.ini", ".nomedia", ".localized"}
_ENDINGS = (
    ".txt", ".md", ".html", ".htm", ".log", ".csv", ".tsv",  # words and tables
    ".json", ".xml", ".yaml", ".yml", ".toml", ".ini", ".xmp", ".aae", ".pp3",  # descriptions and edits
    ".mov", ".mp4", ".m4v", ".avi", ".mkv", ".webm", ".wmv", ".mpg", ".mpeg", ".3gp", ".mts",  # films
    ".mp3", ".wav", ".m4a", ".aac",  # sound
    ".md5", ".sha1", ".sha256", ".tfw", ".jgw", ".pgw", ".wld", ".prj",  # checksums and map frames
    ".msk", ".ovr", ".rrd", ".aux", ".rpb", ".imd", ".til", ".att", ".eph",  # beside rasters
)  # fmt: skip

_HIDDEN = "of a system"
"""What files are called that a system leaves and does not show."""
_LAST_DOTS = {each[each.rfind(".") :] for each in (*_NAMES, *_ENDINGS)}


def images_of(page: Entries, left_out: Counter[str] | None = None) -> Entries:
    """Those of a page that may be images by their names; most pages need not be looked through.

    ``left_out`` counts the others, by ending.
    """
    if page.endings.isdisjoint(_LAST_DOTS) and "._" not in "\n".join(page.keys):
        return page
    kinds = [_kind_of(key) for key in page.keys]
    if left_out is not None:
        left_out.update(each for each in kinds if each is not None)
    return page.chosen([each is None for each in kinds])


def is_no_image(key: str) -> bool:
    """Whether the name alone says so; anything in doubt is an image, and quarantined if it is none."""
    return _kind_of(key) is not None


def _kind_of(key: str) -> str | None:
    name = key.rpartition("/")[2].lower()
    if name in _NAMES or name.startswith("._"):
        return _HIDDEN
    # Of the list and not of the name, so that nothing of a private one is told.
    return next((each for each in _ENDINGS if name.endswith(each)), None) if name.endswith(_ENDINGS) else None


def described(left_out: Mapping[str, int]) -> str:
    """``6 files, by name no image: 3 of a system, 2 .mov, 1 .txt``."""
    kinds = Counter(left_out)
    each = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common())
    return f"{number_of(kinds.total(), 'file')}, by name no image: {each}"
