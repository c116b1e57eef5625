"""Tar shards, as WebDataset writes them."""

import io
import tarfile
from pathlib import Path


def tar_of(files: dict[str, bytes], **fields) -> bytes:
    """A shard of these members, in this order."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", **fields) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def members_of(data: bytes) -> dict[str, bytes]:
    """Name -> content of a shard, as Python's own reader has them."""
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {each.name: tar.extractfile(each).read() for each in tar if each.isreg()}


def shards_in(folder: Path, shards: dict[str, dict[str, bytes]]) -> Path:
    """A folder of shards."""
    for name, files in shards.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tar_of(files))
    return folder
