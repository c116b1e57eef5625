"""Listings of any length and order: every key once, in order, a bounded number in memory."""

import random
from collections import Counter

import pytest
from botocore.exceptions import ClientError
from s3fs.errors import translate_boto_error

from pipeline.errors import StorageError
from pipeline.storage import ordering, s3, s3_listing
from pipeline.storage.base import Entry
from pipeline.storage.disk import Disk
from pipeline.storage.entries import as_pages
from pipeline.storage.folder import Folder


class Bucket:
    """Answers as S3 does, a few keys a page; ``meanwhile`` is called before each answer."""

    def __init__(self, keys, page=3, meanwhile=lambda bucket: None):
        self.keys, self.page, self.meanwhile = set(keys), page, meanwhile
        self.requests = 0

    def __call__(self, Prefix, Delimiter="", StartAfter="", ContinuationToken=""):
        self.requests += 1
        self.meanwhile(self)
        after = ContinuationToken or StartAfter
        items = []
        for key in sorted(self.keys):
            if key.startswith(Prefix):
                rest = key[len(Prefix) :]
                folder = (
                    Prefix + rest.partition(Delimiter)[0] + "/" if Delimiter and Delimiter in rest else ""
                )
                if (folder or key) > after and (folder or key) not in items:
                    items.append(folder or key)
        shown = items[: self.page]
        answer = {
            "Contents": [{"Key": k, "Size": len(k), "ETag": '"e"'} for k in shown if k in self.keys],
            "CommonPrefixes": [{"Prefix": k} for k in shown if k not in self.keys],
            "IsTruncated": len(items) > len(shown),
        }
        return answer | ({"NextContinuationToken": shown[-1]} if answer["IsTruncated"] else {})


def listed(bucket, prefix=""):
    return [key for key, _, _ in s3_listing.list_prefix(bucket, prefix)]


SHAPES = {
    "flat": [f"in/{i:03d}" for i in range(20)],
    "folders": [f"in/{i % 7}/{i:03d}" for i in range(40)],
    "one in one": [f"in/a/b/{i % 5}/{i:03d}" for i in range(40)],
    "beside": ["in/a", "in/a!", "in/a-b", "in/a.", "in/a/1", "in/a/2", "in/a0", "in/b", "in/b/1", "in/c/1"],
    "markers": ["in/a/", "in/a/1", "in/b/", "in/c/", "in/c//d", "in/c//e/", "in/d"],
    "one page": ["in/x/1", "in/y/2"],
    "nothing": [],
}


@pytest.mark.parametrize("shape", SHAPES)
def test_ranges_of_keys_are_the_flat_listing(shape):
    keys = [*SHAPES[shape], "before", "inner/1", "z"]
    assert listed(Bucket(keys), "in/") == sorted(SHAPES[shape])


def test_any_tree_is_listed_once_in_order(monkeypatch):
    monkeypatch.setattr(s3_listing, "RANGES", 5)
    rng = random.Random(1)
    for _ in range(60):
        parts = (rng.choices(["a", "b", "c.", "d-", ""], k=rng.randint(1, 4)) for _ in range(30))
        keys = {"/".join(each) for each in parts} - {""}
        assert listed(Bucket(keys, page=rng.randint(1, 6))) == sorted(keys)


def test_keys_that_come_and_go_between_pages_cost_no_other():
    stay = {f"{i % 5}/{i:03d}" for i in range(0, 60, 2)}
    others = [f"{i % 5}/{i:03d}" for i in range(1, 60, 2)]
    rng = random.Random(2)

    def meanwhile(bucket):
        bucket.keys ^= {rng.choice(others)}

    for _ in range(10):
        found = listed(Bucket(stay | set(others), meanwhile=meanwhile))
        assert found == sorted(set(found))
        assert stay <= set(found)


def test_a_short_listing_is_one_request_and_ranges_cost_few():
    short = Bucket(SHAPES["one page"])
    listed(short)
    assert short.requests == 1
    keys = [f"{i % 10}/{i:04d}" for i in range(1000)]
    long = Bucket(keys, page=50)
    assert listed(long) == sorted(keys)
    assert long.requests <= 20 + 1 + 2 * 10


def test_a_range_that_cannot_be_listed_is_no_end_of_the_listing():
    def meanwhile(bucket):
        if bucket.requests == 6:
            raise PermissionError("no")

    with pytest.raises(PermissionError):
        listed(Bucket(SHAPES["folders"], meanwhile=meanwhile))


def test_what_has_no_order_is_sorted_in_runs(monkeypatch):
    monkeypatch.setattr(ordering, "RUN", 7)
    items = [f"{i:03d}" for i in range(50)]
    random.Random(3).shuffle(items)
    for count in (0, 6, 7, 8, 50):
        assert list(ordering.in_order(iter(items[:count]), str)) == sorted(items[:count])


def test_a_key_that_is_listed_twice_is_one_and_a_listing_out_of_order_is_refused():
    def entries(*keys):
        return as_pages((Entry(key, 1, "e") for key in keys), 2)

    for keys in ("abbc", "aabbc", "abcc", "abbbc"):
        pages = ordering.each_key_once(entries(*keys), "s3://x")
        assert [key for page in pages for key in page.keys] == ["a", "b", "c"]
    with pytest.raises(
        StorageError, match=r"s3://x: the store does not list .*'a' came after 'b'.* manifest"
    ):
        list(ordering.each_key_once(entries("b", "a"), "s3://x"))
    with pytest.raises(StorageError, match=r"'b' came after 'c'"):
        list(ordering.each_key_once(entries("a", "c", "b"), "s3://x"))


def test_a_folder_of_many_files_is_sorted_in_runs(tmp_path, monkeypatch):
    for name in ("b/2", "b/1", "a", "b-c", "b.d", "c", "a0"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    whole = list(Disk(str(tmp_path)).walk(Counter()))
    monkeypatch.setattr(ordering, "RUN", 2)
    assert list(Disk(str(tmp_path)).walk(Counter())) == whole
    assert [each.key for page in Folder(str(tmp_path)).pages() for each in page] == [
        *("a", "a0", "b-c", "b.d", "b/1", "b/2", "c", "gone")
    ]


def test_a_directory_bucket_is_sorted_here():
    class Unordered(s3.S3):
        def __init__(self):
            self.root = "fast--use1-az4--x-s3/in"
            self._fs = self

        def split_path(self, path):
            return *path.split("/", 1), None

        def call_s3(self, method, Bucket, MaxKeys, **request):
            assert "StartAfter" not in request
            return {"Contents": [{"Key": f"in/{k}", "Size": 1, "ETag": "e"} for k in "cab"]}

        def _tried(self, call):
            return call()

    assert [key for page in Unordered().walk(Counter()) for key in page.keys] == ["a", "b", "c"]


def test_a_store_whose_clock_is_another_is_no_matter_of_credentials(tmp_path):
    told = {"Code": "RequestTimeTooSkewed", "Message": "The difference between the request time and ..."}

    class Skewed(Disk):
        def walk(self, left_out):
            raise translate_boto_error(ClientError({"Error": told}, "ListObjectsV2"))

    folder = Folder(str(tmp_path))
    folder.__dict__["_store"] = Skewed(folder.url)
    with pytest.raises(StorageError, match="clock of this machine and that of the store differ"):
        next(folder.pages())
