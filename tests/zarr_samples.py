"""Zarr hierarchies as others write them: GeoZarr by xarray, OME-Zarr by its words, both versions."""

import numpy as np
import pytest

zarr = pytest.importorskip("zarr", reason="needs the extra zarr")

TRANSFORM = "499995.0 10.0 0.0 4000005.0 0.0 -10.0"


def cube(
    folder, version: int = 3, *, name: str = "reflectance", seed: int = 0, side=(40, 48), chunk=(1, 16, 16)
):
    """Two dates of a plane with coordinates and a grid mapping, as xarray writes it. Returns the values."""
    xarray = pytest.importorskip("xarray", reason="judges the output")
    height, width = side
    rng = np.random.default_rng(seed)
    values = rng.integers(1, 4000, (2, height, width), np.uint16)
    values[0, :3, :5] = 0
    dataset = xarray.Dataset(
        {
            name: (("time", "y", "x"), values, {"units": "1", "grid_mapping": "spatial_ref"}),
            "quality": (("y", "x"), np.ones(side, np.uint8), {"flag_meanings": "good bad"}),
        },
        coords={
            "time": ("time", np.array(["2026-01-01", "2026-02-01"], "datetime64[ns]")),
            "y": ("y", 4_000_000.0 - 10 * np.arange(height), {"standard_name": "projection_y_coordinate"}),
            "x": ("x", 500_000.0 + 10 * np.arange(width), {"standard_name": "projection_x_coordinate"}),
            "spatial_ref": ((), 0, {"crs_wkt": "WGS 84 / UTM 32N", "GeoTransform": TRANSFORM}),
        },
        attrs={"title": "generated"},
    )  # fmt: skip
    encoding = {name: {"chunks": chunk, "_FillValue": 0}}
    dataset.to_zarr(folder, mode="w", zarr_format=version, encoding=encoding, consolidated=True)
    return values


def pyramid(folder, version: int = 3, seed: int = 0):
    """An OME-Zarr image of two channels in two levels, the larger one in shards where there are such."""
    root = zarr.create_group(folder, zarr_format=version, overwrite=True)
    values = np.random.default_rng(seed).integers(0, 60000, (2, 64, 64), np.uint16)
    shards = {"shards": (1, 32, 32)} if version == 3 else {}
    large = root.create_array("0", shape=values.shape, dtype="uint16", chunks=(1, 16, 16), **shards)
    small = root.create_array("1", shape=(2, 32, 32), dtype="uint16", chunks=(2, 32, 32))
    large[...] = values
    small[...] = values[:, ::2, ::2]
    axes = [{"name": "c", "type": "channel"}, {"name": "y", "type": "space"}, {"name": "x", "type": "space"}]
    levels = [
        {"path": path, "coordinateTransformations": [{"type": "scale", "scale": [1.0, step, step]}]}
        for path, step in (("0", 0.5), ("1", 1.0))
    ]
    told = {"multiscales": [{"axes": axes, "datasets": levels, "name": "cells"}]}
    root.attrs.update({"ome": {"version": "0.5"} | told} if version == 3 else told)
    return values
