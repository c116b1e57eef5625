"""Every door against the contract, on a disk and on S3."""

import os
import uuid

import pytest

from pipeline.doors import DOORS, door_of, open_archive
from pipeline.hashing import sha256_hex
from pipeline.jobs.job import Dataset
from pipeline.storage import folder as storage
from pipeline.storage.folder import Folder
from tests.door_contract import check_absent, check_door, check_many, check_reading, listed
from tests.helpers import encoded, photograph
from tests.moto_s3 import new_bucket
from tests.stac_samples import item_collection
from tests.tar_samples import tar_of

FILES = {
    "folder": lambda images: images,
    "tar": lambda images: {"a/x.tar": tar_of(dict(list(images.items())[::2])),
                           "b.tar": tar_of(dict(list(images.items())[1::2]))},
    "pages": lambda images: images,
    "manifest": lambda images: images | {"list.csv": table_of(images)},
    "stac": lambda images: images | {"items.json": item_collection(images)},
}  # fmt: skip
"""Door -> the objects of an archive of these images."""
ENTRANCES = {"manifest": "/list.csv", "stac": "/items.json"}
"""What an address ends in, where it is not that of the folder."""
ELSEWHERE = {"bids", "dicomweb", "zarr"}
"""Doors to what is no folder of any names: each keeps the contract in a file of its own, ``test_DOOR.py``."""


def table_of(images: dict[str, bytes]) -> bytes:
    cells = ((name.replace('"', '""'), data) for name, data in images.items())
    rows = (f'"{name}",{len(data)},{sha256_hex(data)}' for name, data in cells)
    return "\n".join(["uri,size,etag", *rows]).encode()


def dataset_at(url: str, door: str) -> Dataset:
    return Dataset(name="images", uri=url, store=door)


@pytest.fixture(params=["disk", "s3"])
def place(request, tmp_path):
    if request.param == "disk":
        return str(tmp_path)
    request.getfixturevalue("s3")
    return new_bucket()


@pytest.mark.parametrize("door", FILES)
def test_a_door_keeps_the_contract(door, place):
    def make(images):
        url = f"{place}/{door}"
        for key, data in FILES[door](images).items():
            Folder(url).put(key, data)
        entrance = url + ENTRANCES.get(door, "")
        return lambda: open_archive(dataset_at(entrance, door), entrance)

    check_door(make, lambda index: encoded(photograph(index)))


@pytest.mark.parametrize("door", FILES)
def test_what_is_not_there_cannot_be_listed(door, tmp_path):
    url = str(tmp_path / "none") + ENTRANCES.get(door, "")
    check_absent(lambda: open_archive(dataset_at(url, door), url))


@pytest.mark.parametrize("door", sorted(FILES.keys() - ENTRANCES.keys()))
def test_a_large_archive_is_listed_in_bounded_memory(door, tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "PAGE", 100)
    for start in range(0, 2000, 200):
        images = {f"{start + index:05d}.png": b"" for index in range(200)}
        for key, data in FILES[door](images).items():
            path = tmp_path / f"{start:05d}" / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    check_many(open_archive(dataset_at(str(tmp_path), door), str(tmp_path)), 2000, 1 << 20)


def test_a_long_manifest_is_listed_in_bounded_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "PAGE", 100)
    (tmp_path / "list.csv").write_bytes(table_of({f"{index:05d}.png": b"" for index in range(20_000)}))
    url = str(tmp_path / "list.csv")
    check_many(open_archive(dataset_at(url, "manifest"), url), 20_000, 6 << 20)


def test_a_large_item_collection_is_listed_in_bounded_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "PAGE", 100)
    (tmp_path / "items.json").write_bytes(item_collection({f"{index:05d}.tif": b"" for index in range(2000)}))
    url = str(tmp_path / "items.json")
    check_many(open_archive(dataset_at(url, "stac"), url), 2000, 6 << 20)


def test_every_door_is_tried():
    assert set(FILES) | ELSEWHERE == set(DOORS)


def test_an_address_says_its_door():
    cases = {
        "s3://b/x/0.TAR": "tar",
        "s3://b/x": "folder",
        "/data": "folder",
        "s3://b/l.Parquet": "manifest",
        "l.csv.gz": "manifest",
        "s3://b/inventory/manifest.json": "manifest",
        "x.json": "folder",
        "s3://b/x/Catalog.json": "stac",
    }
    assert {url: door_of(Dataset(name="a", uri=url), url).name for url in cases} == cases


def test_windows_are_read_once_for_all_members(monkeypatch):
    url, images = f"memory://{uuid.uuid4().hex}", {f"{i}.png": os.urandom(300 + i) for i in range(50)}
    Folder(url).put("x.tar", tar_of(images))
    archive = open_archive(dataset_at(url, "tar"), url)
    parts = []
    whole = Folder.part
    monkeypatch.setattr(Folder, "part", lambda self, *where: parts.append(where) or whole(self, *where))
    entries = listed(archive)
    assert len(parts) <= 2
    for entry in entries:
        check_reading(archive, entry, images[entry.key.removeprefix("x.tar/")])
    assert len(parts) <= 3
