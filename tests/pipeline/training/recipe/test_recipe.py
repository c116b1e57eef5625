"""Recipes: what is refused is named by path, with the cure; what is the same run is told from what is not."""

import pytest

from pipeline.errors import JobError
from pipeline.training.recipe.built_recipe import BuiltRecipe
from pipeline.training.recipe.recipe import TrainingRecipe
from tests.pipeline.training.training_data import ROOT, denoiser, generator

SMALL = ROOT / "conf" / "train" / "srgan-x4-small.toml"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimzer.learning_rate=1", r"optimzer: unknown field; did you mean \"optimizer\""),
        (
            "optimizer.learningrate=1",
            r"optimizer\.learningrate: unknown field; did you mean \"learning_rate\"",
        ),
        ("optimizer.learning_rate=0", r"optimizer\.learning_rate: Input should be greater than 0, got 0"),
        (
            "discriminator.optimizer.nme=1",
            r"discriminator\.optimizer\.nme: unknown field; did you mean \"name\"",
        ),
        ("losses[0].weight=-1", r"losses\[0\]\.weight: Input should be greater than 0, got -1"),
        ("losses=[]", "losses: a restorer needs at least one"),
        ("degradations=[]", "degradations: a restorer needs at least one"),
        ('kind="generation"', "losses, degradations: generators have none"),
        ("length={ steps = 1, minutes = 1 }", "length: give either steps or minutes"),
        ("latents=uniform", "latents: has no effect on a restorer; leave it out"),
        ("data.downsample=2", r"data\.downsample: has no effect on a restorer"),
        ("validation.generated=9", r"validation\.generated: has no effect on a restorer"),
        ("optimizer.weight_decay=0.1", r"optimizer\.weight_decay: is for adamw and sgd"),
        (
            'discriminator.optimizer={ name = "muon", learning_rate = 0.1, betas = [0.5, 0.9] }',
            r"discriminator\.optimizer\.betas: is for adam and adamw, not for muon",
        ),
        (
            "checkpoints={ every_steps = 5, every_minutes = 2.0 }",
            r"checkpoints\.every_minutes: has no effect beside checkpoints\.every_steps",
        ),
        ("accumulation=3", "accumulation: 3 does not divide the batch of 8"),
        ("resources.workers=3", "resources.workers: the batch of 8 cannot be dealt to 3 workers"),
        ("resources.workers=[4, 2]", r"a range goes from low to high, got \[4, 2\]"),
        ("resources.workers=[1, 2]", "length.minutes: only one worker can follow its clock"),
    ],
)
def test_wrong_fields_are_named_with_their_cure(override, message):
    with pytest.raises(JobError, match=message) as refused:
        TrainingRecipe.from_toml(SMALL, (override,))
    assert str(refused.value).startswith(str(SMALL))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ('task="denoise"', 'task: unknown task "denoise"; did you mean "denoising"'),
        ('network.architecture="msresnet"', 'network: unknown network "msresnet"; did you mean "msrresnet"'),
        ("network.arguments.width=3", 'network: network "srvgg": unknown argument "width"'),
        ("network.arguments.scale=2", '"bicubic-x4" shrinks by 4, but the network enlarges by 2'),
        (
            'degradations=["bicubic-4"]',
            r'degradations\[0\]: unknown preset "bicubic-4"; did you mean "bicubic-x4"',
        ),
        ("data.crop=66", "data.crop: 66 does not suit this network: take a multiple of 4"),
        ('losses[0].name="l2"', 'losses: unknown loss "l2"'),
        ("losses[0].sharpness=3", 'losses: loss "l1": unknown argument "sharpness"'),
        (
            'optimizer.schedule={ name = "cosin" }',
            'optimizer.schedule: unknown schedule "cosin"; did you mean',
        ),
        ('discriminator.architecture="pach"', 'discriminator: unknown discriminator "pach"'),
        ('discriminator.adversarial={ name = "hing" }', "discriminator.adversarial: unknown .* did you mean"),
        ("discriminator.arguments.channels=6", "channels: 6, but it is shown 3; give channels = 3"),
        ("discriminator.conditional=true", r"it is shown 6 \(the degraded image too\); give channels = 6"),
        ('discriminator.penalty={ name = "r2" }', 'discriminator.penalty: unknown penalty "r2"'),
        (
            'validation.metrics=["pnsr"]',
            r'validation.metrics\[0\]: unknown metric "pnsr"; did you mean "psnr"',
        ),
        (
            'validation.metrics=["dists"]',
            r'validation.metrics\[0\]: "dists" takes files; use "dists_lite0"',
        ),
        ('self_supervision="neighbor2neighbor"', "self_supervision: only for networks that do not enlarge"),
    ],
)
def test_wrong_names_are_found_before_anything_is_trained(override, message):
    recipe = TrainingRecipe.from_toml(SMALL, ('losses=[{ name = "l1" }]', override))
    with pytest.raises(JobError, match=message):
        BuiltRecipe.of(recipe)


@pytest.mark.parametrize(
    ("section", "field", "value"),
    [
        ("discriminator", "weight", 2.0),
        ("discriminator", "feature_matching", {"weight": 1.0}),
        ("discriminator", "conditional", True),
        ("discriminator", "value_range", [0.0, 1.0]),
        ("discriminator", "start_step", 3),
        ("validation", "datasets", [{"name": "held-out", "uri": "photos"}]),
        ("validation", "side", 64),
    ],
)
def test_what_a_generator_makes_no_use_of_is_refused(tmp_path, section, field, value):
    fields = generator(tmp_path).model_dump()
    fields[section][field] = value
    with pytest.raises(JobError, match=rf"{section}\.{field}: has no effect on a generator of images"):
        TrainingRecipe.parse(fields)


def test_a_generator_that_does_not_grow_takes_no_growth(tmp_path):
    with pytest.raises(JobError, match='growth: is for the generator "progressive" alone; leave it out'):
        generator(tmp_path, growth={"steps_per_size": 3})


def test_a_generator_and_its_crops_have_one_size(tmp_path):
    data = {"datasets": [{"name": "photos", "uri": str(tmp_path)}], "crop": 32, "downsample": 2}
    with pytest.raises(JobError, match=r"crops of 32 / downsample 2 are 16 pixels a side, the gen.* makes 8"):
        BuiltRecipe.of(generator(tmp_path, data=data))


def test_files_that_are_no_recipes(tmp_path):
    with pytest.raises(JobError, match=r"none\.toml: no such file; recipes to start from are in conf/train"):
        TrainingRecipe.from_toml(tmp_path / "none.toml")
    (tmp_path / "bad.toml").write_text("batch =")
    with pytest.raises(JobError, match=r"bad\.toml: not valid TOML"):
        TrainingRecipe.from_toml(tmp_path / "bad.toml")


def test_overrides_are_toml_and_reach_into_lists():
    given = ("batch=16", "losses[1].weight=0.5", "network.arguments.blocks=2", "name=other", "ema_decay=0.9")
    recipe = TrainingRecipe.from_toml(SMALL, given)
    assert (recipe.batch, recipe.losses[1].weight, recipe.name, recipe.ema_decay) == (16, 0.5, "other", 0.9)
    assert recipe.network.arguments["blocks"] == 2
    assert recipe.network.arguments["features"] == 48


@pytest.mark.parametrize("override", ["batch", "=3", "losses[7].weight=1", "batch.size=3"])
def test_overrides_that_cannot_be_placed(override):
    with pytest.raises(JobError, match="--set"):
        TrainingRecipe.from_toml(SMALL, (override,))


def test_where_and_on_what_it_runs_is_no_part_of_what_it_is(tmp_path):
    recipe = denoiser(tmp_path)
    elsewhere = denoiser(
        tmp_path / "other",
        resources={"workers": [1, 2], "cpus_per_worker": 2},
        checkpoints={"every_steps": 3},
        summary="Other words.",
    )
    assert elsewhere.identity() == recipe.identity()
    for change in ({"batch": 8}, {"seed": 4}, {"length": {"steps": 7}}, {"degradations": ["awgn-25"]}):
        assert denoiser(tmp_path, **change).identity() != recipe.identity()


def test_a_signature_is_no_part_of_what_it_is(tmp_path):
    """Identity goes into checkpoints and cards."""
    network = {"architecture": "dncnn", "arguments": {"features": 6, "layers": 3, "batch_norm": False}}
    signed = [
        denoiser(tmp_path, network=network | {"start": f"https://h/w.safetensors?X-Amz-Signature={each}"})
        for each in ("CANARYBIRD", "another")
    ]
    assert "CANARYBIRD" not in str(signed[0].identity())
    assert signed[0].identity() == signed[1].identity()
