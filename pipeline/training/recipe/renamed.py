"""The spelling of before: fields and values of recipes that have another name today, in one place.

Recipes, ``--set`` paths, the identities of checkpoints and the recipes on cards are all read through here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FIELDS: dict[tuple[str, ...], str] = {
    ("average",): "ema_decay",
    ("codes",): "latents",
    ("optimiser",): "optimizer",
    ("data", "busiest_of"): "crop_candidates",
    ("data", "shrink"): "downsample",
    ("data", "sources"): "attribution",
    ("discriminator", "begins"): "start_step",
    ("discriminator", "optimiser"): "optimizer",
    ("discriminator", "arguments", "code"): "latent",
    ("network", "arguments", "code"): "latent",
}
"""Path of a field as it was spelt -> its name today, at the same place."""

VALUES: dict[tuple[str, ...], dict[str, str]] = {
    ("self_supervision",): {"neighbours": "neighbor2neighbor", "blind_spots": "noise2void"},
}
"""Path of a field -> its values as they were spelt -> today's."""


def with_current_names(fields: Mapping[str, Any], path: tuple[str, ...] = ()) -> dict[str, Any]:
    """The fields by today's names; ``ValueError`` where one is given by both."""
    current: dict[str, Any] = {}
    for name, value in fields.items():
        now = current_name(path, name)
        if now != name and now in fields:
            old, new = (".".join((*path, each)) for each in (name, now))
            raise ValueError(f"{old}: the old name of {new}, which is given too; give {new} alone")
        current[now] = _with_current_names(value, (*path, now))
    return current


def current_name(path: tuple[str, ...], name: str) -> str:
    """Today's name of a field whose parents, by today's names, are ``path``."""
    return FIELDS.get((*path, name), name)


def current_value(path: tuple[str, ...], value: Any) -> Any:
    """Today's spelling of the value of the field at ``path``."""
    return VALUES[path].get(value, value) if path in VALUES and isinstance(value, str) else value


def _with_current_names(value: Any, path: tuple[str, ...]) -> Any:
    return with_current_names(value, path) if isinstance(value, Mapping) else current_value(path, value)
