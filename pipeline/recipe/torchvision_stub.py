"""A stub of torchvision while spandrel is imported, where no torchvision works.

Why there is one: spandrel imports three names of ``torchvision.transforms.functional``, all plain Python, and
one of its architectures calls one. But importing torchvision loads its compiled operators, which fit one
build of torch only: beside torch 2.13.0 for the CPU, release 0.28.0 of the Python Package Index, which comes
with spandrel, raises "operator torchvision::nms does not exist". Forty architectures would be lost with it.
"""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager

CALLED_BY = ("RestoreFormer",)
"""Architectures of spandrel 0.4.2 that call torchvision; these need a real one."""
FUNCTIONAL = "torchvision.transforms.functional"
PACKAGES = ("torchvision", "torchvision.transforms", FUNCTIONAL)
NAMES = ("normalize", "rotate", "InterpolationMode")


def torchvision_works() -> bool:
    """Whether it can be imported; what a failed try leaves behind is taken away."""
    try:
        importlib.import_module(FUNCTIONAL)
    except Exception:  # ImportError where it is absent, RuntimeError where it does not fit
        _forget()
        return False
    return True


@contextmanager
def importable_torchvision() -> Iterator[None]:
    """Within, what spandrel imports can be imported; after it, no stub is left for others to find."""
    if torchvision_works():
        yield
        return
    packages = {
        name: types.ModuleType(name) for name in ("torchvision", "torchvision.transforms", FUNCTIONAL)
    }
    vars(packages[FUNCTIONAL]).update(dict.fromkeys(NAMES))
    sys.modules.update(packages)
    try:
        yield
    finally:
        _forget()


def _forget() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
