"""What a job says of images that are frames of one scene."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from pipeline.jobs.frozen import Frozen
from pipeline.jobs.key_rules import SEALED

PAGES = "pages"
"""What a rule says for: the pages of one file. Also the store that such files are read through."""
PAGES_MATCH = r"(?P<scene>.+)/page-(?P<t>\d+)\.(?:tif|dcm|nii)"
_OLDER_MATCHES = (r"(?P<scene>.+)/page-(?P<t>\d+)\.tif",)
"""Of jobs that stand in plans."""


class FrameRule(Frozen):
    """Which images are frames of one scene: by their keys, or as a manifest says."""

    match: str | None = None
    """Those are whose keys agree in the group ``scene`` of this regular expression. It is for the whole key
    and has a group ``t`` where frames have an order, a number: ``(?P<scene>.+)_(?P<t>\\d+)\\.tif``.
    ``pages``: those are that one file holds."""
    listed: bool = False
    """Those are, in the order of the manifest, whose rows agree in its column ``group``."""
    frames: Annotated[int, Field(ge=2, le=256)] | None = None
    """How many each scene has to have; ``None``: two or more."""
    damaged: Literal["refuse", "leave out"] = "refuse"
    """What a frame that is damaged or gone costs: the scene, or itself alone. The image itself is never left
    out."""
    contiguous: bool = False
    """Whether a number that is missing between the first and the last is a fault."""
    around: Annotated[int, Field(ge=1, le=16)] | None = None
    """Each frame is restored, and told so many before and so many after it; ``None``: the first one is, and
    told all the others."""

    @property
    def has_times(self) -> bool:
        """Whether frames have an order."""
        return self.match is not None and "t" in re.compile(self.match).groupindex

    @field_validator("match")
    @classmethod
    def _of_pages(cls, match: str | None) -> str | None:
        return PAGES_MATCH if match == PAGES else match

    @model_validator(mode="after")
    def _names_the_scene(self) -> Self:
        if (self.match is None) != self.listed:
            raise ValueError("give match, a rule for keys, or listed = true, for a manifest's column group")
        if self.match is None:
            if self.contiguous:
                raise ValueError("contiguous: needs a group (?P<t>...) in match")
            return self
        if self.match.startswith(SEALED):
            return self
        try:
            groups = re.compile(self.match).groupindex
        except re.error as error:
            raise ValueError(f"match: no regular expression: {error}; got {self.match!r}") from None
        if "scene" not in groups:
            raise ValueError(f"match: needs a group (?P<scene>...), got {self.match!r}")
        if self.contiguous and "t" not in groups:
            raise ValueError("contiguous: needs a group (?P<t>...) in match")
        return self


def _rule(value: Any) -> Any:
    return {"match": value} if isinstance(value, str) else value


Group = Annotated[FrameRule, BeforeValidator(_rule, json_schema_input_type=str | FrameRule)]
"""A regular expression alone stands for the rule with it."""


def is_of_pages(group: Any) -> bool:
    """Whether what a job says as ``group`` asks for the pages of files."""
    match = group.get("match") if isinstance(group, dict) else getattr(group, "match", group)
    return match in (PAGES, PAGES_MATCH, *_OLDER_MATCHES)
