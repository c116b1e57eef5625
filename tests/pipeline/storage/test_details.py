"""What fsspec says of a folder comes by column as it does object by object, however unusual the store."""

import random

import pytest

from pipeline.storage.details import Level, version_of

ROOT = "bucket/in"


def file(name, **fields):
    return {"name": f"{ROOT}/{name}", "size": 1, "type": "file"} | fields


def files(count):
    return [
        {"name": f"{ROOT}/{i:02d}.png", "size": i, "type": "file", "ETag": f"{i:x}"} for i in range(count)
    ]


def folder(name):
    return {"name": f"{ROOT}/{name}", "size": 0, "type": "directory"}


CASES = {
    "nothing": [],
    "usual": files(9),
    "marks in quotes": [each | {"ETag": '"ab"'} for each in files(3)],
    "some without a mark": [*files(2), file("x", LastModified="now")],
    "an empty mark": [*files(2), file("x", ETag="")],
    "marks of None": [each | {"ETag": None} for each in files(2)],
    "no sizes": [{"name": f"{ROOT}/a", "type": "file", "etag": "e"}, *files(1)],
    "sizes of None": [each | {"size": None} for each in files(2)],
    "its own marker": [file("", ETag="m"), *files(2)],
    "itself, as a folder": [{"name": ROOT, "size": 0, "type": "directory"}, *files(2)],
    "one letter": [file("a", ETag="t")],
    "folders": [folder("a"), *files(2), folder("05.png"), folder("00")],
    "a folder before what only begins like it": [
        *(file(name, ETag="t") for name in ("a.png", "a-b", "a0")),
        folder("a"),
    ],
}  # fmt: skip


def one_by_one(found):
    """Keys, sizes, versions and kinds as the columns should have them."""
    rows = [each for each in found if each["name"].rstrip("/") != ROOT]
    rows.sort(key=lambda each: each["name"] + "/" * (each["type"] == "directory"))
    return [
        (
            each["name"][len(ROOT) + 1 :],
            -1 if each.get("size") is None else each["size"],
            version_of(each),
            each["type"] == "directory",
        )
        for each in rows
    ]


@pytest.mark.parametrize("found", CASES.values(), ids=CASES)
def test_columns_are_what_the_objects_are_one_by_one(found):
    for seed in range(3):
        mixed = random.Random(seed).sample(found, len(found))
        given = list(mixed)
        level = Level(mixed, ROOT)
        page = level.entries(0, None, len(ROOT) + 1)
        kinds = [place in level.folders for place in range(len(page))]
        assert list(zip(page.keys, page.sizes, page.versions, kinds, strict=True)) == one_by_one(found)
        assert mixed == given  # a store may hand out what it keeps
