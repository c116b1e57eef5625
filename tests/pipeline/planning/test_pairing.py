"""Which object is the reference of which image, by their keys."""

import pytest

from pipeline.attached import Attached
from pipeline.errors import JobError, StorageError
from pipeline.jobs.job import Dataset
from pipeline.planning.pairing import Pairing
from pipeline.storage.base import Entry
from tests.helpers import benchmark, fill

KEYS = ("a.png", "b/c.tif", "d.png", "d.jpg", "e.nii.gz", "g.v2.png", "notes.txt", "h/HR.png", "h/SM.png")


@pytest.fixture
def references(tmp_path):
    return fill(tmp_path / "sharp", {key: key.encode() * 3 for key in KEYS})


def attached(references, key: str, one_to_one: bool = False, private: bool = False, **rule) -> Attached:
    dataset = {"name": "set", "uri": "blurred", "references": {"uri": references.url} | rule}
    pairing = Pairing(Dataset.model_validate(dataset | {"private": private}), one_to_one=one_to_one)
    entries = pairing.attach([Entry(key, 1, "v")] * (1 + one_to_one))
    return Attached.of(entries[-1].attached)


@pytest.mark.parametrize(("key", "reference"), [
    ("a.png", "a.png"), ("a.jpg", "a.png"), ("b/c.png", "b/c.tif"), ("d.jpg", "d.jpg"),
    ("e.nii", "e.nii.gz"), ("g.v2.jpg", "g.v2.png"),
])  # fmt: skip
def test_the_same_key_or_else_the_only_one_with_another_extension(references, key, reference):
    found = attached(references, key)
    assert found.reference == f"{references.url}/{reference}"
    assert found.reference_size == 3 * len(reference)
    assert found.reference_version == references.entry(reference).version


@pytest.mark.parametrize(("key", "reason", "said"), [
    ("c.png", "NO_REFERENCE", "no c.png"), ("g.png", "NO_REFERENCE", "no g.png"),
    ("notes.png", "NO_REFERENCE", "no notes.png"), ("d.tif", "TWO_REFERENCES", "2 objects differ"),
])  # fmt: skip
def test_none_and_several_have_a_reason(references, key, reason, said):
    found = attached(references, key)
    assert (found.fault, found.reference) == (reason, "")
    assert said in found.why
    hidden = attached(references, key, private=True)
    assert hidden.fault == reason
    assert not [each for each in (*KEYS, key) if each in hidden.why], "a private dataset names nothing"


def test_a_rule_leads_from_key_to_key_and_to_a_mask(references):
    rule = {"match": r"(?P<id>.+)/LR(?P<n>\d+)\.png", "reference": "{id}/HR.png", "clear": "{id}/SM.png"}
    found = attached(references, "h/LR004.png", **rule)
    assert (found.reference, found.clear) == (f"{references.url}/h/HR.png", f"{references.url}/h/SM.png")
    assert attached(references, "h/QM004.png", **rule).fault == "NO_REFERENCE"
    assert attached(references, "b/LR1.png", **rule).fault == "NO_REFERENCE"


def test_where_folders_are_scored_a_reference_is_given_once(references):
    assert attached(references, "a.png", one_to_one=True).fault == "TWO_REFERENCES"


@pytest.mark.parametrize(("fields", "said"), [
    ({"match": "("}, "no regular expression"), ({"match": ".+"}, 'match: needs reference = "..."'),
    ({"reference": "x"}, 'reference: needs match = "..."'),
    ({"match": "(?P<id>.)", "reference": "{name}"}, "the groups of match are {id}"),
    ({"match": "(.)", "reference": "{0}"}, "write (?P<id>.+)"),
])  # fmt: skip
def test_a_wrong_rule_is_refused_in_words(tmp_path, fields, said):
    if fields == {"match": "("}:
        fields = fields | {"reference": "x"}
    with pytest.raises(JobError) as error:
        paired(tmp_path, references={"uri": "sharp"} | fields)
    assert said in str(error.value)


def paired(tmp_path, references="sharp", **fields):
    datasets = [{"name": "set", "uri": str(tmp_path), "references": references}]
    return benchmark("", tmp_path / "out", **({"degradations": [], "datasets": datasets} | fields))


@pytest.mark.parametrize(("fields", "said"), [
    ({"degradations": ["awgn-25"]}, "taken as they are found"), ({"metrics": []}, "metrics: "),
    ({"kind": "restore"}, 'use kind = "benchmark"'),
    ({"datasets": [{"name": "a", "uri": "a"}]}, "degradations: a benchmark needs at least one"),
    ({"datasets": [{"name": "a", "uri": "a"}], "degradations": ["awgn-25"], "border": 1}, "border: "),
    ({"datasets": [{"name": "a", "uri": "a", "references": "b"}, {"name": "c", "uri": "c"}]},
     "datasets[1].references"),
])  # fmt: skip
def test_a_job_of_pairs_says_what_does_not_go_together(tmp_path, fields, said):
    with pytest.raises(JobError) as error:
        paired(tmp_path, **fields)
    assert said in str(error.value)


def test_references_that_cannot_be_listed_stop_the_plan(tmp_path):
    dataset = Dataset.model_validate({"name": "set", "uri": "a", "references": str(tmp_path / "absent")})
    with pytest.raises(StorageError, match='the references of "set"'):
        Pairing(dataset, one_to_one=False)
