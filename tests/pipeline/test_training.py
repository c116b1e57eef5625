"""Training a denoiser: data, step, schedule, checkpoint and the whole run on small photographs."""

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio
from torch import nn
from typer.testing import CliRunner

from models.networks import build_network
from models.networks.ffdnet import FFDNet
from models.weights import load_weights
from pipeline.errors import JobError
from pipeline.training import denoiser, score
from pipeline.training.checkpoint import Position
from pipeline.training.data import RandomPatches, digest, read_photographs, read_sources
from pipeline.training.denoiser import Budget, Journal, run
from pipeline.training.denoising import DenoiserTraining
from pipeline.training.muon import Muon, orthogonalise
from pipeline.training.settings import DenoiserSettings
from pipeline.training.steps import MovingAverage, add_noise, denoising_step, learning_rate
from pipeline.training.validation import centre, noisy, psnr, validate

ROOT = Path(__file__).parents[2]
SMALL = DenoiserSettings(
    name="small",
    summary="A small FFDNet.",
    architecture="ffdnet",
    arguments={"channels": 3, "features": 16, "layers": 3, "predicts": "noise"},
    patch_size=16,
    batch_size=2,
    average_decay=0.9,
    validate_minutes=1000,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def photographs():
    """Smooth shapes with edges, which a small network learns to tell from noise."""
    rows, columns = np.mgrid[:48, :64]
    waves = [np.sin(rows / (6 + c)) + np.cos(columns / 9) > 0 for c in range(3)]
    first = (np.stack(waves, axis=-1) * 160 + 40).astype(np.uint8)
    return {"a.png": first, "b.png": first[::-1, ::-1, ::-1].copy()}


@pytest.fixture
def folder(tmp_path, photographs):
    target = tmp_path / "photographs"
    target.mkdir()
    for name, pixels in photographs.items():
        Image.fromarray(pixels).save(target / name)
    return target


class TestData:
    def test_photographs_are_read_as_they_are(self, folder, photographs):
        (folder / "notes.txt").write_text("not a photograph")
        found = read_photographs(folder)
        assert list(found) == ["a.png", "b.png"]
        assert all(np.array_equal(found[name], photographs[name]) for name in photographs)
        assert read_photographs(folder, channels=1)["a.png"].shape == (48, 64, 1)

    def test_a_folder_without_photographs_is_refused(self, tmp_path):
        with pytest.raises(JobError, match=r"no photographs in .*expected files ending in \.png"):
            read_photographs(tmp_path)

    def test_digest_changes_with_any_pixel_and_name(self, photographs):
        other = {name: pixels.copy() for name, pixels in photographs.items()}
        assert digest(other) == digest(photographs)
        other["b.png"][3, 4, 1] ^= 1
        renamed = {"c.png": photographs["a.png"], "b.png": photographs["b.png"]}
        assert len({digest(photographs), digest(other), digest(renamed)}) == 3

    def test_patches_are_places_of_the_photographs_in_all_eight_positions(self, photographs):
        size, patches = 6, RandomPatches([photographs["a.png"]], 6)
        windows = np.lib.stride_tricks.sliding_window_view(photographs["a.png"], (size, size), axis=(0, 1))
        places = {window.tobytes() for window in windows.reshape(-1, 3, size, size)}
        rng, seen = generator(), set()
        for patch in patches(80, rng):
            positions = [
                np.rot90(mirrored, turns, axes=(1, 2)).tobytes()
                for mirrored in (patch.numpy(), patch.numpy()[:, :, ::-1])
                for turns in range(4)
            ]
            assert places.intersection(positions)
            seen.update(index for index, position in enumerate(positions) if position in places)
        assert seen == set(range(8))

    def test_patches_come_from_a_seed(self, photographs):
        patches = RandomPatches(list(photographs.values()), 8)
        first = patches(4, generator(1))
        assert first.shape == (4, 3, 8, 8)
        assert torch.equal(first, patches(4, generator(1)))
        assert not torch.equal(first, patches(4, generator(2)))

    def test_photographs_are_drawn_by_their_area(self):
        small, large = np.zeros((20, 20, 3), np.uint8), np.full((40, 50, 3), 255, np.uint8)
        drawn = RandomPatches([small, large], 8)(600, generator()).amax(dim=(1, 2, 3)) == 255
        assert float(drawn.float().mean()) == pytest.approx(2000 / 2400, abs=0.05)

    def test_busiest_place_is_taken(self):
        half = np.zeros((32, 200, 1), np.uint8)
        half[:, 100:] = np.random.default_rng(0).integers(0, 255, (32, 100, 1))
        share = [
            float((RandomPatches([half], 8, best)(300, generator()) > 0).any(3).any(2).any(1).float().mean())
            for best in (1, 2)
        ]
        # A chance p becomes 1 - (1 - p)^2 where two places are looked at.
        assert share[0] == pytest.approx(100 / 193, abs=0.08)
        assert share[1] == pytest.approx(1 - (1 - 100 / 193) ** 2, abs=0.08)

    def test_photographs_smaller_than_a_patch_are_refused(self):
        with pytest.raises(JobError, match=r"\(7, 90\) pixels are smaller than the patch size 8"):
            RandomPatches([np.zeros((7, 90, 3), np.uint8)], 8)

    def test_every_photograph_needs_its_licence(self, tmp_path, photographs):
        table = tmp_path / "photographs.tsv"
        table.write_text("# comment\ntrain\tpackage\ta.jpg\tCC0-1.0\tAnn\n")
        with pytest.raises(JobError, match=r"does not list b\.png"):
            read_sources(table, photographs)
        found = read_sources(table, {"a.png": photographs["a.png"]})
        assert found == [{"package": "package", "file": "a.jpg", "licence": "CC0-1.0", "author": "Ann"}]


class TestStep:
    def test_noise_has_the_level_that_is_told(self):
        clean = torch.full((4, 3, 128, 128), 0.5)
        noisy_BCHW, level_B = add_noise(clean, (0.0, 0.3), generator())
        assert ((level_B >= 0) & (level_B <= 0.3)).all()
        measured = (noisy_BCHW - clean).std(dim=(1, 2, 3))
        torch.testing.assert_close(measured, level_B, rtol=0.02, atol=0)
        many = add_noise(torch.zeros(4000, 1, 1, 1), (0.1, 0.3), generator())[1]
        assert float(many.mean()) == pytest.approx(0.2, abs=0.005)
        assert float(many.std()) == pytest.approx(0.2 / math.sqrt(12), abs=0.005)
        assert float(noisy_BCHW.max()) > 1.0

    def test_first_step_is_adam_down_the_mean_absolute_error(self):
        class Gain(nn.Module):
            def __init__(self):
                super().__init__()
                self.gain = nn.Parameter(torch.tensor(0.5))

            def forward(self, image_BCHW, level_B):
                return image_BCHW * self.gain

        network, clean = Gain(), torch.rand(2, 1, 4, 4) + 0.1
        optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
        loss = denoising_step(
            network, optimiser, clean, levels=(0.0, 0.0), clip_gradient=1e9, rng=generator()
        )
        assert loss == pytest.approx(float((clean * 0.5).mean()), rel=1e-6)
        # Adam's first step is the learning rate, against the sign of the gradient.
        assert float(network.gain.detach()) == pytest.approx(0.51, abs=1e-5)

    def test_gradient_is_clipped(self):
        network = FFDNet(channels=1, features=8, layers=3)
        for parameter in network.parameters():
            nn.init.normal_(parameter)
        before = [p.detach().clone() for p in network.parameters()]
        optimiser = torch.optim.SGD(network.parameters(), lr=1.0)
        clean = torch.rand(2, 1, 8, 8)
        denoising_step(network, optimiser, clean, levels=(0.1, 0.1), clip_gradient=0.25, rng=generator())
        moved = [p.detach() - b for p, b in zip(network.parameters(), before, strict=True)]
        assert math.sqrt(sum(float(m.square().sum()) for m in moved)) == pytest.approx(0.25, rel=1e-3)

    def test_loss_falls(self, photographs):
        training = DenoiserTraining(SMALL.model_copy(update={"learning_rate": 1e-2}), photographs)
        losses = [training.step(i / 150) for i in range(150)]
        assert sum(losses[-30:]) / 30 < 0.65 * sum(losses[:10]) / 10

    def test_learning_rate_rises_and_falls(self):
        rates = [learning_rate(p / 100, peak=2.0, warm_up=0.2) for p in range(101)]
        assert rates[0] == 0
        assert rates[10] == pytest.approx(1.0)
        assert rates[20] == pytest.approx(2.0)
        assert rates[60] == pytest.approx(1.0)
        assert rates[100] == pytest.approx(0.0, abs=1e-12)
        assert learning_rate(0.0, peak=2.0, warm_up=0.0) == 2.0
        assert learning_rate(1.2, peak=2.0, warm_up=0.1) == pytest.approx(0.0, abs=1e-12)

    def test_average_is_the_recursion_written_out(self):
        network = nn.Linear(1, 1, bias=False)
        average, expected = MovingAverage(network, 0.5), float(network.weight.detach())
        for step in range(12):
            with torch.no_grad():
                network.weight.fill_(step * 1.5)
            average.update(network, step)
            decay = min(0.5, (1 + step) / (10 + step))
            expected = decay * expected + (1 - decay) * step * 1.5
        assert float(average.state["weight"]) == pytest.approx(expected, rel=1e-5)


class TestMuon:
    @pytest.mark.parametrize("shape", [(6, 40), (40, 6), (12, 12)])
    def test_directions_are_made_equally_strong(self, shape):
        matrix = torch.randn(shape, generator=generator(), dtype=torch.float64)
        left, _, right = torch.linalg.svd(matrix, full_matrices=False)
        made = orthogonalise(matrix)
        # In the basis of the matrix itself the result is diagonal: only singular values change.
        inside = left.T @ made @ right.T
        values = inside.diagonal()
        assert float((inside - values.diag()).abs().max()) < 1e-6
        assert ((values > 0.6) & (values < 1.3)).all(), values

    def test_kernels_move_by_the_learning_rate_whatever_the_gradient(self):
        for size in (1e-3, 1e3):
            kernel = nn.Parameter(torch.zeros(8, 4, 3, 3))
            kernel.grad = torch.randn(kernel.shape, generator=generator()) * size
            Muon([kernel], lr=0.02).step()
            moved = torch.linalg.svdvals(kernel.detach().flatten(1))
            assert ((moved > 0.6 * 0.02) & (moved < 1.3 * 0.02)).all()
            assert float((kernel.detach() * kernel.grad).sum()) < 0

    def test_vectors_move_by_adam(self):
        gradients = torch.randn(10, 5, generator=generator())
        ours, theirs = nn.Parameter(torch.ones(5)), nn.Parameter(torch.ones(5))
        muon = Muon([ours], lr=0.1, vector_share=0.3)
        adam = torch.optim.Adam([theirs], lr=0.03, betas=(0.9, 0.99))
        for gradient in gradients:
            ours.grad, theirs.grad = gradient.clone(), gradient.clone()
            muon.step()
            adam.step()
        torch.testing.assert_close(ours, theirs)

    def test_parameters_without_a_gradient_stay(self):
        used, unused = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2, 2))
        used.grad = torch.eye(2)
        Muon([used, unused]).step()
        assert torch.equal(unused.detach(), torch.ones(2, 2))
        assert not torch.equal(used.detach(), torch.ones(2, 2))


class TestValidation:
    def test_psnr_is_that_of_scikit_image(self):
        rng = np.random.default_rng(0)
        reference = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
        restored = reference + rng.normal(0, 20, reference.shape)

        def to_tensor(values):
            return torch.from_numpy(values / 255.0).permute(2, 0, 1)[None]

        expected = peak_signal_noise_ratio(
            reference, np.clip(np.round(restored), 0, 255).astype(np.uint8), data_range=255
        )
        assert psnr(to_tensor(restored), to_tensor(reference)) == pytest.approx(expected, abs=1e-6)
        assert psnr(to_tensor(reference * 1.0), to_tensor(reference * 1.0)) == math.inf

    def test_noise_repeats_and_has_its_level(self):
        clean = torch.full((1, 3, 128, 128), 0.5)
        first = noisy("a", clean, 25)
        assert torch.equal(first, noisy("a", clean, 25))
        assert not torch.equal(first, noisy("b", clean, 25))
        assert float((first - clean).std()) * 255 == pytest.approx(25, rel=0.02)

    def test_doing_nothing_scores_the_noise(self):
        # Far from black and white nothing is clipped: the error is sigma^2 + 1/12 of rounding.
        grey = {"grey": np.full((128, 128, 3), 128, np.uint8)}
        scores = validate(lambda noisy_BCHW, _: noisy_BCHW, grey, (5, 15))
        for sigma in (5, 15):
            assert scores[f"{sigma}"] == pytest.approx(10 * math.log10(255**2 / (sigma**2 + 1 / 12)), abs=0.1)

    def test_centre_is_even_and_in_the_middle(self):
        pixels = np.arange(9 * 12, dtype=np.uint8).reshape(9, 12, 1)
        assert np.array_equal(centre(pixels, 6), pixels[1:7, 3:9])
        assert centre(pixels, 100).shape == (8, 12, 1)


class TestRun:
    def journal(self, folder, name, **more):
        return Journal(
            output=folder / f"{name}.safetensors", checkpoint=folder / f"{name}.checkpoint", **more
        )

    def test_cut_off_and_resumed_is_the_same_as_uninterrupted(self, tmp_path, photographs):
        whole = DenoiserTraining(SMALL, photographs)
        run(whole, Budget(steps=12), self.journal(tmp_path, "whole"))

        cut = DenoiserTraining(SMALL, photographs)
        for step in range(5):
            cut.step(step / 12)
        cut.save(tmp_path / "cut.checkpoint")
        cut.step(5 / 12)  # lost with the process
        torch.manual_seed(99)
        resumed = DenoiserTraining(SMALL, photographs)
        run(resumed, Budget(steps=12), self.journal(tmp_path, "cut"))

        assert resumed.position.step == 12
        for name, tensor in whole.network.state_dict().items():
            assert torch.equal(tensor, resumed.network.state_dict()[name]), name
            assert torch.equal(whole.average.state[name], resumed.average.state[name]), name

    def test_checkpoint_of_another_run_is_refused(self, tmp_path, photographs):
        DenoiserTraining(SMALL, photographs).save(tmp_path / "checkpoint")
        other = DenoiserTraining(SMALL.model_copy(update={"seed": 5}), photographs)
        with pytest.raises(JobError, match="other settings or photographs; name another --checkpoint"):
            other.resume(tmp_path / "checkpoint")
        fewer = DenoiserTraining(SMALL, {"a.png": photographs["a.png"]})
        with pytest.raises(JobError, match="other settings or photographs"):
            fewer.resume(tmp_path / "checkpoint")

    def test_budget_of_time_ends_the_run(self, tmp_path, photographs):
        training = DenoiserTraining(SMALL, photographs)
        run(training, Budget(minutes=0.01), self.journal(tmp_path, "timed"))
        assert 0.6 <= training.position.seconds < 5
        assert training.position.step > 1

    @pytest.mark.parametrize("wrong", [{}, {"minutes": 1.0, "steps": 1}, {"minutes": 0.0}, {"steps": -1}])
    def test_budget_is_one_positive_number(self, wrong):
        with pytest.raises(JobError, match="either --minutes or --steps, above zero"):
            Budget(**wrong)

    def test_progress(self):
        assert Budget(steps=8).progress(Position(step=2, seconds=1e9)) == 0.25
        assert Budget(minutes=2).progress(Position(step=9, seconds=30.0)) == 0.25

    def test_command_trains_reports_and_exports(self, tmp_path, folder, photographs):
        settings, table = tmp_path / "small.toml", tmp_path / "photographs.tsv"
        settings.write_text(
            'name = "small"\nsummary = "Small."\narchitecture = "ffdnet"\nbatch_size = 4\npatch_size = 16\n'
            'arguments = { channels = 3, features = 24, layers = 3, predicts = "noise" }\n'
            "learning_rate = 1e-2\naverage_decay = 0.9\n"
        )
        table.write_text("".join(f"train\tp\t{name}\tCC0-1.0\tAnn\n" for name in photographs))
        output = tmp_path / "small.safetensors"
        command = [sys.executable, "-m", "pipeline.training.denoiser", "--settings", str(settings)]
        command += ["--photographs", str(folder), "--validate", str(folder), "--output", str(output)]
        command += ["--sources", str(table), "--steps", "150", "--threads", "1"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        assert "100.0 %  step 150" in done.stdout

        card, state = load_weights(output)
        told = card.training
        assert (told["steps"], told["finished"], told["data_sha256"]) == (150, True, digest(photographs))
        assert [each["file"] for each in told["photographs"]] == ["a.png", "b.png"]
        # The scores on the card are those of the weights in the file.
        network = build_network(card.architecture, card.arguments)
        network.load_state_dict(state)
        middles = {name: centre(pixels, 256) for name, pixels in photographs.items()}
        scores = validate(network, middles)
        assert told["validation"]["psnr_rgb_db"] == {k: round(v, 2) for k, v in scores.items()}
        assert scores["50"] > validate(lambda n, _: n, middles)["50"] + 4

        again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        assert "step 150  " in again.stdout
        assert load_weights(output)[1].keys() == state.keys()

        scored = CliRunner().invoke(_app(score.main), [str(output), str(folder), "--sigma", "25"])
        assert scored.exit_code == 0, scored.output
        assert card.weights_sha256 in scored.output
        assert [line.split()[0] for line in scored.output.splitlines()[1:]] == ["a.png", "b.png", "mean"]

    def test_wrong_commands_say_why(self, tmp_path, folder):
        common = ["--photographs", str(folder), "--output", str(tmp_path / "x.safetensors")]
        app = _app(denoiser.main)
        for arguments, message in (
            ([*common], "either --minutes or --steps"),
            ([*common, "--steps", "1", "--settings", "none.toml"], "cannot read the settings none.toml"),
            (["--photographs", str(tmp_path), *common[2:], "--steps", "1"], "no photographs in"),
        ):
            result = CliRunner().invoke(app, arguments)
            assert result.exit_code == 2
            assert message in result.output


def _app(command):
    app = typer.Typer()
    app.command()(command)
    return app


class TestSettings:
    def test_shipped_settings_are_valid(self):
        settings = DenoiserSettings.read(ROOT / "conf/train/ffdnet-colour.toml")
        assert (settings.name, settings.noise_levels) == ("ffdnet-colour", (0.0, 75.0))

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("patch_size = 63", "patch_size: Input should be a multiple of 2"),
            ("momentum = 0.9", "momentum: Extra inputs are not permitted.*known fields are name, summary"),
            ("noise_levels = [0, 300]", r"noise_levels\.1: Input should be less than or equal to 255"),
            ("learning_rate = 0", "learning_rate: Input should be greater than 0"),
            ("batch_size =", "is not TOML"),
        ],
    )
    def test_wrong_fields_are_named(self, tmp_path, line, message):
        path = tmp_path / "wrong.toml"
        path.write_text(f'name = "x"\nsummary = "x"\narchitecture = "ffdnet"\n{line}\n')
        with pytest.raises(JobError, match=message):
            DenoiserSettings.read(path)

    def test_every_listed_photograph_has_a_licence_that_lets_us_publish(self):
        lines = (ROOT / "conf/train/photographs.tsv").read_text().splitlines()
        rows = [line.split("\t") for line in lines if not line.startswith("#")]
        assert rows
        assert all(len(row) == 5 and row[0] in {"train", "validate"} for row in rows)
        allowed = ("CC0-1.0", "CC-BY-4.0", "CC-BY-SA-3.0", "CC-BY-SA-4.0", "public domain")
        assert all(row[3] in allowed for row in rows)
