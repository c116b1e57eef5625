"""A listing is every object of its prefix, whatever its key: compared with the store's own flat listing."""

import os
import uuid
from collections import Counter

import pytest

from pipeline.storage.base import MARKER
from pipeline.storage.folder import Folder
from tests.helpers import complete, encoded, photograph, restore
from tests.moto_s3 import new_bucket

KEYS = [
    "plain.png",
    "sub/y.png",
    "a#b.png",
    "a?b.png",
    "a%2Fb.png",
    "a+b c.png",
    "v?versionId=1.png",
    "*star.png",
    "[a].png",
    "\u00fc.png",
    "::x.png",
    "A.png",
    "a.png",
    "u\u0308.png",
    "sub0.png",
    "sub.png",
]
LINES = ["new\nline.png"]
"""Keys that the S3 server of the tests refuses from every client."""
SLASHES = ["/double.png", "//treble.png", "sub//x.png", "sub///z.png", "/sub/y.png"]
"""Keys that no disk has."""
TRAILING = ["trailing.png/", "sub/y.png/", "sub//"]
"""Keys that S3 has."""


def objects(client, bucket: str, prefix: str) -> dict[str, int]:
    """The flat listing of the store itself."""
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return {each["Key"][len(prefix) :]: each["Size"] for page in pages for each in page.get("Contents", [])}


def on_disk(root: str) -> dict[str, int]:
    paths = [os.path.join(folder, name) for folder, _, names in os.walk(root) for name in names]
    return {os.path.relpath(path, root): os.path.getsize(path) for path in paths}


@pytest.fixture(params=["disk", "memory", "s3", "bucket"])
def store(request, tmp_path):
    """A folder, its own flat listing, and the keys that it can hold."""
    if request.param == "disk":
        yield Folder(str(tmp_path)), lambda: on_disk(str(tmp_path)), KEYS + LINES
    elif request.param == "memory":
        import fsspec

        root, held = f"/{uuid.uuid4().hex}", fsspec.filesystem("memory").store
        flat = lambda: {k[len(root) + 1 :]: v.size for k, v in held.items() if k.startswith(f"{root}/")}  # noqa: E731
        yield Folder(f"memory:/{root}"), flat, KEYS + LINES + SLASHES
    else:
        import boto3

        request.getfixturevalue("s3")
        client, url = boto3.client("s3"), new_bucket()
        prefix = "in/" if request.param == "s3" else ""
        bucket = url.removeprefix("s3://")
        yield (
            Folder(f"{url}/{prefix}"),
            lambda: objects(client, bucket, prefix),
            [each for each in KEYS + SLASHES + TRAILING if prefix or not each.startswith("//")],
        )


def test_every_object_is_listed_once_in_order_with_its_size_and_read_back(store):
    folder, flat, keys = store
    for key in keys:
        folder.put(key, key.encode())
    assert flat() == {key: len(key.encode()) for key in keys}
    entries = [entry for page in folder.pages() for entry in page]
    assert [entry.key for entry in entries] == sorted(keys)
    assert {entry.key: entry.size for entry in entries} == flat()
    for entry in entries:
        data = entry.key.encode()
        assert folder.read(entry.key) == data
        if folder.url.startswith("s3") and entry.key in KEYS[2:]:
            continue  # each request costs the tests' endpoint a hundredth of a second
        assert folder.head(entry.key, 3) == data[:3]
        with folder.open(entry.key) as file:
            assert file.read() == data
        assert folder.exists(entry.key)
        assert folder.entry(entry.key).size == len(data)
    for key in keys:
        folder.delete(key)
        assert key not in flat()


def test_markers_of_folders_are_counted_and_larger_ones_are_objects(s3):
    import boto3

    url, client = new_bucket(), boto3.client("s3")
    bucket = url.removeprefix("s3://")
    for key in ("in/", "in/sub/", "in/marker/", "in/emr_$folder$"):
        client.put_object(Bucket=bucket, Key=key, Body=b"")
    client.put_object(Bucket=bucket, Key="in/sub/full/", Body=b"data")
    client.put_object(Bucket=bucket, Key="in/empty.png", Body=b"")
    client.put_object(Bucket=bucket, Key="inside.png", Body=b"not of this folder")
    left_out = Counter()
    keys = [each.key for page in Folder(f"{url}/in").pages(left_out=left_out) for each in page]
    assert keys == ["empty.png", "sub/full/"]
    assert left_out == {MARKER: 4}


def test_a_listing_of_many_pages_of_the_store_is_whole(s3, monkeypatch):
    monkeypatch.setattr("pipeline.storage.s3.PAGE", 3)
    folder = Folder(f"{new_bucket()}/in")
    keys = [f"a//{number:04d}.png" for number in range(10)]
    for key in keys:
        folder.put(key, b"x")
    assert [each.key for page in folder.pages() for each in page] == keys


def test_a_run_has_a_row_for_every_object(s3, tmp_path):
    folder = Folder(f"{new_bucket()}/in")
    keys = ["plain.png", "/double.png", "sub//x.png", "trailing.png/", "v?versionId=1.png", "v"]
    for number, key in enumerate(keys):
        folder.put(key, encoded(photograph(number)))
    rows = complete(restore(folder.url, Folder(f"{folder.url[:-3]}/out").url, output_format="png"))
    assert {row["key"]: row["status"] for row in rows} == dict.fromkeys(keys, "ok")
