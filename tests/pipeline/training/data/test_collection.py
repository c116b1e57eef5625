"""The images of a training: what is read, what is left out and why."""

import io

import numpy as np
import pytest
import tifffile
from skimage.color import rgb2gray

from pipeline.errors import JobError
from pipeline.jobs.job import Dataset
from pipeline.training.data.attribution import read_attribution
from pipeline.training.data.collection import Collection, read_collection
from pipeline.training.data.pictures import span_of
from pipeline.training.data.streaming import StreamedCollection
from tests.helpers import encoded, fill, photograph


def read(folder, **fields):
    given = {"channels": 3, "smallest": 16, "most_bytes": 1e9, "most_pixels": 10**6}
    return read_collection([Dataset(name="set", uri=str(folder))], **(given | fields))


def test_what_cannot_be_trained_on_is_counted_and_listed(tmp_path):
    whole = encoded(photograph(0))
    fill(
        tmp_path,
        {
            "a.png": whole,
            "b-truncated.png": whole[: len(whole) // 2],
            "c-empty.png": b"",
            "d-text.txt": b"no image",
            "e-small.png": encoded(photograph(1, 15, 40)),
            "f.png": encoded(photograph(2)),
        },
    )
    found = read(tmp_path)
    assert [each.name for each in found.pictures] == ["set/a.png", "set/f.png"]
    assert np.array_equal(found.pictures[1].pixels_HWC, photograph(2))
    reasons = {name: text.partition(":")[0] for name, text in found.skipped.items()}
    assert reasons.pop("set/b-truncated.png") in ("TRUNCATED", "UNREADABLE")
    assert reasons == {
        "set/c-empty.png": "EMPTY",
        "set/d-text.txt": "UNREADABLE",
        "set/e-small.png": "TOO_SMALL",
    }
    assert "15 x 40 pixels are less than data.crop = 16" in found.skipped["set/e-small.png"]


def test_nothing_to_train_on_is_an_error_with_the_first_reasons(tmp_path):
    fill(tmp_path, {"a.png": b"", "b.png": b"x"})
    with pytest.raises(JobError, match=r"nothing to train on in .*set/a\.png: EMPTY"):
        read(tmp_path)
    (tmp_path / "none").mkdir()
    with pytest.raises(JobError, match="No object matches"):
        read(tmp_path / "none")


def test_memory_is_bounded(tmp_path):
    fill(tmp_path, {f"{i}.png": encoded(photograph(i)) for i in range(8)})
    one = photograph(0).nbytes
    assert isinstance(read(tmp_path, most_bytes=8 * one), Collection)
    assert isinstance(read(tmp_path, most_bytes=8 * one - 1), StreamedCollection)


def test_images_larger_than_a_shard_are_left_out_where_not_all_fit(tmp_path):
    fill(tmp_path, {"a.png": encoded(photograph(0, 64, 64)), "b.png": encoded(photograph(1, 28, 28))})
    small = 28 * 28 * 3
    found = read(tmp_path, most_bytes=5 * small)
    assert found.names == ["set/b.png"]
    assert found.skipped["set/a.png"].startswith("TOO_LARGE: 1.23e-05 GB decoded; a fifth of data.memory")
    with pytest.raises(JobError, match=r"data\.memory_gigabytes: too little for any of the images"):
        read(tmp_path, most_bytes=small)


def test_sixteen_bits_stay_and_bands_that_do_not_fit_are_left_out(tmp_path):
    deep = (photograph(0).astype(np.uint16) * 257) ^ 5
    buffers = {}
    for name, pixels in (("deep", deep), ("bands", np.zeros((20, 20, 5), np.uint8))):
        file = io.BytesIO()
        tifffile.imwrite(
            file, pixels, photometric="rgb" if name == "deep" else "minisblack", planarconfig="contig"
        )
        buffers[f"{name}.tif"] = file.getvalue()
    fill(tmp_path, buffers)
    found = read(tmp_path)
    assert found.pictures[0].pixels_HWC.dtype == np.uint16
    assert np.array_equal(found.pictures[0].pixels_HWC, deep)
    assert span_of(found.pictures[0].pixels_HWC) == 65535
    assert found.skipped["set/bands.tif"].startswith("BAND_MISMATCH: 5 channels, the network takes 3")


def test_colour_becomes_grey_and_grey_is_repeated(tmp_path):
    fill(tmp_path, {"a.png": encoded(photograph(0)), "b.png": encoded(photograph(1)[:, :, 0])})
    colour, repeated = (each.pixels_HWC for each in read(tmp_path).pictures)
    assert repeated.shape[2] == 3
    assert np.array_equal(repeated[:, :, 0], repeated[:, :, 2])
    grey = read(tmp_path, channels=1).pictures[0].pixels_HWC
    # scikit-image weighs red, green and blue by BT.709, so that only the order of magnitude agrees.
    assert np.abs(grey[:, :, 0] / 255 - rgb2gray(colour)).max() < 0.1
    red, green, blue = (photograph(0)[..., i].astype(np.float64) for i in range(3))
    assert np.array_equal(grey[:, :, 0], (0.299 * red + 0.587 * green + 0.114 * blue).round())


def test_digest_changes_with_any_pixel_and_name(tmp_path):
    def digest(place, files):
        return read(fill(tmp_path / place, files).url).digest

    first, other = photograph(0), photograph(0).copy()
    other[3, 4, 1] ^= 1
    digests = [
        digest("1", {"a.png": encoded(first)}),
        digest("2", {"a.png": encoded(other)}),
        digest("3", {"b.png": encoded(first)}),
    ]
    assert len(set(digests)) == 3
    assert digest("4", {"a.png": encoded(first)}) == digests[0]


def test_every_image_needs_its_licence(tmp_path):
    table = tmp_path / "photographs.tsv"
    table.write_text("# comment\ntrain\tpackage\ta.jpg\tCC0-1.0\tAnn\n")
    with pytest.raises(JobError, match=r"does not list b\.png; .*--set data\.attribution=null"):
        read_attribution(table, ["a.png", "b.png"])
    found = read_attribution(table, ["a.png", "half/a.png"])
    assert found == [{"package": "package", "file": "a.jpg", "licence": "CC0-1.0", "author": "Ann"}]
    with pytest.raises(JobError, match=r"data\.attribution: cannot read"):
        read_attribution(tmp_path / "none.tsv", ["a.png"])
