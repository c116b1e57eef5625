"""Which keys of a folder a pattern means."""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import translate

_SPECIAL = re.compile(r"([*?\[{])")
_ESCAPED = re.compile(r"\[([*?\[{])\]")
_TOKENS = re.compile(r"\[!?\]?[^\]]*\]|\*\*|.", re.DOTALL)
_WITHIN = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
_BRACES = re.compile(r"(?<!\[)\{([^{}]*,[^{}]*)\}")


def matcher(pattern: str) -> Callable[[str], bool]:
    """Whether a key matches: its name or the whole of it, upper and lower case alike.

    ``*``, ``?``, ``[abc]`` as in a shell, and ``{jpg,jpeg}`` for either. A leading slash binds the pattern to
    the whole key, and ``*`` and ``?`` stay within a folder then: ``/*.png`` are those in no folder below,
    ``/a/**`` all that are below a.
    """
    whole = pattern.startswith("/")
    read = _within_folders if whole else translate
    patterns = "|".join(f"(?:{read(each)})" for each in _alternatives(pattern.removeprefix("/")))
    compiled = re.compile(patterns, re.IGNORECASE)

    def matches(key: str) -> bool:
        return bool(compiled.match(key) or (not whole and compiled.match(key.rsplit("/", 1)[-1])))

    return matches


def only(key: str) -> str:
    """The pattern of this one key."""
    return "/" + _SPECIAL.sub(r"[\1]", key)


def only_key(pattern: str) -> str | None:
    """The key of a pattern that ``only`` made; ``None`` for another."""
    key = _ESCAPED.sub(r"\1", pattern.removeprefix("/"))
    return key if pattern == only(key) else None


def _within_folders(pattern: str) -> str:
    """The regular expression of one whose ``*`` and ``?`` are no slash."""
    tokens = _TOKENS.findall(pattern)
    return "(?s:" + "".join(_WITHIN.get(each) or _plain(translate(each)) for each in tokens) + r")\Z"


def _plain(translated: str) -> str:
    """What ``translate`` puts between its marks."""
    return translated.removeprefix("(?s:").rpartition(")")[0]


def _alternatives(pattern: str) -> list[str]:
    """The pattern for each choice in braces."""
    found = _BRACES.search(pattern)
    if found is None:
        return [pattern]
    before, after = pattern[: found.start()], pattern[found.end() :]
    return [each for choice in found[1].split(",") for each in _alternatives(before + choice + after)]
