"""What others say of a raster: Debian's GDAL, another build than rasterio's, and rio-cogeo."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np


def gdalinfo(path: Path) -> dict[str, Any]:
    """What Debian's GDAL reads, another build than the one in rasterio."""
    command = ["gdalinfo", "-json", "-mdd", "all", "-norat", str(path)]
    done = subprocess.run(command, capture_output=True, check=True)
    return json.loads(done.stdout.decode(errors="replace"))  # it prints Latin-1 as it finds it


def gdalcompare(golden: Path, new: Path) -> str:
    """Differences in pixels, masks and metadata, as GDAL's own script prints them."""
    command = [gdalcompare_script(), str(golden), str(new)]
    return subprocess.run(["/usr/bin/python3", *command], capture_output=True, text=True, check=False).stdout


def gdalcompare_script() -> str:
    """Its path; empty where it is not installed."""
    return shutil.which("gdalcompare.py") or ""


def gdaltransform(path: Path, method: str, places: list[tuple[float, float]]) -> np.ndarray:
    """Coordinates on the ground of columns and rows, as Debian's GDAL computes them: N x 3."""
    lines = "".join(f"{column!r} {row!r} 30\n" for column, row in places)
    done = subprocess.run(
        ["gdaltransform", *method.split(), str(path)], input=lines, capture_output=True, text=True, check=True
    )
    return np.array([line.split() for line in done.stdout.splitlines()], float)


def complaints(path: Path) -> list[str]:
    """What ``rio cogeo validate --strict`` finds wrong."""
    from rio_cogeo.cogeo import cog_validate

    is_valid, errors, warnings = cog_validate(str(path), strict=True, quiet=True)
    assert is_valid == (not errors and not warnings)
    return [*errors, *warnings]


_OURS = "RESTORE_"
_STRUCTURE = ("IMAGE_STRUCTURE", "DERIVED_SUBDATASETS")
_OF_THE_GRID = re.compile("(LINE|SAMP)_(OFF|SCALE)")
_OF_BANDS = ("description", "unit", "scale", "offset", "colorInterpretation", "type")


def described(info: dict[str, Any]) -> dict[str, Any]:
    """Of what ``gdalinfo`` says: all that must be the same at every size."""
    points = info.get("gcps", {})
    return {
        "crs": info.get("coordinateSystem"),
        "tags": _tags(info.get("metadata", {}), (_OURS,)),
        "bands": [_described_band(band) for band in info["bands"]],
        "points": [(each["x"], each["y"], each["z"]) for each in points.get("gcpList", [])],
        "points_crs": points.get("coordinateSystem"),
    }


def _described_band(band: dict[str, Any]) -> dict[str, Any]:
    return {
        **{name: band.get(name) for name in _OF_BANDS},
        "nodata": repr(band.get("noDataValue")),  # so that NaN equals NaN
        "mask": band.get("mask", {}).get("flags"),
        "tags": _tags(band.get("metadata", {}), ("STATISTICS_",)),
    }


def _tags(domains: dict[str, Any], dropped: tuple[str, ...]) -> dict[str, Any]:
    kept = {name: tags for name, tags in domains.items() if name not in _STRUCTURE}
    kept[""] = {k: v for k, v in kept.get("", {}).items() if not k.startswith(dropped)}
    kept["RPC"] = {k: v for k, v in kept.get("RPC", {}).items() if not _OF_THE_GRID.match(k)}
    return kept
