"""What would cost a training its result later on is said before its first step."""

import json
import os
import resource
import signal
import threading

import pytest

from pipeline.errors import JobError, RunStopped, StorageError
from pipeline.ledger.lease import held
from pipeline.storage.folder import Folder
from pipeline.training.run import absolute, train
from tests.helpers import fill
from tests.pipeline.training.training_data import denoiser, photographs
from tests.pipeline.training.training_process import HERE


@pytest.fixture
def images(tmp_path):
    place = tmp_path / "photographs"
    photographs(place, 2)
    return place


def looking_at(place, **fields):
    return {"datasets": [{"name": "held-out", "uri": str(place)}], "side": 32} | fields


def trained(recipe, output, **more):
    events = []
    finished = train(recipe, str(output), HERE, on_progress=events.append, **more)
    return finished, [each.message for each in events if each.message]


def test_a_validation_that_nothing_can_come_of_costs_no_step(images, tmp_path):
    fill(tmp_path / "broken", {"broken.png": b"no image"})
    (tmp_path / "empty").mkdir()
    for place, said in (("broken", "held-out/broken.png: UNREADABLE"), ("empty", "No object matches")):
        with pytest.raises(JobError, match=rf"validation\.datasets: no image can be scored\. {said}"):
            trained(denoiser(images, validation=looking_at(tmp_path / place)), tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.pt"))


def test_weights_to_begin_with_may_have_a_shipped_name_and_fit_before_an_image_is_read(tmp_path):
    arguments = {"features": 48, "layers": 12}
    network = {"architecture": "ffdnet", "arguments": arguments, "start": "ffdnet-colour"}
    recipe = absolute(denoiser(tmp_path / "no images", network=network))
    assert recipe.network.start == "ffdnet-colour"
    with pytest.raises(
        JobError, match=r"network\.start: the weights in ffdnet-colour are not of this network"
    ):
        trained(recipe, tmp_path / "out")
    with pytest.raises(JobError, match=r"network\.start: .*ffdnet-color: .*FILE_OR_NAME"):
        trained(denoiser(tmp_path / "no images", network=network | {"start": "ffdnet-color"}), tmp_path / "2")


def test_a_full_disk_is_said_with_the_cure_and_the_checkpoint_of_before_stays(images, tmp_path, monkeypatch):
    def trained_with_room_for(megabytes):
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(megabytes * 2**20), limits[1]))
        try:
            return trained(recipe, tmp_path / "out")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    signals = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    recipe = denoiser(images, length={"steps": 20}, checkpoints={"every_steps": 10})
    try:
        with pytest.raises(
            StorageError, match=r"cannot write .*File too large.*ulimit -f.*same command again"
        ):
            trained_with_room_for(0.01)
    finally:
        signal.signal(signal.SIGXFSZ, signals)
    assert not list((tmp_path / "out").rglob("*.part"))
    finished, _ = trained(recipe, tmp_path / "out")
    assert finished.steps == 20


def test_what_a_killed_training_had_half_written_goes(images, tmp_path):
    left = fill(tmp_path / "out" / "checkpoints", {".restora-abcd1234.part": b"half a checkpoint"})
    part = tmp_path / "out" / "checkpoints" / ".restora-abcd1234.part"
    os.utime(part, (0, 0))
    assert left.is_local
    trained(denoiser(images, length={"steps": 1}), tmp_path / "out")
    assert not part.exists()


def test_what_has_no_score_is_named(images, tmp_path):
    fill(images, {"zz.png": b"no image"})
    validation = looking_at(images, metrics=["ms_ssim"])
    finished, said = trained(denoiser(images, validation=validation), tmp_path / "out")
    (line,) = [each for each in said if each.startswith("validation: ")]
    assert line.startswith("validation: 2 without a score; the first: held-out/zz.png: UNREADABLE")
    finished, said = trained(denoiser(images, validation=looking_at(images)), tmp_path / "other")
    assert finished.scores["validation_noise_psnr"] > 0
    assert "validation: 1 without a score" in said[1]


def test_scores_that_are_undefined_are_no_gain(images, tmp_path):
    """Smaller images than the metric's window: no checkpoint is the best one, and patience sees no score."""
    validation = looking_at(images, metrics=["ms_ssim"], every_steps=10, patience=1)
    finished, said = trained(denoiser(images, length={"steps": 40}, validation=validation), tmp_path)
    assert finished.steps == 40
    assert "noise ms_ssim: is undefined on all images" in "".join(said)
    kept = json.loads((tmp_path / "checkpoints" / "newest.json").read_text())["checkpoints"]
    assert [each["score"] for each in kept] == [None, None]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"degradations": ["awgn-25", "awgn-25"]}, r"degradations\[1\]: 'awgn-25' is there twice"),
        ({"validation": looking_at("x", metrics=["psnr", "psnr"])}, r"validation\.metrics\[1\]: 'psnr' is"),
        ({"validation": {"datasets": [{"name": "a", "uri": each} for each in "xy"]}},
         r"validation\.datasets\[1\]: 'a' is there twice"),
        ({"data": {"datasets": [{"name": "a", "uri": each} for each in "xy"], "crop": 16}},
         r"data\.datasets\[1\]: 'a' is there twice"),
    ],
)  # fmt: skip
def test_names_that_are_there_twice_are_refused(images, fields, said):
    with pytest.raises(JobError, match=said):
        denoiser(images, **fields)


def test_samples_are_never_taken_for_images(images, tmp_path):
    recipe = denoiser(images)
    with pytest.raises(JobError, match=r"OUT: .*out is inside data\.datasets\[0\], .*photographs: going on"):
        trained(recipe, images / "out")
    validation = looking_at(tmp_path / "held")
    photographs(tmp_path / "held", 1)
    with pytest.raises(JobError, match=r"is inside validation\.datasets\[0\]"):
        trained(denoiser(images, validation=validation), tmp_path / "held" / "out")
    assert not (images / "out").exists()
    # A pattern that leaves sheets out is as good as a place outside.
    data = {"datasets": [{"name": "photos", "uri": str(images), "pattern": "/*.png"}], "crop": 16}
    apart = denoiser(images, data=data, validation={})
    assert trained(apart, images / "out")[0].steps == trained(apart, images / "out")[0].steps == 6


def test_one_training_at_a_time_works_in_a_place(images, tmp_path):
    """The second one is refused; after the end of the first it may go on."""
    recipe, entered, done = denoiser(images), threading.Event(), threading.Event()

    def stopping():
        entered.set()
        done.wait(60)
        return False

    first = threading.Thread(target=trained, args=(recipe, tmp_path / "out"), kwargs={"stopping": stopping})
    first.start()
    try:
        assert entered.wait(60)
        with pytest.raises(RunStopped, match=r"another run works in this output \(process \d+ on"):
            trained(recipe, tmp_path / "out")
    finally:
        done.set()
        first.join()
    assert trained(recipe, tmp_path / "out")[0].steps == 6
    with held(Folder(str(tmp_path / "out" / "checkpoints"))):
        pass


@pytest.mark.parametrize(("name", "content"), [("checkpoints/newest.json", "{"), ("table.parquet", "PAR1")])
def test_damaged_books_are_named_with_the_cure(images, tmp_path, name, content):
    recipe = denoiser(images)
    trained(recipe, tmp_path / "out")
    (tmp_path / "out" / name).write_text(content)
    with pytest.raises(RunStopped, match=rf"{name} is damaged.*delete "):
        trained(recipe, tmp_path / "out")


def test_a_teacher_beside_the_recipe_is_found_from_elsewhere(images, tmp_path, monkeypatch):
    """Workers of Ray have folders of their own."""
    monkeypatch.chdir(tmp_path)
    placed = absolute(denoiser(images, teacher="large.safetensors"))
    assert placed.teacher.weights == str(tmp_path / "large.safetensors")
    assert absolute(denoiser(images, teacher="ffdnet-colour")).teacher.weights == "ffdnet-colour"
