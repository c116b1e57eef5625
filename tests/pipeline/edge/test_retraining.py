"""Smaller networks out of larger ones: what is written is what was measured; what cannot be is refused."""

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image

from models.card import Card
from models.networks import build_network, card_facts
from models.weights import load_weights, save_weights
from pipeline.edge.compress import compress
from pipeline.edge.compressed import Asked, Images, Limits, Retraining, retraining_of
from pipeline.edge.measures import scorer_of
from pipeline.edge.retraining import learn_rounding
from pipeline.errors import JobError, RunStopped
from pipeline.recipe.weights import fetch_restorer

SETS = ("data.crop=16", "batch=2")
ARGUMENTS = {"channels": 1, "features": 8, "layers": 3, "predicts": "noise"}


@pytest.fixture
def place(tmp_path):
    (tmp_path / "photos").mkdir()
    Image.fromarray(np.ascontiguousarray(skimage.data.camera()[60:124, 180:260])).save(
        tmp_path / "photos" / "camera.png"
    )
    torch.manual_seed(1)
    network = build_network("ffdnet", ARGUMENTS)
    facts = card_facts(network)
    card = Card(
        name="large", summary="L.", task="denoising", architecture="ffdnet", arguments=ARGUMENTS, **facts
    )
    save_weights(tmp_path / "large.safetensors", card, network.state_dict())
    return tmp_path


def made_light(place, method, limits=None, on=(), weights=None, **how):
    retraining = Retraining(**{"steps": 2, "sets": SETS, "device": "cpu"} | how)
    images = Images(str(place / "photos"), None, 2, 64)
    weights = weights or str(place / "large.safetensors")
    return compress(
        weights,
        method,
        images,
        place / "light.safetensors",
        limits or Limits(99.0, 0.0),
        retraining,
        **dict(on),
    )


@pytest.mark.parametrize(
    ("method", "how", "arguments"),
    [
        ("prune", {}, {**ARGUMENTS, "features": 4}),
        ("prune", {"importance": "l1", "keep": 0.75}, {**ARGUMENTS, "features": 6}),
        ("distil", {}, {**ARGUMENTS, "features": 4}),
        (
            "distil",
            {"sets": (*SETS, "network.architecture=dncnn", "network.arguments.features=4")},
            {"channels": 1, "features": 4},
        ),
    ],
)
def test_what_is_written_is_what_was_measured(place, method, how, arguments):
    done = made_light(place, method, **how)
    light = fetch_restorer(str(done.file))
    assert light.card.arguments == arguments
    facts, recipe = light.card.training["compressed"], light.card.training["recipe"]
    assert (facts["method"], facts["of"], facts["times_original"]) == (method, "large", done.speedup)
    assert facts["weights"] == sum(each.numel() for each in light.model.parameters())
    assert (facts["psnr_of_original"], facts["psnr"]) == (round(done.before, 3), round(done.after, 3))
    score = scorer_of(Images(str(place / "photos"), "awgn-25", 2, 64), light.card)
    assert score(light) == pytest.approx(done.after, abs=1e-6)
    assert recipe["teacher"]["weight"] == 1.0
    assert (recipe["network"]["start"] is None) == (method == "distil")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"limits": Limits(-50.0, 0.0)}, r"loses .* dB, more than -50, at .* x; it is in .*Train longer"),
        ({"limits": Limits(99.0, 1e6)}, r"is .* x as fast on this machine and loses"),
        ({"importance": "l2"}, r'--importance: unknown importance "l2"'),
        ({"keep": 0.25}, r"features must be 4 or more, .* got 2"),
        ({"weights": "wiener"}, r"wiener: it is no network of ours .*restora train wrote"),
        ({"sets": ("data.crop=16", "batchh=3")}, r"the recipe of large-pruned: batchh"),
        ({"method": "int8", "keep": 0.75}, r"--method int8 cuts no channels: leave out --keep"),
        ({"method": "int8", "steps": None}, r"--method int8 trains only for a length: give --minutes"),
    ],
)
def test_what_is_no_gain_or_cannot_be_is_said_and_not_written(place, changed, message):
    with pytest.raises(JobError, match=message):
        made_light(place, **{"method": "prune"} | changed)
    assert not (place / "light.safetensors").exists()


def test_what_learns_to_be_rounded_is_the_same_network_with_other_weights(place):
    asked = Asked(
        "large", Images(str(place / "photos")), place / "light.onnx", 0.1, 1.0, Retraining(steps=2, sets=SETS)
    )
    given = fetch_restorer(str(place / "large.safetensors"))
    learnt = learn_rounding(given, asked)
    assert (learnt.card, kinds(learnt)) == (given.card, kinds(given))
    before, after = given.model.state_dict(), learnt.model.state_dict()
    assert before.keys() == after.keys()
    assert not any(torch.equal(before[name], after[name]) for name in before if name.endswith("weight"))
    recipe = load_weights(place / "light.training" / "large-rounded.safetensors")[0].training["recipe"]
    assert recipe["network"]["rounding"] == "int8"


@pytest.mark.parametrize("method", ["prune", "distil"])
def test_images_that_are_missing_are_said_of_the_option_that_names_them(place, method):
    (place / "photos").rename(place / "others")
    (place / "photos").mkdir()
    images = Images(str(place / "photos"), None, 2, 64, validate=str(place / "others"))
    with pytest.raises(JobError, match=r"^--data: nothing to train on in .*photos"):
        compress(
            str(place / "large.safetensors"),
            method,
            images,
            place / "light.safetensors",
            Limits(99.0, 0.0),
            Retraining(steps=2, sets=SETS, device="cpu"),
        )


@pytest.mark.parametrize("method", ["prune", "distil"])
def test_a_file_that_is_there_is_refused_before_the_training(place, method):
    (place / "light.safetensors").write_bytes(b"of another training")
    with pytest.raises(JobError, match=r"light\.safetensors: is there already; give another name"):
        made_light(place, method)
    assert (place / "light.safetensors").read_bytes() == b"of another training"
    assert not (place / "light.training").exists()


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        (
            ("network.architecture=srvgg", "network.arguments.scale=2"),
            r"--set network: srvgg has scale 2, large, which teaches it, 1; give network\.arguments\.scale=1",
        ),
        (
            ("network.arguments.channels=3", "network.arguments.features=12"),
            r"ffdnet has channels 3, large, .*, 1; give",
        ),
    ],
)
def test_a_student_that_its_teacher_cannot_teach_is_refused_before_the_training(place, sets, message):
    with pytest.raises(JobError, match=message):
        made_light(place, "distil", sets=(*SETS, *sets))
    assert not (place / "light.training").exists()


def kinds(restorer):
    return [type(each) for each in restorer.model.modules()]


def test_a_training_that_was_stopped_goes_on_and_another_one_is_refused(place):
    with pytest.raises(RunStopped, match="The same command goes on"):
        made_light(place, "prune", on={"stopping": lambda: True})
    told = []
    made_light(place, "prune", on={"on_progress": lambda event: told.append(event.message)})
    assert any("going on from step" in each for each in told)
    (place / "light.safetensors").unlink()
    with pytest.raises(
        JobError,
        match=r"(?s)light\.training.* of another recipe.*length.steps: 2 -> 3\ngive another OUT or FILE",
    ):
        made_light(place, "prune", steps=3)


def test_shares_and_lengths_are_checked_before_any_work():
    assert retraining_of(keep=None, steps=None) is None
    assert retraining_of(keep=0.25, steps=None) == Retraining(keep=0.25)
    with pytest.raises(JobError, match="--keep: must be above 0 and below 1, got 1"):
        retraining_of(keep=1.0)
    with pytest.raises(JobError, match="--minutes, --steps: give one"):
        retraining_of(minutes=1.0, steps=4)
