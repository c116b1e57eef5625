"""The moving average and the schedules, against their recursions and curves written out."""

import math

import pytest
import torch
from torch import nn

from pipeline.training.steps.moving_average import MovingAverage
from pipeline.training.steps.schedules import SCHEDULES, build_schedule


class TestMovingAverage:
    def test_is_the_recursion_of_every_weight_and_statistic(self):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
        average = MovingAverage(network, 0.6)
        expected = {name: tensor.clone().double() for name, tensor in network.state_dict().items()}
        for step in range(15):
            network(torch.randn(4, 1, 8, 8))
            with torch.no_grad():
                for parameter in network.parameters():
                    parameter.add_(torch.randn_like(parameter))
            average.update(step)
            decay = min(0.6, (1 + step) / (10 + step))
            for name, tensor in network.state_dict().items():
                expected[name] = decay * expected[name] + (1 - decay) * tensor.double()
        assert int(average.state["1.num_batches_tracked"]) == 15
        for name in set(expected) - {"1.num_batches_tracked"}:
            torch.testing.assert_close(average.state[name].double(), expected[name], rtol=1e-5, atol=1e-6)

    def test_does_not_move_with_the_network(self):
        network = nn.Linear(2, 2)
        average, before = MovingAverage(network, 0.9), network.weight.detach().clone()
        with torch.no_grad():
            network.weight.add_(1)
        assert torch.equal(average.state["weight"], before)

    def test_state_goes_over(self):
        network, other = nn.Linear(2, 2), nn.Linear(2, 2)
        average, resumed = MovingAverage(network, 0.9), MovingAverage(other, 0.9)
        resumed.load_state_dict(average.state_dict())
        network.load_state_dict(other.state_dict())
        for one in (average, resumed):
            one.update(5)
        for name in average.state:
            assert torch.equal(average.state[name], resumed.state[name])
        with pytest.raises(ValueError, match="the average is of another network: bias"):
            resumed.load_state_dict({"weight": torch.zeros(2, 2)})

    @pytest.mark.parametrize("decay", [-0.1, 1.0])
    def test_wrong_decays_are_refused(self, decay):
        with pytest.raises(ValueError, match="must be from 0 to below 1"):
            MovingAverage(nn.Linear(1, 1), decay)


class TestSchedules:
    def curve(self, name, total=100, **arguments):
        schedule = build_schedule(name, arguments)
        return [schedule(step, total) for step in range(total + 1)]

    def test_constant(self):
        assert set(self.curve("constant")) == {1.0}

    def test_cosine(self):
        expected = [0.1 + 0.9 * (1 + math.cos(math.pi * step / 100)) / 2 for step in range(101)]
        assert self.curve("cosine", final=0.1) == pytest.approx(expected)

    def test_cosine_restarts(self):
        found = self.curve("cosine", cycles=4)
        assert [found[i] for i in (0, 25, 50, 75)] == [1.0] * 4
        assert [found[i + 12] - found[12] for i in (25, 50, 75)] == pytest.approx([0] * 3, abs=1e-9)
        assert found[100] == pytest.approx(0, abs=1e-12)
        assert found[24] < 0.01

    def test_linear_decay(self):
        found = self.curve("linear_decay", start=0.6, final=0.2)
        assert found[:61] == [1.0] * 61
        assert found[80] == pytest.approx(0.6)
        assert found[100] == pytest.approx(0.2)
        assert self.curve("linear_decay", start=1.0) == [1.0] * 101

    def test_multi_step_is_pytorchs(self):
        parameter = nn.Parameter(torch.zeros(()))
        optimizer = torch.optim.SGD([parameter], lr=1.0)
        theirs = torch.optim.lr_scheduler.MultiStepLR(optimizer, [25, 50, 80], gamma=0.2)
        found = self.curve("multi_step", milestones=[0.25, 0.5, 0.8], factor=0.2)
        for step in range(100):
            assert found[step] == pytest.approx(optimizer.param_groups[0]["lr"]), step
            optimizer.step()
            theirs.step()

    @pytest.mark.parametrize("name", SCHEDULES)
    def test_warm_up_rises_and_then_the_curve_begins(self, name):
        arguments = {"milestones": [0.51]} if name == "multi_step" else {}
        warmed, plain = self.curve(name, **arguments, warm_up=0.2), self.curve(name, total=80, **arguments)
        assert warmed[:20] == pytest.approx([step / 20 for step in range(20)])
        assert warmed[20:] == pytest.approx(plain)

    @pytest.mark.parametrize(
        ("name", "arguments", "message"),
        [
            ("cosin", {}, 'unknown schedule "cosin"; did you mean "cosine"'),
            ("zzz", {}, "known are constant, cosine, linear_decay, multi_step"),
            ("cosine", {"period": 3}, r"schedule 'cosine' cannot be built with \{'period': 3\}"),
            ("cosine", {"cycles": 0}, "cycles must be a whole number of 1 or more, got 0"),
            ("cosine", {"final": 2}, "final must be a share from 0 to 1, got 2"),
            ("constant", {"warm_up": -1}, "warm_up must be a share from 0 to 1, got -1"),
            ("multi_step", {"milestones": [0.5, 0.2]}, r"milestones must rise, .* got \[0.5, 0.2\]"),
            ("multi_step", {"milestones": [200000]}, "each a share of the run between 0 and 1"),
        ],
    )
    def test_wrong_names_and_values_are_told(self, name, arguments, message):
        with pytest.raises(ValueError, match=message):
            build_schedule(name, arguments)
