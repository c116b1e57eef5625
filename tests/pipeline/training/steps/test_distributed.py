"""Two processes that each have half of the images make the step that one process makes of all."""

import pytest
import torch
import torch.distributed
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from models.contract import Condition
from models.discriminators import build_discriminator
from models.losses import build_adversarial, build_loss, build_penalty
from models.networks import build_generator, build_network
from pipeline.training.steps.adversarial_terms import AdversarialTerms
from pipeline.training.steps.example import Example
from pipeline.training.steps.generation import GenerationStep
from pipeline.training.steps.growth import ProgressiveGrowth
from pipeline.training.steps.moving_average import MovingAverage
from pipeline.training.steps.network_update import NetworkUpdate
from pipeline.training.steps.restoration import RestorationStep
from tests.pipeline.training.training_process import FORKS

STEPS = 3


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def sgd(network, wrap):
    return NetworkUpdate(wrap(network), torch.optim.SGD(network.parameters(), lr=0.05), clip_gradient=5.0)


def examples(step, rows):
    """Images ``rows`` of the eight of a step, two at a time."""
    degraded, target = (torch.rand(8, 3, 16, 16, generator=rng(2 * step + i)) for i in range(2))
    level = torch.linspace(0, 0.2, 8)
    return [
        Example(degraded[i : i + 2], target[i : i + 2], Condition(noise_level_B=level[i : i + 2]))
        for i in range(rows.start, rows.stop, 2)
    ]


def restore(rows, wrap):
    """Weights, average and balance after some adversarial steps; R1 needs no random numbers."""
    torch.manual_seed(0)
    network = build_network("ffdnet", {"channels": 3, "features": 8, "layers": 3})
    discriminator = build_discriminator("autoencoder", {"image_size": 16, "features": 4, "latent": 8})
    adversarial = build_adversarial("began", {"gain": 0.3})
    step = RestorationStep(
        sgd(network, wrap),
        [("l1", 1.0, build_loss("l1", {}))],
        discriminator=sgd(discriminator, wrap),
        adversarial=AdversarialTerms(
            loss=adversarial,
            weight=0.1,
            penalty=build_penalty("r1", {}),
            penalty_weight=3.0,
            penalty_every=2,
            start_step=1,
        ),
    )
    average = MovingAverage(network, 0.9)
    for number in range(STEPS):
        assert bool(step(examples(number, rows), number, rng())["finite"])
        average.update(number)
    return {
        **{f"network.{name}": tensor for name, tensor in network.state_dict().items()},
        **{f"discriminator.{name}": tensor for name, tensor in discriminator.state_dict().items()},
        **{f"average.{name}": tensor for name, tensor in average.state.items()},
        "k": adversarial.k,
    }


def generate(rank, wrap):
    """Both with batch normalisation, which overwrites buffers in each forward pass."""
    torch.manual_seed(0)
    painter = build_generator("dcgan", {"image_size": 8, "features": 4, "latent": 8})
    discriminator = build_discriminator("dcgan", {"image_size": 8, "features": 4})
    adversarial = build_adversarial("relativistic_average", {})
    step = GenerationStep(
        sgd(painter, wrap),
        sgd(discriminator, wrap),
        AdversarialTerms(loss=adversarial, discriminator_steps=2),
        latent=8,
    )
    for number in range(STEPS):
        batches = [torch.rand(4, 3, 8, 8, generator=rng(10 * number + 2 * rank + i)) for i in range(4)]
        assert bool(step(batches, number, rng(100 * number + rank))["finite"])
    return dict(painter.named_parameters()) | dict(discriminator.named_parameters())


def grow(rank, wrap):
    """Layers of sizes that are not there yet have no gradient."""
    torch.manual_seed(0)
    small = {"image_size": 8, "features": 32, "widest": 8}
    painter, discriminator = (
        build_generator("progressive", {**small, "latent": 8}),
        build_discriminator("progressive", small),
    )
    step = GenerationStep(
        sgd(painter, wrap),
        sgd(discriminator, wrap),
        AdversarialTerms(
            loss=build_adversarial("wasserstein", {"drift": 1e-3}),
            penalty=build_penalty("gradient", {}),
            penalty_weight=10.0,
        ),
        latent=8,
        growth=ProgressiveGrowth(image_size=8, steps_per_size=2),
    )
    for number in range(4):
        batch = torch.rand(4, 3, 8, 8, generator=rng(10 * number + rank))
        assert bool(step([batch], number, rng(100 * number + rank))["finite"])
    return dict(painter.named_parameters()) | dict(discriminator.named_parameters())


def work(rank, folder):
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2
    )
    finder = {"find_unused_parameters": True}
    results = {
        "restore": restore(range(4 * rank, 4 * rank + 4), DistributedDataParallel),
        "generate": generate(rank, DistributedDataParallel),
        "grow": grow(rank, lambda network: DistributedDataParallel(network, **finder)),
    }
    torch.save(
        {task: {name: tensor.detach() for name, tensor in state.items()} for task, state in results.items()},
        f"{folder}/{rank}.pt",
    )
    torch.distributed.destroy_process_group()


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    processes = [FORKS.Process(target=work, args=(rank, str(folder))) for rank in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(300)
    assert [process.exitcode for process in processes] == [0, 0]
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


class TestTwoRanks:
    def test_make_the_step_of_one_process(self, ranks):
        alone = restore(range(8), lambda network: network)
        assert 0 < float(alone["k"]) < 1
        for name, tensor in alone.items():
            torch.testing.assert_close(ranks[0]["restore"][name], tensor, rtol=1e-4, atol=1e-6, msg=name)

    @pytest.mark.parametrize("task", ["restore", "generate", "grow"])
    def test_stay_the_same_though_their_images_differ(self, ranks, task):
        for name, tensor in ranks[0][task].items():
            assert torch.equal(tensor, ranks[1][task][name]), name
            assert tensor.isfinite().all(), name

    def test_every_layer_of_the_generator_moved(self, ranks):
        torch.manual_seed(0)
        begun = build_generator("dcgan", {"image_size": 8, "features": 4, "latent": 8})
        for name, tensor in begun.named_parameters():
            assert not torch.equal(ranks[0]["generate"][name], tensor), name


def test_norm_of_an_empty_side_is_told():
    """A network without gradients (all frozen) is a mistake of the caller, and says so."""
    network = nn.Linear(1, 1).requires_grad_(False)
    side = NetworkUpdate(network, torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1))
    with pytest.raises(ValueError, match="no parameter of Linear has a gradient"):
        side.judge()
