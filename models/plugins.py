"""Parts that installed packages bring: found by their entry points, imported when they are asked for.

A package declares ``[project.entry-points."restora.metrics"]`` with ``name = "module:attribute"``; a job may
also write ``module:attribute`` itself, of whatever Python can import. Our own parts come first.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
import re
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from functools import cached_property
from importlib import metadata
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

LOG = logging.getLogger(__name__)

OURS = "restora"

_ADDRESS = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


def is_module_address(name: str) -> bool:
    """Whether this is ``module:attribute``, and not a name."""
    return _ADDRESS.fullmatch(name) is not None


class Parts(MutableMapping[str, T]):
    """Ours by name, those of installed packages behind them, and any by ``module:attribute``.

    ``accept(name, value)`` gives the part out of what an entry point leads to; it raises ``ValueError`` or
    ``TypeError`` where that is none. ``parts[name]`` raises ``KeyError`` for an unknown name and
    ``ValueError``, naming package and fault, for one that cannot be had. Iteration leaves those out and says
    so once. Some tables have no parts by address.
    """

    def __init__(
        self,
        group: str,
        built_in: Mapping[str, T],
        accept: Callable[[str, Any], T],
        *,
        by_address: bool = True,
    ) -> None:
        self.group = f"{OURS}.{group}"
        self.built_in = dict(built_in)
        self._accept = accept
        self._by_address = by_address
        self._loaded: dict[str, T] = {}
        self._warned: set[str] = set()

    @cached_property
    def installed(self) -> dict[str, list[EntryPoint]]:
        """Entry points by their name; several where packages contradict one another."""
        found: dict[str, list[EntryPoint]] = {}
        for each in sorted(metadata.entry_points(group=self.group), key=_origin):
            same = found.setdefault(each.name, [])
            if _origin(each) not in map(_origin, same):  # one package, found twice on the path
                same.append(each)
        return found

    def __getitem__(self, name: str) -> T:
        if name in self.built_in:
            return self.built_in[name]
        if name not in self._loaded:
            self._loaded[name] = self._load(name)
        return self._loaded[name]

    def __setitem__(self, name: str, part: T) -> None:
        self.built_in[name] = part

    def __delitem__(self, name: str) -> None:
        del self.built_in[name]

    def __contains__(self, name: object) -> bool:
        if name in self.built_in:
            return True
        return isinstance(name, str) and (self._is_address(name) or name in self.installed)

    def __iter__(self) -> Iterator[str]:
        yield from self.built_in
        for name in self.installed:
            if name not in self.built_in and self._is_usable(name):
                yield name

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def named(self, name: str) -> T:
        """The part that a job names so; raises as ``refuse_clash`` too."""
        self.refuse_clash(name)
        return self[name]

    def refuse_clash(self, name: str) -> None:
        """``ValueError`` naming both packages where two of them give a part this name."""
        found = [_origin(each) for each in self.installed.get(name, ())]
        if name in self.built_in and found:
            found.insert(0, OURS)
        if len(found) > 1:
            raise ValueError(
                f'"{name}" is the name of a part in {" and in ".join(found)} ({self.group}); uninstall one, '
                "or write module:attribute in the job"
            )

    def origin(self, name: str) -> str | None:
        """Package and version of a part that is not ours: ``restora-example 0.1.0``; ``None`` for ours.

        Of a module that no package brought: its file's name and SHA-256.
        """
        if name in self.built_in:
            return None
        if name in self.installed:
            return _origin(self.installed[name][0])
        return _origin_of_module(name.partition(":")[0]) if self._is_address(name) else None

    def faults(self) -> Iterator[str]:
        """What is wrong with the installed parts, a line each, with the package."""
        for name in self.installed:
            try:
                self.refuse_clash(name)
                self[name]
            except ValueError as error:
                yield f"{self.group}: {error}"

    def _is_address(self, name: str) -> bool:
        return self._by_address and is_module_address(name)

    def _is_usable(self, name: str) -> bool:
        try:
            self.refuse_clash(name)
            self[name]
        except ValueError as error:
            if name not in self._warned:
                self._warned.add(name)
                LOG.warning("plug-in left out: %s", error)
            return False
        return True

    def _load(self, name: str) -> T:
        if name in self.installed:
            self.refuse_clash(name)
            point = self.installed[name][0]
        elif self._is_address(name):
            point = EntryPoint(name=name, value=name, group=self.group)
        else:
            raise KeyError(name)
        try:
            return self._accept(name, point.load())
        except Exception as error:  # the code of others fails in its own way
            fault = f"{type(error).__name__}: {' '.join(str(error).split()) or 'no message'}"
            if name not in self.installed:
                cure = "what it names must be installed, or on PYTHONPATH"
                raise ValueError(f'"{name}" cannot be used: {fault}; {cure}') from error
            raise ValueError(
                f'"{name}" ({point.value}) of {self.origin(name)} cannot be used: {fault}'
            ) from error


def _origin(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist is not None else point.value


def _origin_of_module(module: str) -> str | None:
    packages = metadata.packages_distributions().get(module.partition(".")[0], ())
    if packages:
        return ", ".join(f"{name} {metadata.version(name)}" for name in sorted(set(packages)))
    try:
        file = importlib.import_module(module).__file__
    except Exception:  # whoever uses the part is told
        return None
    if file is None:
        return None
    return f"{Path(file).name} sha256:{hashlib.sha256(Path(file).read_bytes()).hexdigest()}"


def accept_class(base: type) -> Callable[[str, Any], Any]:
    """For tables of classes: what is no class, or none of this base, is refused."""

    def accept(_: str, value: Any) -> Any:
        if not (isinstance(value, type) and issubclass(value, base)):
            raise TypeError(f"it is {value!r}, not a class that derives from {base.__qualname__}")
        return value

    return accept
