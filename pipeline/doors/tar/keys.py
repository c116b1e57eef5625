"""Keys of results in shards, ``FOLDERS/SHARD.tar/NAME``: the first part that ends in ``.tar`` is one."""

from __future__ import annotations

ENDING = ".tar"


def in_shard(key: str, name_segments: int) -> str:
    """The key of a member whose name has so many segments, so that ``split`` takes it apart again.

    Folders that end like a shard are written ``x%2Etar``; a key never has that of itself, for what looks like
    an escape in a name is escaped.
    """
    *above, shard = key.split("/")[:-name_segments]
    folders = (
        each[: -len(ENDING)] + "%2E" + each[-3:] if each.lower().endswith(ENDING) else each for each in above
    )
    return "/".join([*folders, shard, *key.split("/")[-name_segments:]])


def split(key: str) -> tuple[str, str]:
    """The shard's key, and the member's name."""
    segments = key.split("/")
    place = next((i for i, each in enumerate(segments) if each.lower().endswith(ENDING)), len(segments) - 1)
    return "/".join(segments[: place + 1]), "/".join(segments[place + 1 :])
