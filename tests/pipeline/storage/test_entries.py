"""A page by column is what its entries one by one are."""

from pipeline.storage.base import Entry
from pipeline.storage.entries import Entries, as_pages, of_length

PLAIN = [Entry(f"{i}/a.png", i, f"v{i}") for i in range(5)]
FULL = [*PLAIN, Entry("odd", -1, "", "attached", "at", "group", "bundle")]


def test_a_page_is_a_sequence_of_its_entries():
    page = Entries.of(FULL)
    assert list(page) == FULL
    assert [page[place] for place in range(-1, 5)] == [FULL[place] for place in range(-1, 5)]
    assert list(page[1:3]) == FULL[1:3]
    assert list(page.at([5, 0])) == [FULL[5], FULL[0]]
    assert list(page.chosen([each.size > 2 for each in FULL])) == FULL[3:5]
    assert Entries.of(PLAIN).others == {}
    assert page.given("group") == ["", "", "", "", "", "group"]
    assert Entries.of(PLAIN).given("group") is None


def test_pages_of_any_length_become_pages_of_one():
    for length in (1, 2, 4, 6, 7):
        pages = list(of_length(as_pages(iter(FULL), 4), length))
        assert [entry for page in pages for entry in page] == FULL
        assert all(len(page) == length for page in pages[:-1])
    assert list(of_length(as_pages(iter([Entries.of([]), Entries.of(PLAIN)]), 4), 9)) == [Entries.of(PLAIN)]


def test_endings_go_from_the_last_dot_on():
    keys = ["a.png", "b.PNG", "c.nii.gz", "d.e/f", "g", "h."]
    page = Entries(keys, [0] * 6, [""] * 6)
    assert page.endings == {".png", ".gz", ".e/f", "g", "."}
    assert page[:1].endings == {".png"}
    assert Entries([], [], []).endings == frozenset()
