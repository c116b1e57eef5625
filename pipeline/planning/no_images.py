"""Files that are no images by their name: what systems and programs leave beside pictures."""

from __future__ import annotations

from pipeline.storage.entries import Entries

_NAMES = {".ds_store", "thumbs.db", "desktop.ini", ".directory", ".picasa.ini", ".nomedia", ".localized"}
_ENDINGS = (
    ".txt", ".md", ".html", ".htm", ".log", ".csv", ".tsv",  # words and tables
    ".json", ".xml", ".yaml", ".yml", ".toml", ".ini", ".xmp", ".aae", ".pp3",  # descriptions and edits
    ".mov", ".mp4", ".m4v", ".avi", ".mkv", ".webm", ".wmv", ".mpg", ".mpeg", ".3gp", ".mts",  # films
    ".mp3", ".wav", ".m4a", ".aac",  # sound
    ".md5", ".sha1", ".sha256", ".tfw", ".jgw", ".pgw", ".wld", ".prj",  # checksums and map frames
)  # fmt: skip


_LAST_DOTS = {each[each.rfind(".") :] for each in (*_NAMES, *_ENDINGS)}


def images_of(page: Entries) -> Entries:
    """Those of a page that may be images by their names; most pages need not be looked through."""
    if page.endings.isdisjoint(_LAST_DOTS) and "._" not in "\n".join(page.keys):
        return page
    return page.chosen([not is_no_image(key) for key in page.keys])


def is_no_image(key: str) -> bool:
    """Whether the name alone says so; anything in doubt is an image, and quarantined if it is none."""
    name = key.rpartition("/")[2].lower()
    return name in _NAMES or name.startswith("._") or name.endswith(_ENDINGS)
