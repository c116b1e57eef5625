"""Ray's token authentication: whether a cluster wants a token is asked of it before it is joined.

Since Ray 2.60 a Ray that starts by itself writes a token to ``~/.ray/auth_token``, and any later
``ray start --head`` of that user demands it. A driver with an address sends it only if ``RAY_AUTH_MODE``
is ``token``, and one that sends it does not get along with a cluster that wants none.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from ray.exceptions import AuthenticationError

from pipeline.errors import JobError

_RAYLET: Any = import_module("ray._raylet")  # Ray has no other way to ask, and no types for this one

MODE = "RAY_AUTH_MODE"
TOKEN_CURE = (
    "copy ~/.ray/auth_token of the cluster's head to this machine (and to its nodes), "
    "or set RAY_AUTH_TOKEN_PATH to such a file"
)


def agree_on_tokens(address: str) -> None:
    """Sends this user's token from now on if the cluster at ``HOST:PORT`` demands one.

    Where ``RAY_AUTH_MODE`` is set, it decides. ``JobError`` where the cluster takes no token of this machine.
    """
    if _accepts(address):
        return
    if MODE not in os.environ and _RAYLET.AuthenticationTokenLoader.instance().has_token(
        ignore_auth_mode=True
    ):
        _set_mode("token")
        if _accepts(address):
            return
    raise JobError(f"the cluster at {address} demands a token that this machine does not have; {TOKEN_CURE}")


@contextmanager
def mode_kept() -> Iterator[None]:
    """Puts ``RAY_AUTH_MODE`` back at the end: Ray and we set it for one connection, and it would stay."""
    before = os.environ.get(MODE)
    try:
        yield
    finally:
        _set_mode(before)


def _accepts(address: str) -> bool:
    try:
        _RAYLET.GcsClient(address=address)
    except AuthenticationError:
        return False
    return True


def _set_mode(mode: str | None) -> None:
    if mode == os.environ.get(MODE):
        return
    if mode is None:
        del os.environ[MODE]
    else:
        os.environ[MODE] = mode
    _RAYLET.Config.initialize("")  # Ray has read the environment already
