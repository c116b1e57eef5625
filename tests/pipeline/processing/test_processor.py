"""The device's part: scores that another program finds too, in whatever company an image travels."""

import uuid

import numpy as np
import pytest
import torch
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio

from pipeline.formats import decode, encode
from pipeline.hashing import sha256_hex
from pipeline.processing.batches import Batches
from pipeline.processing.bisection import bisected
from pipeline.processing.cases import Loaded
from pipeline.processing.processor import Processor
from pipeline.recipe.recipe import Recipe
from pipeline.storage.folder import Folder
from tests.helpers import benchmark, decoded, encoded, photograph, source_of


def loaded(folder: Folder, key: str, data: bytes) -> Loaded:
    folder.put(key, data)
    entry = next(each for page in folder.pages() for each in page if each.key == key)
    return Loaded(source_of("photos", folder, entry), sha256_hex(data), len(data), decode(data))


@pytest.fixture
def photos():
    folder = Folder(f"memory://{uuid.uuid4().hex}")
    return [loaded(folder, f"{i}.png", encoded(photograph(i))) for i in range(7)]


def processor(**fields) -> Processor:
    return Processor(Recipe.of(benchmark("in", "out", **fields)), torch.device("cpu"))


def scored(process: Processor, batches) -> dict:
    """(key, degradation, restorer) -> scores and pixels."""
    return {
        (each.loaded.source.key, each.degradation, each.restorer): (
            {name: each.fields[name] for name in ("psnr", "psnr_degraded", "mae")},
            each.restored.pixels_HWC,
        )
        for batch in batches
        for each in process(batch)
    }


def test_batch_size_and_order_change_nothing(photos):
    process = processor(
        degradations=["awgn-25", "mask", "jpeg-q10"], restorers=["identity", "median", "total-variation"]
    )
    together = scored(process, [photos])
    assert len(together) == 7 * 9
    for batches in ([[each] for each in photos], [photos[::-1]], [photos[4:], photos[:4]]):
        other = scored(process, batches)
        assert other.keys() == together.keys()
        for case, (scores, pixels) in other.items():
            assert scores == pytest.approx(together[case][0], rel=1e-6), case
            assert np.array_equal(pixels, together[case][1]), case


def test_scores_are_those_of_the_rounded_pixels_by_scikit_image(photos):
    process = processor(restorers=["median"], metrics=["psnr", "mse", "mae"])
    for outcome in process(photos):
        reference = outcome.loaded.image.pixels_HWC
        restored = outcome.restored.pixels_HWC
        assert restored.dtype == np.uint8
        assert outcome.fields["psnr"] == pytest.approx(peak_signal_noise_ratio(reference, restored), abs=1e-4)
        assert outcome.fields["mse"] == pytest.approx(
            mean_squared_error(reference / 255.0, restored / 255.0), rel=1e-4
        )
        difference = np.abs(reference.astype(float) - restored).mean() / 255
        assert outcome.fields["mae"] == pytest.approx(difference, rel=1e-4)


def test_the_inputs_own_score_is_that_of_the_unrounded_noise(photos):
    process = processor(restorers=["identity"])
    (outcome,) = process(photos[:1])
    reference = outcome.loaded.image.pixels_HWC / 255.0
    noisy = outcome.case.degraded.image_BCHW[0].permute(1, 2, 0).numpy().astype(float)
    assert noisy.min() < 0 or noisy.max() > 1, "papers do not clip"
    expected = peak_signal_noise_ratio(reference, noisy, data_range=1.0)
    assert outcome.fields["psnr_degraded"] == pytest.approx(expected, abs=1e-4)
    assert outcome.fields["psnr"] > expected, "what is stored is clipped, and clipping helps"


def test_smaller_inputs_are_cut_and_scored_without_a_border_of_the_scale():
    folder = Folder(f"memory://{uuid.uuid4().hex}")
    odd = loaded(folder, "odd.png", encoded(photograph(1, 43, 50)))
    (outcome,) = processor(degradations=["bicubic-x4"], restorers=["bicubic"])([odd])
    assert outcome.restored.size == (40, 48, 3)
    reference = odd.image.pixels_HWC[:40, :48][4:-4, 4:-4]
    restored = outcome.restored.pixels_HWC[4:-4, 4:-4]
    assert outcome.fields["psnr"] == pytest.approx(peak_signal_noise_ratio(reference, restored), abs=1e-4)
    assert outcome.fields["psnr"] == pytest.approx(outcome.fields["psnr_degraded"], abs=1e-9)


def test_an_image_too_small_for_the_scale_fails_alone():
    folder = Folder(f"memory://{uuid.uuid4().hex}")
    tiny = loaded(folder, "tiny.png", encoded(photograph(1, 3, 50)))
    outcomes = list(processor(degradations=["bicubic-x4"], restorers=["bicubic", "lanczos"])([tiny]))
    assert [each.restorer for each in outcomes] == ["bicubic", "lanczos"]
    assert {(each.error.reason, each.stage) for each in outcomes} == {("TOO_SMALL", "degrade")}


def test_a_restorer_that_lacks_its_condition_fails_and_the_others_go_on(photos):
    outcomes = list(processor(restorers=["identity", "biharmonic-inpainting"])(photos[:3]))
    fine = [each for each in outcomes if each.error is None]
    failed = [each for each in outcomes if each.error is not None]
    assert [each.restorer for each in fine] == ["identity"] * 3
    assert {(each.error.reason, each.stage) for each in failed} == {("CONDITION_MISSING", "restore")}


def test_one_of_a_batch_that_fails_costs_no_other():
    calls = []

    def run(part):
        calls.append(tuple(part))
        if 5 in part:
            raise RuntimeError("five")
        return [10 * each for each in part]

    results = bisected(run, list(range(8)))
    assert [str(each) for each in results] == ["0", "10", "20", "30", "40", "five", "60", "70"]
    assert len(calls) == 7


def test_draws_do_not_depend_on_the_place_of_the_data(photos):
    elsewhere = Folder(f"memory://{uuid.uuid4().hex}/quite/another/place")
    moved = [loaded(elsewhere, each.source.key, encoded(photograph(i))) for i, each in enumerate(photos)]
    assert moved[0].source.source_id != photos[0].source.source_id
    process = processor(degradations=["blur-noise"], restorers=["identity"])
    here, there = scored(process, [photos]), scored(process, [moved])
    for case, (scores, pixels) in here.items():
        assert scores == there[case][0]
        assert np.array_equal(pixels, there[case][1])


@pytest.mark.parametrize(
    "samples",
    [
        photograph(0)[:, :, 0],
        photograph(0),
        np.dstack([photograph(0), photograph(1)[:, :, :1]]),
        photograph(0)[:, :, 0].astype(np.uint16) * 257 - 100,
    ],
    ids=["grey", "rgb", "rgba", "grey-16"],
)
def test_every_kind_of_image_keeps_its_kind(samples):
    folder = Folder(f"memory://{uuid.uuid4().hex}")
    samples = np.maximum(samples, 1)
    source = loaded(folder, "a.png", encoded(samples))
    (outcome,) = processor(restorers=["median"])([source])
    assert outcome.error is None, outcome.error
    restored = outcome.restored
    assert restored.pixels_HWC.dtype == samples.dtype
    colour = samples[..., :3] if samples.ndim == 3 else samples[..., None]
    assert restored.pixels_HWC.shape == colour.shape
    if samples.ndim == 3 and samples.shape[2] == 4:
        assert np.array_equal(restored.alpha_HW, samples[..., 3])
    expected = peak_signal_noise_ratio(colour, restored.pixels_HWC)
    assert outcome.fields["psnr"] == pytest.approx(expected, abs=1e-3)


def test_batches_are_of_one_shape_bounded_and_lose_nothing(photos):
    folder = Folder(f"memory://{uuid.uuid4().hex}")
    small = [loaded(folder, f"s{i}.png", encoded(photograph(i, 16, 16))) for i in range(5)]
    mixed = [each for pair in zip(photos, [*small, *small[:2]], strict=True) for each in pair]
    batches = Batches(most_images=3)
    for each in mixed:
        batches.add(each)
    full = list(iter(batches.take, []))
    assert [len(batch) for batch in full] == [3, 3, 3, 3]
    everything = [*full, *iter(lambda: batches.take(partly=True), [])]
    assert len(batches) == 0
    assert sorted(id(each) for batch in everything for each in batch) == sorted(map(id, mixed))
    assert all(len({each.image.size for each in batch}) == 1 for batch in everything)


def test_a_batch_has_a_bounded_number_of_pixels_and_one_image_always_goes(photos):
    for pixels, counts in ((2 * 32 * 40, [2, 2, 2]), (1, [1] * 7)):
        batches = Batches(most_images=100, batch_pixels=pixels)
        for each in photos:
            batches.add(each)
        assert [len(batch) for batch in iter(batches.take, [])] == counts


def test_the_shape_that_waits_longest_goes_first_where_no_batch_is_full(photos):
    folder = Folder(f"memory://{uuid.uuid4().hex}")
    batches = Batches()
    for each in (photos[0], loaded(folder, "s.png", encoded(photograph(0, 16, 16))), photos[1]):
        batches.add(each)
    assert batches.take() == []
    assert [each.image.size[0] for each in batches.take(partly=True)] == [32, 32]
    assert [each.image.size[0] for each in batches.take(partly=True)] == [16]


def test_stored_files_show_the_restored_pixels(photos):
    (outcome,) = processor(restorers=["median"])(photos[:1])
    assert np.array_equal(decoded(encode(outcome.restored, "png")), outcome.restored.pixels_HWC)
    assert np.array_equal(decoded(encode(outcome.restored, "tiff")), outcome.restored.pixels_HWC)
