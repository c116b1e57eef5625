"""The plan: what is there, minus what is done, in units that keep their names."""

from collections import Counter

import pytest

from pipeline.errors import JobError
from pipeline.ledger.attempts import Attempts
from pipeline.ledger.run_folder import open_run
from pipeline.ledger.schema import OK, QUARANTINED
from pipeline.planning import cutting, plan, plan_files
from pipeline.planning.plan import make_plan
from pipeline.storage.folder import Folder
from tests.helpers import benchmark, commit, encoded, fill, photograph, photographs_in, restore, source_of


def planned(job, committed=(), **options):
    opened = open_run(job)
    commit(opened, committed)
    summary = make_plan(opened, **{"workers": 1} | options)
    return summary, list(plan_files.read_units(opened.folder)), list(plan_files.read_sources(opened.folder))


def done(sources, failed=(), attempts=None):
    """Rows of the sources, as a worker commits them."""
    return [
        {
            "source_id": each.source_id,
            "status": QUARANTINED if each in failed else OK,
            "attempt": (attempts or {}).get(each.source_id, 0),
        }
        for each in sources
    ]


@pytest.fixture
def job(tmp_path):
    fill(tmp_path / "in", {f"{i:02d}.png": bytes(i + 1) for i in range(10)})
    return benchmark(tmp_path / "in", tmp_path / "out", resources={"unit_images": 4})


def test_every_source_is_in_one_unit(job):
    summary, units, sources = planned(job)
    assert summary == plan.PlanSummary(sources=10, done=0, left=10, units=3, removed=0)
    assert [each.key for unit in units for each in unit.sources] == [each.key for each in sources]
    assert [len(unit.sources) for unit in units] == [4, 4, 2]
    assert [each.size for each in sources] == list(range(1, 11))


def test_planning_again_gives_the_same_units(job):
    assert planned(job)[1] == planned(job)[1]


def test_units_that_are_left_keep_their_names_when_others_are_done(job):
    _, units, _ = planned(job)
    _, left, _ = planned(job, done(units[0].sources))
    assert [unit.unit_id for unit in left] == [unit.unit_id for unit in units[1:]]


def test_scattered_leftovers_fill_units(job):
    _, _, sources = planned(job)
    summary, units, _ = planned(job, done([each for each in sources if int(each.key[:2]) % 2]))
    assert (summary.left, [len(unit.sources) for unit in units]) == (5, [4, 1])


def test_a_unit_that_was_begun_stays_as_it_was(job, tmp_path):
    """Whatever was committed around it; its count of attempts is by its name."""
    _, units, sources = planned(job)
    folder = open_run(job).folder
    Attempts(folder).begin(units[1].unit_id)
    first = done([sources[0], sources[9]])
    summary, again, _ = planned(job, first)
    assert again[0] == units[1]
    assert [[each.key for each in unit.sources] for unit in again[1:]] == [
        ["01.png", "02.png", "03.png", "08.png"]
    ]
    assert (summary.left, summary.units) == (8, 2)
    assert planned(job, first)[1] == again
    assert Attempts(folder).begin(units[1].unit_id) == 1, "and the count is still there"


def test_a_begun_unit_that_lost_a_source_is_cut_anew(job, tmp_path):
    _, units, sources = planned(job)
    attempts = Attempts(open_run(job).folder)
    attempts.begin(units[1].unit_id)
    _, again, _ = planned(job, done(sources[4:5]))
    assert units[1].unit_id not in {unit.unit_id for unit in again}
    assert Counter(each.key for unit in again for each in unit.sources).total() == 9
    assert attempts.begun() == set(), "its count is litter, and was removed"


def test_a_finished_plan_has_nothing_left(job):
    _, _, sources = planned(job)
    summary, units, _ = planned(job, done(sources))
    assert (summary.done, summary.left, summary.units, units) == (10, 0, 0, [])


def test_added_changed_and_deleted_sources_are_noticed(job, tmp_path):
    _, _, before = planned(job)
    folder = Folder(str(tmp_path / "in"))
    folder.put("new.png", b"n")
    folder.put("03.png", b"changed")
    folder.delete("07.png")
    summary, units, _ = planned(job, done(before))
    assert {each.key for unit in units for each in unit.sources} == {"new.png", "03.png"}
    assert (summary.sources, summary.done, summary.left, summary.removed) == (10, 8, 2, 2)


def test_limit_takes_the_first_and_lists_no_further(job, tmp_path, monkeypatch):
    _, units, sources = planned(job, limit=3)
    assert [each.key for each in sources] == ["00.png", "01.png", "02.png"]
    assert sum(len(unit.sources) for unit in units) == 3
    other = benchmark(
        tmp_path / "in",
        tmp_path / "out",
        datasets=[{"name": "photos", "uri": str(tmp_path / "in")}, {"name": "absent", "uri": "nosuch://x"}],
    )
    assert planned(other, limit=10)[0].sources == 10


def test_retry_takes_what_failed_with_the_next_attempt(job):
    _, _, sources = planned(job)
    twice = sources[5].source_id
    committed = done(sources, failed=[sources[2], sources[5]], attempts={twice: 1})
    summary, units, _ = planned(job, committed, retry=True)
    assert summary.left == 2
    assert {(each.key, unit.attempt) for unit in units for each in unit.sources} == {
        ("02.png", 1),
        ("05.png", 2),
    }
    first_try = {unit.unit_id for unit in planned(job)[1]}
    assert not first_try & {unit.unit_id for unit in units}


def test_retry_leaves_what_was_never_tried(job):
    _, _, sources = planned(job)
    assert planned(job, done(sources[:4]), retry=True)[0].left == 0


def test_small_archives_still_make_work_for_every_worker(tmp_path):
    fill(tmp_path / "in", {f"{i:03d}.png": b"x" for i in range(100)})
    job = benchmark(tmp_path / "in", tmp_path / "out")
    assert max(len(unit.sources) for unit in planned(job, workers=2)[1]) == 7
    assert max(len(unit.sources) for unit in planned(job, workers=1)[1]) == 13


def test_large_files_make_small_units(job, monkeypatch):
    monkeypatch.setattr(cutting, "UNIT_BYTES", 10)
    _, units, _ = planned(job)
    assert [[each.size for each in unit.sources] for unit in units] == [
        [1, 2, 3, 4], [5], [6], [7], [8], [9], [10],
    ]  # fmt: skip


def test_identities_tell_dataset_place_key_and_version_apart(tmp_path):
    folder = fill(tmp_path / "a", {"x.png": b"1", "b/x.png": b"1"})
    entries = [entry for page in folder.pages() for entry in page]
    below = Folder(str(tmp_path / "a" / "b"))
    inner = next(below.pages())[0]
    ids = [
        *(source_of("one", folder, entry).source_id for entry in entries),
        *(source_of("two", folder, entry).source_id for entry in entries),
        source_of("one", below, inner).source_id,
    ]
    assert len(set(ids)) == 5
    assert all(len(each) == 32 for each in ids)


def test_one_folder_may_be_two_datasets(tmp_path):
    photographs_in(tmp_path / "in", 2)
    both = [{"name": name, "uri": str(tmp_path / "in")} for name in ("one", "two")]
    _, units, sources = planned(benchmark(tmp_path / "in", tmp_path / "out", datasets=both))
    assert Counter(each.dataset for each in sources) == {"one": 2, "two": 2}
    assert len({each.source_id for each in sources}) == 4
    assert sum(len(unit.sources) for unit in units) == 4


@pytest.mark.parametrize(
    ("keys", "options", "clash"),
    [
        (["a", "a.png"], {}, True),
        (["a.jpg", "a.jpg.png"], {}, True),
        (["sub/a.jpg", "sub/a.jpg.png"], {}, True),
        (["a.jpg", "a.png"], {}, False),
        (["a.PNG", "a.PNG.png"], {}, False),
        (["sub/a", "a.png"], {}, False),
        (["a.tif", "a.tif.webp"], {"output_format": "webp"}, True),
        (["a.tif", "a.tif.png"], {"output_format": "webp"}, False),
    ],
)
def test_two_sources_that_would_write_one_object_are_refused(tmp_path, keys, options, clash):
    fill(tmp_path / "in", {key: encoded(photograph(0)) for key in keys})
    job = benchmark(tmp_path / "in", tmp_path / "out", **options)
    if clash:
        with pytest.raises(JobError, match="would become one output"):
            planned(job)
    else:
        assert planned(job)[0].sources == 2


def test_a_restore_keeps_names_so_that_nothing_can_clash(tmp_path):
    fill(tmp_path / "in", {"a": b"x", "a.png": b"x"})
    assert planned(restore(tmp_path / "in", tmp_path / "out"))[0].sources == 2


@pytest.mark.parametrize(
    ("keys", "options", "clash"),
    [
        (["A.png", "a.png"], {}, "'A.png' of 'photos' and 'a.png' of 'photos'"),
        (["D/a.png", "d/a.png"], {}, "'D/a.png' of 'photos' and 'd/a.png' of 'photos'"),
        (["A", "a.PNG"], {"output_format": "png"}, "'A' of 'photos' and 'a.PNG' of 'photos'"),
        (["a.png", "b.png"], {}, None),
    ],
)
def test_names_that_the_outputs_disk_takes_for_one_are_refused(tmp_path, monkeypatch, keys, options, clash):
    """Here the disk is a word; disks that fold are those of Windows and macOS."""
    monkeypatch.setattr("pipeline.planning.collisions.folding_of", lambda folder: str.casefold)
    fill(tmp_path / "in", {key: b"x" for key in keys})
    job = restore(tmp_path / "in", tmp_path / "out", **options)
    if clash:
        with pytest.raises(JobError, match=f"takes the names of {clash} for one"):
            planned(job)
    else:
        assert planned(job)[0].sources == 2


def test_an_empty_dataset_is_a_clear_error(tmp_path):
    (tmp_path / "in").mkdir()
    with pytest.raises(JobError, match=r"no image found in .*in \(pattern '\*'\); check the address"):
        planned(benchmark(tmp_path / "in", tmp_path / "out"))


def test_a_place_where_nothing_was_planned_says_so(tmp_path):
    photographs_in(tmp_path / "in", 1)
    opened = open_run(benchmark(tmp_path / "in", tmp_path / "out"))
    with pytest.raises(JobError, match="nothing was planned here yet; run the job first"):
        plan_files.read_source_ids(opened.folder)


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("total", [1, 7, 40, 600, 1000, 20_000])
def test_units_are_small_at_both_ends(total, workers):
    sizes, left = [], total
    for size in plan.unit_sizes(total, workers):
        sizes.append(min(size, left))
        left -= sizes[-1]
        if not left:
            break
    most = max(sizes)
    assert sizes[: len(sizes) // 2] == sorted(sizes[: len(sizes) // 2])
    assert most <= 32
    assert most <= max(1, -(-total // (8 * workers)))
    if most > 2:
        assert sizes[:workers] == [2] * workers
        assert sizes[-workers:] == [2] * workers, "nobody waits long for the last unit"
    assert len(sizes) <= total / most + 9 * workers + 1


def test_the_files_of_an_earlier_run_are_no_images(tmp_path):
    fill(tmp_path / "in", {"a.png": b"1", "_restora/report/x.png": b"2", "_leading/b.png": b"3"})
    _, _, sources = planned(benchmark(tmp_path / "in", tmp_path / "out"))
    assert [each.key for each in sources] == ["_leading/b.png", "a.png"]


def test_units_are_read_by_their_place_whatever_group_of_rows_they_are_in(tmp_path, monkeypatch):
    monkeypatch.setattr(plan_files.PlanFile, "BATCH", 3)
    photographs_in(tmp_path / "in", 8)
    opened = open_run(benchmark(tmp_path / "in", tmp_path / "out", resources={"unit_images": 1}))
    plan.make_plan(opened, workers=1)
    units, listed = plan_files.PlannedUnits(opened.folder), list(plan_files.read_units(opened.folder))
    assert len(units) == 8
    assert [units[place] for place in (7, 0, 4, 2, 3)] == [listed[place] for place in (7, 0, 4, 2, 3)]
