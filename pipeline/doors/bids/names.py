"""Names of BIDS: ``sub-01/ses-a/anat/sub-01_ses-a_run-2_T1w.nii.gz`` taken apart and put together again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

IMAGES = (".nii.gz", ".nii", ".ome.tif", ".tif", ".png", ".jpg")
"""Endings of images; ``.nii.gz`` before ``.nii``."""
RESTORED = "restored"
_ENTITY = re.compile(r"([a-z]+)-([0-9A-Za-z+]+)")
_SUFFIX = re.compile(r"[0-9A-Za-z]+")


@dataclass(frozen=True)
class BidsName:
    """What a name says."""

    folders: tuple[str, ...]
    entities: Mapping[str, str]
    """Short name -> label, in their order; ``sub`` first."""
    suffix: str
    extension: str

    @classmethod
    def of(cls, key: str) -> BidsName | None:
        """``None`` for a key that is not of BIDS, or whose folders say another subject or session."""
        *folders, name = key.split("/")
        stem, dot, rest = name.partition(".")
        *pairs, suffix = stem.split("_")
        found = [_ENTITY.fullmatch(each) for each in pairs]
        if not folders or not dot or not pairs or not _SUFFIX.fullmatch(suffix) or None in found:
            return None
        entities = {each[1]: each[2] for each in found if each is not None}
        for short in ("sub", "ses"):
            said = f"{short}-{entities[short]}" if short in entities else ""
            place = 0 if short == "sub" else 1
            there = folders[place] if len(folders) > place and folders[place].startswith(f"{short}-") else ""
            if said != there:
                return None
        if "sub" not in entities or len(entities) != len(pairs):
            return None
        return cls(tuple(folders), entities, suffix, dot + rest)

    @property
    def datatype(self) -> str:
        """``anat``, ``func``, ...: the folder that it is in."""
        return self.folders[-1]

    @property
    def is_image(self) -> bool:
        """By its ending."""
        return self.extension in IMAGES

    @property
    def key(self) -> str:
        """The key that says this."""
        pairs = [f"{short}-{label}" for short, label in self.entities.items()]
        return "/".join([*self.folders, "_".join([*pairs, self.suffix]) + self.extension])

    def with_extension(self, extension: str) -> BidsName:
        """Of what goes along with it."""
        return replace(self, extension=extension)

    def undescribed(self) -> BidsName:
        """Without ``desc``, as files are named that several derivatives share."""
        others = {short: label for short, label in self.entities.items() if short != "desc"}
        return replace(self, entities=others)

    def described(self, word: str) -> BidsName:
        """With ``desc``, which stands last: what it had before is kept in front of the word."""
        entities = {**self.undescribed().entities, "desc": self.entities.get("desc", "") + word}
        return replace(self, entities=entities)


def in_dataset(key: str) -> tuple[str, str]:
    """The folder of the dataset that a result is in, and its key there: it begins with the subject."""
    segments = key.split("/")
    place = next((i for i, each in enumerate(segments) if each.startswith("sub-")), 0)
    return "/".join(segments[:place]), "/".join(segments[place:])
