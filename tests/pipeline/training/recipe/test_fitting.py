"""Parts of a recipe that do not fit each other are refused before anything is read, with the cure."""

import pytest

from pipeline.errors import JobError
from pipeline.training.options import TrainingOptions
from pipeline.training.recipe.built_recipe import BuiltRecipe
from tests.pipeline.training.recipe.test_settings import base, changed

PHOTOS = {"name": "photos", "uri": "photos"}
FFDNET = {"network.architecture": "ffdnet", "network.arguments": {"features": 4}}
PAIRS = {"degradations": [], "data.references": "sharp", "validation": {}}
DCGAN = {"discriminator.architecture": "dcgan", "discriminator.arguments": {"features": 4, "image_size": 32}}
CLEAR = {
    "uri": "sharp",
    "match": r"(?P<id>.+)\.png",
    "reference": "{id}.png",
    "clear": "{id}_mask.png",
}
SHAKEN = {"name": "shaken", "operators": [{"op": "motion_blur", "length": [3.0, 30.0]}]}
HIDING = {"name": "masked_mse", "known": 0}

REFUSED = [
    ("restorer", FFDNET | {"degradations": ["awgn-25", "blur"]},
     r'network: ffdnet needs the noise level, .*; degradations\[1\] "blur" has none'),
    ("restorer", FFDNET | {"validation": {"datasets": [PHOTOS], "degradations": ["blur"]}},
     r'network: ffdnet needs the noise level, .*; validation\.degradations\[0\] "blur" has none'),
    ("restorer", FFDNET | PAIRS, "network: ffdnet needs the noise level, .*; of images with references none"),
    ("restorer", {"network.architecture": "basicvsr", "network.arguments": {}}, "needs other frames"),
    ("restorer", {"teacher": "inpaint-gated"}, r"teacher\.weights: it needs a mask"),
    ("restorer", {"losses": [{"name": "masked_l1"}]}, r"losses\[0\]: it needs a mask"),
    ("restorer", {"self_supervision": "noise2void"}, r'losses\[0\]: "l1" counts pixels that'),
    ("restorer", {"self_supervision": "noise2void", "losses": [HIDING, {"name": "masked_l1"}]},
     r'losses\[1\]: "masked_l1" counts pixels'),
    ("restorer", {"self_supervision": "neighbor2neighbor", "degradations": ["burst-noise"],
                  "network.architecture": "basicvsr", "network.arguments": {}}, "neighbor2neighbor halves"),
    ("restorer", {"degradations": [SHAKEN]},
     r'data\.crop: "shaken" cannot degrade crops of 16 x 16 pixels: .*; take larger ones'),
    ("restorer", {"network.arguments.channels": 1, "data.shuffle_channels": True},
     r"data\.shuffle_channels: has no effect on one channel"),
    ("restorer", {"resources.sync_batch_norm": True, "resources.gpus_per_worker": 1},
     r"resources\.sync_batch_norm: no network here has batch normalisation"),
    ("adversary", DCGAN | {"discriminator.feature_matching": {"weight": 1.0}},
     r"discriminator\.feature_matching: dcgan does not show its features"),
    ("adversary", DCGAN, r"discriminator: dcgan cannot judge crops of 16 x 16 pixels"),
    ("maker", {"discriminator.arguments": {"features": 4, "image_size": 16}}, "cannot judge crops of 8 x 8"),
    ("adversary", {"discriminator.start_step": 6}, r"discriminator\.start_step: it would never come in"),
    ("restorer", {"data.datasets": [PHOTOS | {"private": True}], "tracks_private": True},
     "tracks_private: has no effect without trackers"),
    ("restorer", {"data.datasets": [PHOTOS | {"group": "pages"}]}, r"data\.datasets\[0\]: group: .*every"),
    ("restorer", PAIRS | {"data.references": CLEAR}, r"data\.references: clear: .*learns from all pixels"),
    ("restorer", PAIRS | {"data.datasets": [PHOTOS | {"references": CLEAR}]}, r"references\.clear: .*all"),
    ("restorer", {"network.value_range": [1.0, 0.0]}, r"network\.value_range: goes from low to high"),
    ("adversary", {"discriminator.value_range": [1.0, 1.0]}, r"discriminator\.value_range: goes from low"),
    ("restorer", {"losses": [{"name": "l1", "weight": float("inf")}]}, r"losses\[0\]\.weight: .*finite"),
    ("restorer", {"length": {"minutes": float("inf")}}, r"length\.minutes: .*finite"),
    ("restorer", {"teacher": "nowhere.safetensors"}, r"^teacher\.weights: nowhere\.safetensors: File"),
]  # fmt: skip

TAKEN = [
    ("restorer", FFDNET),
    ("restorer", FFDNET | {"self_supervision": "neighbor2neighbor"}),
    ("restorer", {"self_supervision": "noise2void", "losses": [HIDING]}),
    ("restorer", {"losses": [{"name": "masked_l1"}], "degradations": ["inpaint-thin"]}),
    ("restorer", {"degradations": ["burst-noise"]}),
    ("restorer", PAIRS),
    ("adversary", {"discriminator.start_step": 5}),
    ("adversary", {"length": {"minutes": 1.0}, "discriminator.start_step": 5}),
    ("maker", {}),
]


@pytest.mark.parametrize(("name", "fields", "said"), REFUSED)
def test_what_does_not_fit_is_refused(name, fields, said):
    with pytest.raises(JobError, match=said):
        BuiltRecipe.of(changed(base(name), fields))


@pytest.mark.parametrize(("name", "fields"), TAKEN)
def test_what_fits_is_taken(name, fields):
    BuiltRecipe.of(changed(base(name), fields))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (TrainingOptions("ray", device="cuda"), r"--device cuda: is for --engine local.*gpus_per_worker=1"),
        (TrainingOptions("ray", threads=2), r"--threads 2: is for --engine local.*cpus_per_worker=N"),
        (TrainingOptions("local", ray_address="head:1"), r"--ray-address head:1: is for --engine ray"),
    ],
)
def test_options_of_another_engine_are_refused(options, said):
    with pytest.raises(JobError, match=said):
        options.check()
    TrainingOptions("local", device="cpu", threads=2).check()
    TrainingOptions("ray", ray_address="head:1").check()
