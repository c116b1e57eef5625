"""Rules from key to key: a regular expression with named groups, and keys that are made of them."""

from __future__ import annotations

import re

SEALED = "sealed:"
"""Begins an address or a name that only the privacy key opens."""


def check_template(field: str, template: str, match: str) -> None:
    """``ValueError`` unless ``match`` is a regular expression and ``template`` is made of its groups."""
    if match.startswith(SEALED):
        return
    try:
        groups = re.compile(match).groupindex
    except re.error as error:
        raise ValueError(f"match: no regular expression: {error}; got {match!r}") from None
    try:
        template.format_map(dict.fromkeys(groups, ""))
    except (KeyError, IndexError, ValueError) as error:
        known = ", ".join(f"{{{name}}}" for name in groups) or "none; write (?P<id>.+)"
        raise ValueError(f"{field}: {template!r} needs {error}; the groups of match are {known}") from None
