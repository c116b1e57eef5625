"""How fast the lossless ways to write a photograph are: ``python benchmarks/encoders.py``.

One thread, 512 x 512 x 3 photograph, best of several runs; ratios hold within one run only. Every file is
read back by Pillow (or tifffile) and compared before its time counts.
"""

from __future__ import annotations

import io
import platform
import time
from collections.abc import Callable

import imagecodecs
import numpy as np
import tifffile
from PIL import Image as Pillow
from rich.console import Console
from rich.table import Table
from skimage import data as photographs

from pipeline.formats import FORMATS
from pipeline.formats.png import Png
from pipeline.formats.tiff.format import Tiff
from pipeline.imaging.image import Domain, Image, Metadata

Encoder = Callable[[np.ndarray], bytes]


def ours(form: object) -> Encoder:
    def encode(samples: np.ndarray) -> bytes:
        return form.encode(Image(samples, Domain.of_integers(samples.dtype.name), Metadata("png")))

    return encode


def pillow(kind: str, **options: object) -> Encoder:
    def encode(samples: np.ndarray) -> bytes:
        file = io.BytesIO()
        Pillow.fromarray(samples).save(file, kind, **options)
        return file.getvalue()

    return encode


def libpng(**options: int) -> Encoder:
    return lambda samples: imagecodecs.png_encode(samples, **options)


def tiff(**options: object) -> Encoder:
    def encode(samples: np.ndarray) -> bytes:
        file = io.BytesIO()
        tifffile.imwrite(file, samples, photometric="rgb", metadata=None, maxworkers=1, **options)
        return file.getvalue()

    return encode


ENCODERS_8: dict[str, Encoder] = {
    "PNG, restora (up filter, libdeflate 1)": ours(FORMATS["png"]),
    "PNG, restora, level 6": ours(Png(level=6)),
    "PNG, Pillow level 1": pillow("PNG", compress_level=1),
    "PNG, Pillow level 6 (its default)": pillow("PNG", compress_level=6),
    "PNG, libpng level 1": libpng(level=1),
    "PNG, libpng level 1, RLE, sub filter": libpng(level=1, strategy=3, filter=16),
    "PNG, libpng level 1, RLE, up filter": libpng(level=1, strategy=3, filter=32),
    "TIFF, restora (predictor 2, deflate 1)": ours(FORMATS["tiff"]),
    "TIFF, restora, level 6": ours(Tiff(level=6)),
    "TIFF, predictor 2, zstd": tiff(compression="zstd", predictor=True),
    "TIFF, LZW, Pillow": pillow("TIFF", compression="tiff_lzw"),
    "TIFF, no compression": tiff(),
    "WebP, restora (lossless, method 0)": ours(FORMATS["webp"]),
    "WebP, Pillow lossless (method 4)": pillow("WEBP", lossless=True),
}
ENCODERS_16: dict[str, Encoder] = {
    "PNG 16 bit, restora": ours(FORMATS["png"]),
    "PNG 16 bit, libpng level 1": libpng(level=1),
    "TIFF 16 bit, restora": ours(FORMATS["tiff"]),
    "TIFF 16 bit, predictor 2, zstd": tiff(compression="zstd", predictor=True),
}


def read(data: bytes, *, deep: bool) -> np.ndarray:
    if deep:
        return tifffile.imread(io.BytesIO(data)) if data[:2] == b"II" else imagecodecs.png_decode(data)
    return np.asarray(Pillow.open(io.BytesIO(data)).convert("RGB"))


def seconds(encode: Encoder, samples: np.ndarray, runs: int = 7) -> float:
    best = float("inf")
    for _ in range(runs):
        start = time.perf_counter()
        encode(samples)
        best = min(best, time.perf_counter() - start)
    return best


def main() -> None:
    table = Table(title=f"Lossless encoders, 512 x 512 x 3 photograph, one thread, {platform.processor()}")
    table.add_column("encoder")
    for column in ("images/s", "KiB", "against Pillow PNG level 1"):
        table.add_column(column, justify="right")
    photo = photographs.astronaut()
    # Low bytes as a camera of 12 bits has them: noise in the last four.
    deep = photo.astype(np.uint16) * 257 ^ np.random.default_rng(0).integers(
        0, 16, photo.shape, dtype=np.uint16
    )
    measure = seconds(ENCODERS_8["PNG, Pillow level 1"], photo)
    for samples, encoders in ((photo, ENCODERS_8), (deep, ENCODERS_16)):
        for name, encode in encoders.items():
            data = encode(samples)
            assert np.array_equal(read(data, deep=samples is deep), samples), name
            taken = seconds(encode, samples)
            table.add_row(name, f"{1 / taken:.0f}", f"{len(data) / 1024:.0f}", f"{measure / taken:.1f} x")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
