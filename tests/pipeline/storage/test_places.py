"""Two addresses of one place are one place, and neighbours are not."""

import os

import pytest

from pipeline.storage.folder import Folder
from pipeline.storage.places import contains


@pytest.fixture
def root(tmp_path):
    (tmp_path / "x" / "s" / "deep").mkdir(parents=True)
    (tmp_path / "x" / "s-other").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "x")
    return tmp_path


@pytest.mark.parametrize(
    ("outer", "inner", "is_inside"),
    [
        ("{root}/x/s", "{root}/x/s", True),
        ("{root}/x/s", "{root}/x/s/deep", True),
        ("{root}/x/s", "{root}/x/s/not/yet/there", True),
        ("{root}/x/s/deep", "{root}/x/s", False),
        ("{root}/x/s", "{root}/x/s-other", False),
        ("{root}/x/s", "file://{root}/x/s", True),
        ("local://{root}/x/s", "{root}/x/s/deep", True),
        ("{root}/x/s", "local://{root}/x/s/new", True),
        ("{root}/x/s", "{root}//x///s/", True),
        ("{root}/x/s", "{root}/x/../x/s", True),
        ("{root}/link/s", "{root}/x/s", True),
        ("{root}/x/s", "{root}/link/s/new", True),
        ("{root}/new/a", "{root}/new/a/b", True),
        ("{root}/new/a", "{root}/new/ab", False),
        ("memory://m/x", "memory://m/x/y", True),
        ("memory://m/x", "memory://m//x/", True),
        ("memory://m/x", "memory://m/xy", False),
        ("s3://bucket/x", "s3a://bucket/x", True),
        ("s3a://bucket/x", "s3://bucket//x/y/", True),
        ("s3://bucket/x", "s3://other/x", False),
        ("s3://bucket", "s3a://bucket/x", True),
        ("s3://bucket/x", "{root}/bucket/x", False),
    ],
)
def test_inside_or_not(root, s3, outer, inner, is_inside):
    assert contains(Folder(outer.format(root=root)), Folder(inner.format(root=root))) is is_inside


def test_through_a_mount(root, tmp_path):
    """A bind mount, where the system lets us make one."""
    there = tmp_path / "mounted"
    there.mkdir()
    if os.system(f"mount --bind {root}/x {there} 2>/dev/null") != 0:
        pytest.skip("no right to mount")
    try:
        assert contains(Folder(str(root / "x" / "s")), Folder(str(there / "s" / "new")))
    finally:
        os.system(f"umount {there}")
