"""Files of several images: each page a source, or all of them a scene; a damaged page costs itself."""

import io
import json

import numpy as np
import PIL.Image
import pytest
import tifffile

from pipeline.doors.pages.archive import PagesArchive
from pipeline.errors import ImageError
from pipeline.formats import FORMATS, Limits, decode
from pipeline.formats.exif import orientation_of
from pipeline.formats.paged import read_pages
from pipeline.storage.folder import Folder
from tests.door_contract import listed
from tests.helpers import complete, encoded, photograph, restore
from tests.moto_s3 import new_bucket


def frames(count=4, grey=False):
    whole = photograph(3, 40, 56)
    cut = [np.ascontiguousarray(whole[t : t + 32, 2 * t : 2 * t + 40]) for t in range(count)]
    return [each[..., :1] for each in cut] if grey else cut


def tiff_of(pages, overview=False):
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for page in pages:
            writer.write(page, photometric="rgb", compression="zlib", metadata=None)
        if overview:
            writer.write(pages[0][::2, ::2].copy(), photometric="rgb", subfiletype=1, metadata=None)
    return file.getvalue()


def animation(kind, pages):
    file = io.BytesIO()
    first, *rest = [PIL.Image.fromarray(each.squeeze()) for each in pages]
    lossless = {"lossless": True} if kind == "WEBP" else {}
    first.save(file, kind, save_all=True, append_images=rest, **lossless)
    return file.getvalue()


def damaged(data, page):
    """With bytes of one page's only strip put out."""
    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        (at,), (length,) = tiff.pages[page].dataoffsets, tiff.pages[page].databytecounts
    return data[: at + 8] + bytes(length - 8) + data[at + length :]


FILES = {
    "clip.tif": lambda pages: tiff_of(pages, overview=True),
    "clip.png": lambda pages: animation("PNG", pages),
    "clip.webp": lambda pages: animation("WEBP", pages),
}


@pytest.mark.parametrize("name", FILES)
def test_every_page_is_an_image_to_the_bit(tmp_path, name):
    pages = frames()
    (tmp_path / name).write_bytes(FILES[name](pages))
    (tmp_path / "one.png").write_bytes(encoded(pages[0]))
    archive = PagesArchive(Folder(str(tmp_path)))
    found = {entry.key: entry for entry in listed(archive)}
    assert sorted(found) == [*(f"{name}/page-{n:04d}.tif" for n in range(1, 5)), "one.png"]
    for number, page in enumerate(pages, 1):
        image = decode(archive.read(found[f"{name}/page-{number:04d}.tif"].at), Limits())
        assert np.array_equal(image.pixels_HWC, page)
    assert archive.read(found["one.png"].at) == encoded(pages[0])


def test_a_gif_is_grey_where_all_its_frames_are_and_ends_where_it_ends():
    pages = frames(grey=True)
    whole = animation("GIF", pages)
    read = read_pages(whole, Limits())
    assert [decode(read[n], Limits()).size for n in range(4)] == [(32, 40, 1)] * 4
    assert np.array_equal(decode(read[2], Limits()).pixels_HWC, pages[2])
    cut = read_pages(whole[: len(whole) - 300], Limits())
    assert np.array_equal(decode(cut[0], Limits()).pixels_HWC, pages[0])
    with pytest.raises(ImageError) as refusal:
        cut[3]
    assert refusal.value.reason == "TRUNCATED"


def test_a_page_keeps_its_tags_but_for_those_of_the_file():
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for number, page in enumerate(frames(2)):
            note = "ImageJ=1.54\nimages=2" if number == 0 else "the second"
            tags = [(274, 3, 1, 6, True), (297, 3, 2, (number, 2), True)]
            writer.write(
                page,
                photometric="rgb",
                metadata=None,
                description=note,
                extratags=tags,
                resolution=(300, 300),
            )
    read = read_pages(file.getvalue(), Limits())
    for number, page in enumerate(frames(2)):
        with tifffile.TiffFile(io.BytesIO(FORMATS["tiff"].encode(decode(read[number])))) as tiff:
            (again,) = tiff.pages
        tags = {tag.code: tag.value for tag in again.tags}
        assert np.array_equal(again.asarray(), page)
        assert (tags[274], tags[282], 297 in tags) == (6, (300, 1), False)
        assert tags.get(270) == (None if number == 0 else "the second")


def test_a_page_of_a_raster_is_one_with_its_holes():
    pytest.importorskip("rasterio", reason="needs the extra geo")
    file = io.BytesIO()
    grid = [(33550, 12, 3, (10.0, 10.0, 0.0), True), (33922, 12, 6, (0.0, 0.0, 0.0, 5e5, 5e6, 0.0), True)]
    with tifffile.TiffWriter(file) as writer:
        for page in frames(2, grey=True):
            page[:4] = 7
            nodata = (42113, 2, 2, "7", True)
            writer.write(page[..., 0], photometric="minisblack", metadata=None, extratags=[*grid, nodata])
    image = decode(read_pages(file.getvalue(), Limits())[1])
    assert image.metadata.entries["geotiff_header"].transform == (5e5, 10, 0, 5e6, 0, -10)
    assert not image.valid_HW[:4].any()
    assert image.valid_HW[4:].mean() > 0.9


def test_frames_have_what_the_file_says_of_all():
    exif = PIL.Image.Exif()
    exif[274] = 6
    first, *rest = map(PIL.Image.fromarray, frames(3))
    for kind in ("PNG", "WEBP"):
        file = io.BytesIO()
        first.save(
            file,
            kind,
            save_all=True,
            append_images=rest,
            exif=exif,
            **({"lossless": True} if kind == "WEBP" else {}),
        )
        read = read_pages(file.getvalue(), Limits())
        assert [orientation_of(decode(read[n]).metadata.entries["exif"]) for n in range(3)] == [6, 6, 6]


def test_frames_of_sixteen_bits_are_refused():
    """Pillow makes white of all that is above 255."""
    first = PIL.Image.fromarray(np.full((8, 8), 4000, np.uint16))
    file = io.BytesIO()
    first.save(
        file, "PNG", save_all=True, append_images=[PIL.Image.fromarray(np.full((8, 8), 5000, np.uint16))]
    )
    with PIL.Image.open(io.BytesIO(file.getvalue())) as opened:
        assert opened.n_frames == 2
    read = read_pages(file.getvalue(), Limits())
    for number in range(2):
        with pytest.raises(ImageError) as refusal:
            read[number]
        assert refusal.value.reason == "UNSUPPORTED_DTYPE"


def test_a_file_that_changed_after_it_was_listed_is_another_one(tmp_path):
    (tmp_path / "clip.tif").write_bytes(tiff_of(frames()))
    archive = PagesArchive(Folder(str(tmp_path)))
    (first, *_) = listed(archive)
    (tmp_path / "clip.tif").write_bytes(tiff_of(frames(5)))
    with pytest.raises(ImageError) as refusal:
        archive.read(first.at)
    assert refusal.value.reason == "CHANGED"
    assert archive.entry(first.at).version != first.version


def run(place, out, group, **fields):
    datasets = [{"name": "clips", "uri": place, "group": group, **fields}]
    job = restore(place, out, datasets=datasets, restorers=["temporal-median"])
    return {row["key"]: row for row in complete(job)}


@pytest.mark.usefixtures("s3")
def test_the_pages_of_a_file_are_a_scene(tmp_path):
    place = Folder(f"{new_bucket()}/clips")
    place.put("a.tif", tiff_of(frames()))
    place.put("b.tif", damaged(tiff_of(frames()), 2))
    rows = run(place.url, tmp_path / "out", "pages")
    first = {key: (row["status"], row["reason"]) for key, row in rows.items()}
    assert first == {
        "a.tif/page-0001.tif": ("ok", None),
        "b.tif/page-0001.tif": ("quarantined", "FRAME_UNFIT"),
    }
    assert json.loads(rows["a.tif/page-0001.tif"]["condition"])["frames"] == 4
    rows = run(place.url, tmp_path / "each", {"match": "pages", "around": 2, "damaged": "leave out"})
    assert {key[6:] for key, row in rows.items() if row["status"] != "ok"} == {"page-0003.tif"}
    told = {key: json.loads(row["condition"]) for key, row in rows.items() if row["status"] == "ok"}
    assert (told["b.tif/page-0002.tif"]["frames"], told["b.tif/page-0004.tif"]["frames"]) == (3, 2)
    assert [bool(each) for each in told["b.tif/page-0002.tif"]["frame_sha256"]] == [True, False, True]
    assert (told["b.tif/page-0004.tif"]["place"], told["a.tif/page-0004.tif"]["place"]) == (1, 2)
    rows = run(place.url, tmp_path / "near", {"match": "pages", "around": 1, "damaged": "leave out"})
    reasons = {key: row["reason"] for key, row in rows.items() if row["status"] != "ok"}
    assert reasons == {"b.tif/page-0003.tif": "TRUNCATED", "b.tif/page-0004.tif": "FRAMES_MISSING"}
    written = sorted(each.name for each in (tmp_path / "each" / "a.tif").iterdir())
    assert written == [f"page-{n:04d}.tif" for n in range(1, 5)]
