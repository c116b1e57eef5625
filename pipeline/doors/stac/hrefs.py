"""Addresses in catalogues: relative ones made whole, and those that must not be followed."""

from __future__ import annotations

from pipeline.addresses import credentials_in, has_secret
from pipeline.errors import ImageError

_MAY_HIDE = frozenset("?&;@")
"""Without one of them an address holds no secret; most have none."""
_WEB = ("http://", "https://")


def resolved(base: str, href: object) -> str:
    """The full address of an ``href`` that stands in the object at ``base``.

    ``ImageError`` with ``BAD_ITEM`` for one that is signed, leads above its store, or out of a store of the
    network into the files of this machine: whoever writes a catalogue must not choose which files we read.
    """
    if not isinstance(href, str) or not href:
        raise ImageError("BAD_ITEM", "a link or asset of it has no address")
    if _MAY_HIDE & set(href) and (has_secret(href) or credentials_in(href) is not None):
        raise ImageError(
            "BAD_ITEM",
            "its address is signed or holds a password, which plans and tables would show; save the "
            "catalogue with plain addresses, and give credentials in the environment or a profile",
        )
    if href.startswith("file://"):
        href = href.removeprefix("file://")
    elif "://" in href:
        return href
    top, path = _parts(base)
    if href.startswith("/"):
        if base.startswith(_WEB):
            return f"{base[: base.index(':')]}:{href}" if href.startswith("//") else f"{top}{href[1:]}"
        if "://" in base:
            raise ImageError("BAD_ITEM", "its address leads from a store into the files of this machine")
        return _joined("/", [], href)
    return _joined(top, path.split("/")[:-1], href)


def _parts(base: str) -> tuple[str, str]:
    """What stands before the path, ending in a slash, and the path."""
    scheme, separator, rest = base.partition("://")
    if not separator:
        return "/", base.removeprefix("/")
    if base.startswith(_WEB):
        rest = rest.partition("?")[0]
    host, _, path = rest.partition("/")
    return f"{scheme}://{host}/", path


def _joined(top: str, above: list[str], href: str) -> str:
    segments = list(above)
    for each in href.split("/"):
        if each == "..":
            if not segments:
                raise ImageError("BAD_ITEM", "its address leads above the top of its store")
            segments.pop()
        elif each not in ("", "."):
            segments.append(each)
    return top + "/".join(segments)
