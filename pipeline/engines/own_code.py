"""That workers of Ray import our packages, wherever a run is started.

Ray puts the folder that a driver was started in first on the path of its workers, so that a ``pipeline/``,
a ``models/`` or a ``numpy.py`` there would take the place of the real one. It does not do so where the job
has a working directory of its own.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
"""The folder of our packages: of the project, or ``site-packages``."""


def local_environment(empty: str) -> dict[str, Any]:
    """Ray's ``runtime_env`` of workers on this machine; ``empty`` is a folder with nothing in it."""
    return _away_from_here(empty) | {"env_vars": {"PYTHONPATH": _path()}}


def joined_environment(empty: str) -> dict[str, Any]:
    """The same on a cluster: its nodes run this very code, whatever is installed on them."""
    # Here, for the start-up of the driver.
    import models
    import pipeline

    return _away_from_here(empty) | {"py_modules": [models, pipeline]}


def _away_from_here(empty: str) -> dict[str, Any]:
    """A working directory, which costs workers a second, where this folder has modules in it."""
    here = Path.cwd()
    modules = any(here.glob("*.py")) or any(here.glob("*/__init__.py"))
    if not modules or here == ROOT:
        return {}
    return {"working_dir": empty}


def _path() -> str:
    return os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
