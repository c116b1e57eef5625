"""Checkpoints: whole or not at all, the newest first, old ones by count and by score."""

import io
import json
from pathlib import Path

import pytest
import torch

from pipeline.errors import JobError, RunStopped, StorageError
from pipeline.hashing import sha256_hex
from pipeline.storage.folder import Folder
from pipeline.training.checkpoint_writer import CheckpointWriter
from pipeline.training.checkpoints import POINTER, Checkpoints
from tests.helpers import fill
from tests.moto_s3 import new_bucket

IDENTITY = {"batch": 4, "optimizer": {"learning_rate": 0.1}}


def state(step):
    return {"position": {"step": step}, "network": {"weight": torch.full((3,), float(step))}}


def of(folder, keep=2, identity=IDENTITY):
    return Checkpoints(folder, identity, keep=keep)


@pytest.fixture
def folder(tmp_path):
    return Folder(str(tmp_path / "checkpoints"))


def test_what_was_saved_comes_back(folder):
    assert of(folder).load() is None
    of(folder).save(state(3), 3)
    found = of(folder).load()
    assert found["position"] == {"step": 3}
    assert torch.equal(found["network"]["weight"], torch.full((3,), 3.0))


def test_newest_and_best_are_kept(folder):
    ours = of(folder, keep=2)
    for step, score in ((1, 20.0), (2, 31.0), (3, 25.0), (4, 26.0), (5, None)):
        ours.save(state(step), step, score)
    names = [path.name for path in sorted(Path(folder.url).glob("*.pt"))]
    assert names == ["step-000000002.pt", "step-000000004.pt", "step-000000005.pt"]
    assert (ours.newest.step, ours.best.step) == (5, 2)
    ours.scored(5, 40.0)
    again = of(folder, keep=2)
    assert again.load()["position"] == {"step": 5}
    assert again.best.step == 5


def test_another_recipe_is_refused_with_the_difference(folder):
    of(folder).save(state(1), 1)
    other = {"batch": 8, "optimizer": {"learning_rate": 0.1}}
    with pytest.raises(JobError, match=r"batch: 4 -> 8\ngive another OUT"):
        of(folder, identity=other).load()


@pytest.mark.parametrize("damage", ["cut", "gone", "bit"])
def test_one_that_lacks_bytes_is_passed_over(folder, damage):
    ours = of(folder)
    ours.save(state(1), 1)
    entry = ours.save(state(2), 2)
    content = folder.read(entry.key)
    if damage == "gone":
        folder.delete(entry.key)
    else:
        folder.put(entry.key, content[:-9] if damage == "cut" else content[:99] + b"?" + content[100:])
    again = of(folder)
    assert again.load()["position"] == {"step": 1}
    again.save(state(2), 2)
    assert of(folder).load()["position"] == {"step": 2}
    folder.delete("step-000000001.pt")
    folder.delete("step-000000002.pt")
    with pytest.raises(RunStopped, match=f"none of the checkpoints that {POINTER} names is whole"):
        of(folder).load()


class Dying(Folder):
    """Dies before the ``after``-th change of the store."""

    after = 10**9

    def _count(self):
        self.after -= 1
        if self.after < 0:
            raise KeyboardInterrupt

    def put(self, key, data):
        self._count()
        super().put(key, data)

    def delete(self, key):
        self._count()
        super().delete(key)


def test_a_death_between_any_two_writes_leaves_a_whole_one(tmp_path):
    for after in range(8):
        folder = Dying(str(tmp_path / str(after)))
        ours = of(folder, keep=1)
        ours.save(state(1), 1, 10.0)
        ours.save(state(2), 2, 20.0)
        folder.after = after
        survived = True
        try:
            ours.save(state(3), 3, 30.0)
        except KeyboardInterrupt:
            survived = False
        found = of(Folder(folder.url), keep=1).load()["position"]["step"]
        assert found == (3 if survived or after >= 2 else 2), after
        # The next save clears away whatever the death left lying about.
        again = of(Folder(folder.url), keep=1)
        again.load()
        again.save(state(4), 4, 40.0)
        assert [path.name for path in (tmp_path / str(after)).glob("*.pt")] == ["step-000000004.pt"]


def test_weights_are_never_unpickled(folder):
    class Evil:
        def __reduce__(self):
            return print, ("executed",)

    ours = of(folder)
    ours.save(state(1), 1)
    buffer = io.BytesIO()
    torch.save({"position": Evil()}, buffer)
    folder.put("step-000000001.pt", buffer.getvalue())
    pointer = json.loads(folder.read(POINTER))
    pointer["checkpoints"][0]["sha256"] = sha256_hex(buffer.getvalue())
    folder.put(POINTER, json.dumps(pointer).encode())
    with pytest.raises(Exception, match="Weights only load failed"):
        of(folder).load()


def test_a_store_that_cannot_be_written_is_found_before_training(tmp_path):
    fill(tmp_path, {"file": b"not a folder"})
    with pytest.raises(StorageError, match="checkpoints cannot be written there"):
        of(Folder(str(tmp_path / "file" / "checkpoints"))).check_writable()


def test_any_store_will_do(s3):
    folder = Folder(f"{new_bucket()}/run/checkpoints")
    for step in (1, 2, 3):
        ours = of(folder, keep=1)
        ours.load()
        ours.check_writable()
        ours.save(state(step), step)
    assert of(folder).load()["position"] == {"step": 3}
    keys = [entry.key for page in folder.pages() for entry in page]
    assert keys == [POINTER, "step-000000003.pt"]


def test_written_beside_the_steps_is_what_the_state_was(folder):
    """The tensors change at once; what is stored is what they were."""
    checkpoints = of(folder)
    writer = CheckpointWriter(checkpoints)
    for step in (1, 2):
        given = state(step)
        writer.save(given, step)
        given["network"]["weight"].fill_(-1.0)
    writer.wait()
    assert torch.equal(of(folder).load()["network"]["weight"], torch.full((3,), 2.0))
    writer.close()


def test_what_writing_raised_is_raised_by_the_next_wait(tmp_path):
    folder = Failing(str(tmp_path))
    writer = CheckpointWriter(of(folder))
    writer.save(state(1), 1)
    with pytest.raises(OSError, match="no space left"):
        writer.wait()
    writer.close()


class Failing(Folder):
    """Has no room."""

    def put(self, key, data):
        raise OSError("no space left")
