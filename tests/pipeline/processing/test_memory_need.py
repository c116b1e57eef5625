"""What a restorer needs is measured on tiles; an image that would need too much is cut instead of tried."""

import mmap

import pytest
import torch

from models.card import Card
from models.contract import Condition
from models.restorer import Restorer
from models.tiling import Tiling
from pipeline.processing import auto_tiled_restorer, memory_limit
from pipeline.processing.auto_tiled_restorer import LARGE, AutoTiledRestorer
from pipeline.processing.memory_need import HIDDEN, PeakMemory, most_pixels, tile_need
from pipeline.storage.folder import Folder

CPU = torch.device("cpu")
TILINGS = (Tiling(64, 16, 1, "feather"), Tiling(96, 16, 1, "feather"))
KNOWN = Condition()


class Copies:
    """Holds so many copies of its input at a time, and something that does not depend on it."""

    def __init__(self, copies, fixed=1000, breaks=False):
        self.copies, self.fixed, self.breaks, self.calls = copies, fixed, breaks, []

    def __call__(self, image_BCHW, condition):
        self.calls.append(tuple(image_BCHW.shape))
        if self.breaks:
            raise ValueError("no")
        once = torch.zeros(self.fixed, dtype=torch.uint8)
        for _ in range(3):  # what is let go counts once
            held = [image_BCHW + index for index in range(self.copies)]
            del held
        return image_BCHW + once[0]


def restorer(model):
    return Restorer(
        Card(name="probe", summary="A probe.", task="general", halo=None, tile_exact=False), model
    )


def test_the_peak_is_what_was_held_at_one_time():
    with PeakMemory() as peak:
        one = torch.zeros(1000)
        two = one + 1
        view = two[:10]
        del two
        three = one * 2
        del view, three
        torch.zeros(10)
    assert peak.peak == 3 * 4000


@pytest.mark.parametrize("inference", [True, False])
def test_a_tile_needs_what_the_model_holds(inference):
    with torch.inference_mode(inference):
        pixels, need = tile_need(restorer(Copies(5)), TILINGS[0], torch.rand(1, 3, 200, 200), KNOWN)
    assert pixels == 82 * 82, "three tiles share 200 pixels, each with 16 of its neighbours"
    assert need == 1000 + (1 + 5) * 3 * 4 * pixels, "and the tile in the card's range"


def test_the_line_through_two_tiles_says_how_large_an_image_may_be():
    copies = restorer(Copies(5, fixed=50_000))
    memory = HIDDEN * (50_000 + 600_000 + 120_000)
    assert most_pixels(copies, TILINGS, torch.rand(1, 3, 200, 200), KNOWN, memory) == pytest.approx(10_000)
    assert most_pixels(restorer(Copies(0)), TILINGS, torch.rand(1, 3, 200, 200), KNOWN, 1 << 30) > 1 << 24
    assert most_pixels(
        restorer(Copies(5, breaks=True)), TILINGS, torch.rand(1, 3, 200, 200), KNOWN, 1
    ) == float("inf")


@pytest.mark.parametrize(("memory", "is_cut"), [(1 << 40, False), (LARGE * 12 * 4, True)])
def test_an_image_that_would_not_fit_is_cut_before_it_is_tried(tmp_path, monkeypatch, memory, is_cut):
    monkeypatch.setattr(auto_tiled_restorer, "allowed_memory", lambda: memory)
    monkeypatch.setattr(auto_tiled_restorer, "held_memory", lambda: 0)
    model = Copies(4)
    tiled = AutoTiledRestorer(restorer(model), "digest", CPU, cache=Folder(str(tmp_path)))
    image_BCHW = torch.rand(1, 3, 1024, 1100)
    restored_BCHW, cut = tiled(image_BCHW, KNOWN)
    torch.testing.assert_close(restored_BCHW, image_BCHW)
    assert ("tiling" in cut) == is_cut
    assert ((1, 3, 1024, 1100) in model.calls) != is_cut
    tried = len(model.calls)
    tiled(torch.rand(1, 3, 100, 100), KNOWN)
    assert len(model.calls) == tried + 1, "it is measured once, and small images go whole"
    assert list(tmp_path.iterdir()) == [], "what a machine has is not written down as what a restorer takes"


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize(("share", "is_cut"), [(1.0, False), (0.5, True)])
def test_where_memory_is_short_tiles_are_small(tmp_path, monkeypatch, share, is_cut, exact):
    monkeypatch.setattr(auto_tiled_restorer, "allowed_memory", lambda: 10_000_000)
    monkeypatch.setattr(auto_tiled_restorer, "held_memory", lambda: 0)
    model = Copies(4)
    card = Card(name="probe", summary="A probe.", task="general", halo=4 if exact else None, tile_exact=exact)
    tiled = AutoTiledRestorer(
        Restorer(card, model), "digest", CPU, cache=Folder(str(tmp_path)), memory_share=share
    )
    image_BCHW = torch.rand(
        1, 3, 190, 500
    )  # four copies and the input are 5.7 MB, and of a tile of 64 within its blend 3.9
    restored_BCHW, cut = tiled(image_BCHW, KNOWN)
    torch.testing.assert_close(restored_BCHW, image_BCHW)
    assert ("tiling" in cut) == is_cut
    assert ((1, 3, 190, 500) in model.calls) != is_cut
    measured = 2
    assert all(5 * 12 * shape[2] * shape[3] <= share * 10_000_000 for shape in model.calls[measured:])


def test_what_a_process_holds_already_is_not_there_for_an_image():
    before = memory_limit.held_memory()
    # Pages of the system's own: what tests before this one have freed is held already.
    with mmap.mmap(-1, 120_000_000) as held:
        held.write(b"1" * len(held))
        assert memory_limit.held_memory() - before > 100_000_000


@pytest.mark.parametrize(("said", "limit"), [("1000000\n", 750_000), ("max\n", None), (f"{1 << 62}\n", None)])
def test_a_container_may_have_less_than_its_machine(tmp_path, monkeypatch, said, limit):
    monkeypatch.setattr(memory_limit, "CONTAINER_LIMITS", (tmp_path / "none",))
    machine = memory_limit.allowed_memory()
    (tmp_path / "limit").write_text(said)
    monkeypatch.setattr(memory_limit, "CONTAINER_LIMITS", (tmp_path / "limit", tmp_path / "none"))
    assert memory_limit.allowed_memory() == (limit or machine)
