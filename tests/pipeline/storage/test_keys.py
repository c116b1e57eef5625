"""Output keys: safe everywhere, and distinct where the sources are."""

import posixpath

from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.storage.keys import RUN_FOLDER, safe_key, with_extension

SEGMENTS = st.sampled_from(
    [
        "",
        ".",
        "..",
        "a",
        "%",
        "%2E",
        "%2E%2E",
        "%2F",
        "%5F",
        "%25",
        RUN_FOLDER,
        "%5Frestora",
        "...",
        " ",
        "\u00e9",
    ]
)
KEYS = st.lists(SEGMENTS | st.text(max_size=4), min_size=1, max_size=4).map("/".join)


@given(KEYS, KEYS)
@example("%2E", ".")
@example(RUN_FOLDER, "%5Frestora")
@example("/", "%2F/%2F")
def test_distinct_keys_stay_distinct(one, other):
    assert (safe_key(one) == safe_key(other)) == (one == other)


@given(KEYS)
def test_no_key_leaves_its_folder_or_meets_the_run_folder(key):
    safe = safe_key(key)
    assert posixpath.normpath("/out/" + safe) == "/out/" + safe
    assert safe.split("/")[0] != RUN_FOLDER


def test_ordinary_keys_stay_as_they_are():
    for key in ("scan.png", "a b/\u5199\u771f.png", "_x/__y.tif", "100%.png", ".hidden", "a..b"):
        assert safe_key(key) == key


def test_extension_is_appended_where_it_is_missing():
    extensions = (".jpg", ".jpeg")
    assert with_extension("a.JPEG", extensions) == "a.JPEG"
    assert with_extension("a.tif", extensions) == "a.tif.jpg"
    assert with_extension("a", extensions) == "a.jpg"
