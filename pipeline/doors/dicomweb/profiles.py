"""Credentials of DICOMweb servers by the name of a profile: they are in no job, no log and no row."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError, model_validator

from models.names import did_you_mean
from pipeline.errors import JobError
from pipeline.jobs.frozen import Frozen

VARIABLE = "RESTORA_DICOMWEB"
"""Environment variable: the file of the profiles, where it is not in its usual place."""


class Profile(Frozen):
    """How one server is asked; every machine that works needs the file."""

    user: str | None = None
    password: str | None = None
    token: str | None = None
    """Sent as ``Authorization: Bearer``."""
    token_file: str | None = None
    """A file with the token, read anew for every request: tokens change."""
    ca: str | None = None
    """Certificates that the server's own is checked against; ``None``: those of this machine."""
    certificate: str | None = None
    """A file with our own certificate and its key, for servers that ask for one."""

    @model_validator(mode="after")
    def _is_one_way(self) -> Self:
        ways = [self.user is not None, self.token is not None, self.token_file is not None]
        if sum(ways) > 1 or (self.password is not None and self.user is None):
            raise ValueError("user and password, or token, or token_file")
        return self

    def bearer(self) -> str:
        """The token as it is now; empty where there is none. ``JobError`` where its file cannot be read."""
        if self.token_file is None:
            return self.token or ""
        try:
            return Path(self.token_file).expanduser().read_text().strip()
        except (OSError, ValueError) as error:
            raise JobError(f"token_file: {self.token_file}: {type(error).__name__}") from None


def profiles_file() -> Path:
    """``dicomweb.toml`` in the folder of configurations, or what the environment says."""
    if given := os.environ.get(VARIABLE):
        return Path(given).expanduser()
    return Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "restora" / "dicomweb.toml"


def read_profile(name: str | None) -> Profile:
    """The profile of a name, or one without credentials. ``JobError`` tells no value of the file."""
    if name is None:
        return Profile()
    path = profiles_file()
    where = f'profile "{name}"'
    try:
        found: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise JobError(
            f"{where}: there is no {path}; write it, with [{name}] and user and password, token or "
            f"token_file below, or name another file in {VARIABLE}"
        ) from None
    except (OSError, ValueError) as error:
        raise JobError(f"{where}: {path} cannot be read: {type(error).__name__}") from None
    if not isinstance(fields := found.get(name), dict):
        raise JobError(f"{where}: is not in {path}; {did_you_mean(name, list(found))}")
    try:
        return Profile.model_validate(fields)
    except ValidationError as error:
        faults = {".".join(map(str, each["loc"])) or each["msg"] for each in error.errors()}
        raise JobError(f"{where}: {path}: wrong: {', '.join(sorted(faults))}") from None
