"""Chunks decompressed as far as their array announces and no farther: megabytes may hold gigabytes of zeros.

zarr and numcodecs take what comes; here what a chunk says of itself is looked at first, or it is stopped.
"""

from __future__ import annotations

import asyncio
import bz2
import gzip
import io
import lzma
import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import zarr
from numcodecs.abc import Codec
from zarr.abc.codec import BytesBytesCodec
from zarr.codecs import ShardingCodec

from pipeline.errors import ImageError

_BESIDE = 1 << 16
"""Bytes that checksums and codecs in a row may add."""
_WIDEST = 8
"""Bytes of a sample that filters may have made of a narrower one."""

Configuration = Mapping[str, Any]


def bounded(array: Any) -> Any:
    """zarr's array, to be read: ``TOO_LARGE`` for a chunk that holds more bytes than its samples take."""
    inner = array.async_array
    metadata = inner.metadata
    if metadata.zarr_format == 2:
        if metadata.compressor is None:
            return array
        width = max(_WIDEST, metadata.dtype.item_size) if metadata.filters else metadata.dtype.item_size
        most = math.prod(metadata.chunks) * width + _BESIDE
        metadata = replace(metadata, compressor=_BoundedNumcodec(metadata.compressor, most))
    else:
        metadata = replace(metadata, codecs=_all_bounded(metadata.codecs))
    return zarr.Array(zarr.AsyncArray(metadata, inner.store_path, inner.config))


def _all_bounded(codecs: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(_one_bounded(each) for each in codecs)


def _one_bounded(codec: Any) -> Any:
    if isinstance(codec, ShardingCodec):
        return replace(codec, codecs=_all_bounded(codec.codecs))
    return _Bounded(codec) if isinstance(codec, BytesBytesCodec) else codec


@dataclass(frozen=True)
class _Bounded(BytesBytesCodec):
    """A codec of version 3."""

    codec: Any

    @property
    def is_fixed_size(self) -> bool:  # type: ignore[override]
        return bool(self.codec.is_fixed_size)

    def to_dict(self) -> dict[str, Any]:
        told: dict[str, Any] = self.codec.to_dict()
        return told

    def compute_encoded_size(self, input_byte_length: int, chunk_spec: Any) -> int:
        return int(self.codec.compute_encoded_size(input_byte_length, chunk_spec))

    def resolve_metadata(self, chunk_spec: Any) -> Any:
        return self.codec.resolve_metadata(chunk_spec)

    def evolve_from_array_spec(self, array_spec: Any) -> _Bounded:
        return _Bounded(self.codec.evolve_from_array_spec(array_spec))

    async def _decode_single(self, chunk_data: Any, chunk_spec: Any) -> Any:
        told = self.to_dict()
        name, most = told["name"], math.prod(chunk_spec.shape) * chunk_spec.dtype.item_size + _BESIDE
        configuration, data = told.get("configuration", {}), chunk_data.to_bytes()
        decoded = await asyncio.to_thread(_decoded, name, configuration, data, most)
        if decoded is not None:
            return chunk_spec.prototype.buffer.from_bytes(decoded)
        (only,) = await self.codec.decode([(chunk_data, chunk_spec)])
        return only


class _BoundedNumcodec(Codec):  # type: ignore[misc]
    """A compressor of version 2."""

    codec_id = "bounded"

    def __init__(self, codec: Any, most: int) -> None:
        self.codec, self.most = codec, most

    def encode(self, buf: Any) -> Any:
        return self.codec.encode(buf)

    def decode(self, buf: Any, out: Any = None) -> Any:
        decoded = _decoded(self.codec.codec_id, self.codec.get_config(), bytes(buf), self.most)
        return self.codec.decode(buf) if decoded is None else decoded

    def get_config(self) -> Any:
        return self.codec.get_config()


def _decoded(name: str, configuration: Configuration, data: bytes, most: int) -> bytes | None:
    """The bytes where Python decodes as far as it is told to; ``None`` where the codec may go on by itself.

    ``ImageError`` where they are more than ``most``.
    """
    name = name.removeprefix("numcodecs.")
    at = _SIZE_AT.get(name)
    if at is not None and int.from_bytes(data[at : at + 4], "little") > most:
        raise _too_large()
    if name not in _DECODERS:
        return None
    decoded = _DECODERS[name](data, configuration, most + 1)
    if len(decoded) > most:
        raise _too_large()
    return decoded


def _too_large() -> ImageError:
    return ImageError("TOO_LARGE", "a chunk of the array holds more than its shape announces; write it again")


def _gzip(data: bytes, _: Configuration, most: int) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
        return file.read(most)


def _zlib(data: bytes, _: Configuration, most: int) -> bytes:
    inflater = zlib.decompressobj()
    decoded = inflater.decompress(data, most)
    if len(decoded) < most and not inflater.eof:
        raise EOFError
    return decoded


def _bz2(data: bytes, _: Configuration, most: int) -> bytes:
    with bz2.BZ2File(io.BytesIO(data)) as file:
        return file.read(most)


def _lzma(data: bytes, configuration: Configuration, most: int) -> bytes:
    kind, filters = configuration.get("format", lzma.FORMAT_XZ), configuration.get("filters")
    with lzma.LZMAFile(
        io.BytesIO(data), format=kind, filters=filters if kind == lzma.FORMAT_RAW else None
    ) as file:
        return file.read(most)


def _zstd(data: bytes, _: Configuration, most: int) -> bytes:
    with pa.input_stream(pa.py_buffer(data), compression="zstd") as stream:
        return bytes(stream.read(most))


_DECODERS: Mapping[str, Callable[[bytes, Configuration, int], bytes]] = {
    "gzip": _gzip, "zlib": _zlib, "bz2": _bz2, "lzma": _lzma, "zstd": _zstd,
}  # fmt: skip
_SIZE_AT: Mapping[str, int] = {"blosc": 4, "lz4": 0}
"""Where in a chunk these write how many bytes it decodes to: they allocate so many, and write no more."""
