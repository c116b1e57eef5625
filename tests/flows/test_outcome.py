"""What is said of a run that came to its end."""

from collections import Counter

from flows.outcome import explained

REASONS = Counter({"EMPTY": 3, "NOT_PRIVATE": 2, "TRUNCATED": 1})
EXAMPLES = {"EMPTY": "a/b.png", "NOT_PRIVATE": "DOE^JOHN.png", "TRUNCATED": "c.tif"}


def test_each_reason_names_an_image_unless_it_may_be_a_patient():
    empty, medical, truncated = explained(REASONS, EXAMPLES)
    assert empty.startswith("      3 x EMPTY: ")
    assert empty.endswith(" (for example a/b.png)")
    assert medical.startswith("      2 x NOT_PRIVATE: ")
    assert "DOE" not in medical
    assert truncated.endswith(" (c.tif)")


def test_a_log_that_others_read_gets_no_names():
    said = "\n".join(explained(REASONS))
    assert "EMPTY" in said
    assert not any(each in said for each in EXAMPLES.values())
