"""Which keys a pattern means."""

import pytest

from pipeline.storage.patterns import matcher, only, only_key


@pytest.mark.parametrize(
    ("pattern", "key", "matches"),
    [
        ("*", "a/b.png", True),
        ("*.png", "a/B.PNG", True),
        ("*.PNG", "b.png", True),
        ("*.{jpg,jpeg}", "a/b.JPEG", True),
        ("*.{jpg,jpeg}", "b.jpgx", False),
        ("{a,b}/*.{png,tif}", "b/c.tif", True),
        ("{a,b}/*.{png,tif}", "c/b.tif", False),
        ("scan?.tif", "scan1.tif", True),
        ("[ab].png", "b.png", True),
        ("2024/*", "2024/x/y.png", True),
        ("/b.png", "a/b.png", False),
        ("/a/b.png", "a/b.png", True),
        ("{x}.png", "{x}.png", True),
        ("/*.png", "b.png", True),
        ("/*.png", "a/b.png", False),
        ("/*", "a/b.png", False),
        ("/a?b.png", "a/b.png", False),
        ("/a/*.{png,tif}", "a/b.tif", True),
        ("/a/*.png", "a/b/c.png", False),
        ("/a/**", "a/b/c.png", True),
        ("/**/[!c].png", "a/b/b.png", True),
        ("/[*].png", "*.png", True),
        ("/[*].png", "a.png", False),
    ],
)
def test_matches(pattern, key, matches):
    assert matcher(pattern)(key) == matches


@pytest.mark.parametrize("key", ["a.png", "a [1].png", "what?.jpg", "{a,b}*.tif", "a/b.png"])
def test_a_key_alone(key):
    assert only_key(only(key)) == key
    assert matcher(only(key))(key)
    assert not matcher(only(key))(f"x/{key}")


@pytest.mark.parametrize("pattern", ["*.png", "/*.png", "a.png", "/[ab].png", "*"])
def test_a_pattern_of_more_than_one(pattern):
    assert only_key(pattern) is None
