"""What a job says of images that are frames of one scene."""

from __future__ import annotations

import re
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from pipeline.jobs.frozen import Frozen


class FrameRule(Frozen):
    """Which keys are frames of one scene: those that agree in the group ``scene`` of a regular expression."""

    match: str
    """For the whole key, with a named group ``scene``, and ``t`` where frames have an order, a number:
    ``(?P<scene>.+)_(?P<t>\\d+)\\.tif``."""
    frames: Annotated[int, Field(ge=2, le=256)] | None = None
    """How many each scene has to have; ``None``: two or more."""
    contiguous: bool = False
    """Whether a number that is missing between the first and the last is a fault."""

    @property
    def has_times(self) -> bool:
        """Whether frames have an order."""
        return "t" in re.compile(self.match).groupindex

    @model_validator(mode="after")
    def _names_the_scene(self) -> Self:
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
