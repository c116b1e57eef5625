"""Weights from paths and URLs, of this project and of others; and files that must not be trusted."""

import importlib.util
import os
import pickle
import subprocess
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from models.card import Card
from models.catalog import build_solver
from models.contract import Condition, RestorerError
from models.networks import build_network
from models.networks.rrdbnet import RRDBNet
from models.networks.swinir import SwinIR
from models.weights import build_restorer, load_weights, save_weights
from pipeline.errors import JobError
from pipeline.hashing import sha256_hex
from pipeline.quarantine import is_out_of_memory, reason_and_message
from pipeline.recipe import spandrel_weights
from pipeline.recipe.recipe import Recipe
from pipeline.recipe.weights import fetch, fetch_restorer, file_name
from pipeline.storage.folder import Folder
from tests.helpers import benchmark, complete, photographs_in
from tests.moto_s3 import new_bucket

CARD = Card(
    name="small",
    summary="A small FFDNet.",
    task="denoising",
    channels=3,
    multiple_of=2,
    minimum_size=2,
    halo=9,
    architecture="ffdnet",
    arguments={"channels": 3, "features": 8, "layers": 3},
    needs=("noise_level",),
)
needs_spandrel = pytest.mark.skipif(
    importlib.util.find_spec("spandrel") is None,
    reason="spandrel is not installed (the extra of that name)",
)


@pytest.fixture
def ours(tmp_path):
    path = tmp_path / "small.safetensors"
    torch.manual_seed(3)
    state = build_network(CARD.architecture, CARD.arguments).state_dict()
    save_weights(path, CARD, {name: 0.1 * torch.randn_like(tensor) for name, tensor in state.items()})
    return path


@pytest.fixture
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("RESTORA_CACHE", str(folder))
    return folder


class Server:
    """Files over HTTP on loopback, with a count of how often each was sent whole."""

    def __init__(self):
        self.files, self.tags, self.sent = {}, {}, Counter()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self):
                self.answer(body=False)

            def do_GET(self):
                self.answer(body=True)

            def answer(self, body):
                name = self.path.partition("?")[0]
                content = outer.files.get(name)
                self.send_response(200 if content is not None else 404)
                self.send_header("Content-Length", str(len(content or b"")))
                if name in outer.tags:
                    self.send_header("ETag", outer.tags[name])
                self.end_headers()
                if body and content is not None:
                    outer.sent[name] += 1
                    self.wfile.write(content)

            def log_message(self, *words):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def url(self, name):
        return f"http://127.0.0.1:{self._server.server_port}{name}"

    def put(self, name, content, tag=None):
        self.files[name] = content
        if tag is not None:
            self.tags[name] = tag

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server(cache):
    running = Server()
    yield running
    running.stop()


def test_a_local_file_is_read_where_it_is(ours, cache):
    restorer = fetch_restorer(str(ours))
    assert restorer.card.name == "small"
    assert restorer.card.weights_sha256 == sha256_hex(ours.read_bytes())
    assert not cache.exists()


def test_a_remote_file_is_fetched_once_and_kept_by_its_digest(ours, server, cache):
    content = ours.read_bytes()
    server.put("/small.safetensors", content, tag='"one"')
    restorers = [fetch_restorer(server.url("/small.safetensors")) for _ in range(3)]
    assert server.sent["/small.safetensors"] == 1
    assert (cache / "weights/sha256" / sha256_hex(content)).read_bytes() == content
    expected = build_restorer(*load_weights(ours))
    image_BCHW = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    condition = Condition(noise_level_B=torch.tensor([0.1]))
    for restorer in restorers:
        assert torch.equal(
            restorer(image_BCHW, condition=condition), expected(image_BCHW, condition=condition)
        )


def test_a_signed_url_still_names_a_file(ours, server):
    server.put("/small.safetensors", ours.read_bytes(), tag='"one"')
    url = server.url("/small.safetensors?signature=a/b%2Fc&expires=1")
    assert file_name(url) == "small.safetensors"
    assert fetch_restorer(url).card.name == "small"


def test_a_changed_file_is_fetched_again(server):
    server.put("/w.pth", b"first", tag='"1"')
    assert fetch(server.url("/w.pth")) == b"first"
    server.put("/w.pth", b"other", tag='"2"')
    assert fetch(server.url("/w.pth")) == b"other"
    assert server.sent["/w.pth"] == 2


def test_without_a_version_nothing_old_is_served(server):
    server.put("/w.pth", b"first")
    assert fetch(server.url("/w.pth")) == b"first"
    server.put("/w.pth", b"other")
    assert fetch(server.url("/w.pth")) == b"other"


def test_s3_is_cached_by_etag(s3, cache):
    bucket = new_bucket()
    Folder(bucket).put("models/w.pth", b"first")
    assert [fetch(f"{bucket}/models/w.pth") for _ in range(2)] == [b"first"] * 2
    assert len(list((cache / "weights/versions").iterdir())) == 1
    Folder(bucket).put("models/w.pth", b"other")
    assert fetch(f"{bucket}/models/w.pth") == b"other"
    assert len(list((cache / "weights/versions").iterdir())) == 2


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"fir"), Path.unlink])
def test_a_damaged_cache_heals(server, cache, damage):
    server.put("/w.pth", b"first", tag='"1"')
    fetch(server.url("/w.pth"))
    damage(cache / "weights/sha256" / sha256_hex(b"first"))
    assert fetch(server.url("/w.pth")) == b"first"
    assert (cache / "weights/sha256" / sha256_hex(b"first")).read_bytes() == b"first"


def test_threads_of_one_process_fetch_once(server):
    server.put("/w.pth", bytes(1 << 20), tag='"1"')
    threads = [threading.Thread(target=fetch, args=(server.url("/w.pth"),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.sent["/w.pth"] == 1


def test_replicas_that_start_together_fetch_once(server):
    server.put("/w.pth", bytes(1 << 20), tag='"1"')
    # Two forks of one process that has imported everything and started no thread: imports take seconds.
    code = (
        "import os; from pipeline.recipe.weights import fetch\n"
        "is_first = os.fork() > 0\n"
        f"found = len(fetch({server.url('/w.pth')!r}))\n"
        "if not is_first: os._exit(found != 1 << 20)\n"
        "print(found, os.waitstatus_to_exitcode(os.wait()[1]))"
    )
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, timeout=120)
    assert done.stdout.split() == [str(1 << 20), "0"]
    assert server.sent["/w.pth"] == 1


@pytest.mark.parametrize("keep", [0, 5, 40, 0.5, -1])
@pytest.mark.parametrize("kind", ["card", "no card", "pth"])
def test_a_cut_off_file_is_refused_by_name(ours, tmp_path, kind, keep):
    path = tmp_path / ("cut.pth" if kind == "pth" else "cut.safetensors")
    tensors = {"weight": torch.rand(64, 64)}
    if kind == "pth":
        torch.save(tensors, path)
    elif kind == "no card":
        safetensors.torch.save_file(tensors, path)
    else:
        path.write_bytes(ours.read_bytes())
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else keep])
    with pytest.raises(JobError, match=r"cut\.(pth|safetensors): .*(whole|empty).*again"):
        fetch_restorer(str(path))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("weights.tflite", r"weights\.tflite: weights end in \.safetensors, \.onnx"),
        ("absent.safetensors", r"absent\.safetensors: no such file; check the address"),
        ("folder.pth", r"folder\.pth: IsADirectoryError"),
    ],
)
def test_what_is_no_file_of_weights_is_refused(tmp_path, name, message):
    (tmp_path / "folder.pth").mkdir()
    (tmp_path / "weights.tflite").write_bytes(b"TFL3")
    with pytest.raises(JobError, match=message):
        fetch_restorer(str(tmp_path / name))


def test_a_missing_remote_file_is_named(server):
    with pytest.raises(JobError, match=r"/none\.safetensors: no such file; check the address"):
        fetch_restorer(server.url("/none.safetensors"))


class Poison:
    """Unpickling it creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("how", ["archive", "legacy", "pickle"])
def test_a_poisoned_pickle_is_refused_and_nothing_runs(tmp_path, how):
    path, trace = tmp_path / "poisoned.pth", tmp_path / "it-ran"
    state = {"weight": torch.zeros(3), "extra": Poison(trace)}
    if how == "pickle":
        path.write_bytes(pickle.dumps(state))
    else:
        torch.save(state, path, _use_new_zipfile_serialization=how == "archive")
    with pytest.raises(JobError, match=r"poisoned\.pth: refused: .*need no code.*save_file") as refusal:
        fetch_restorer(str(path))
    assert not trace.exists()
    assert "weights_only" not in str(refusal.value)
    if how != "pickle":
        assert "posix.system" in str(refusal.value)
    torch.load(path, weights_only=False) if how != "pickle" else pickle.loads(path.read_bytes())
    assert trace.exists(), "the poison was none, so that the test proved nothing"


def test_a_whole_module_and_a_program_are_refused(tmp_path):
    module = nn.Conv2d(3, 3, 1)
    torch.save(module, tmp_path / "module.pth")
    torch.jit.script(module).save(tmp_path / "program.pt")
    with pytest.raises(JobError, match=r"module\.pth: refused: this pickle wants to run torch\.nn.*Conv2d"):
        fetch_restorer(str(tmp_path / "module.pth"))
    with pytest.raises(JobError, match=r"program\.pt: refused: this file holds more than tensors"):
        fetch_restorer(str(tmp_path / "program.pt"))


@pytest.mark.parametrize("content", [torch.zeros(3), [torch.zeros(3)], {}])
def test_tensors_without_names_are_refused(tmp_path, content):
    torch.save(content, tmp_path / "odd.pth")
    with pytest.raises(JobError, match=r"odd\.pth: holds a \w+, not named tensors.*state_dict"):
        fetch_restorer(str(tmp_path / "odd.pth"))


def test_without_spandrel_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "spandrel", None)
    safetensors.torch.save_file({"weight": torch.zeros(3)}, tmp_path / "others.safetensors")
    with pytest.raises(JobError, match=r"others\.safetensors: .*pip install 'restora\[spandrel\]'"):
        fetch_restorer(str(tmp_path / "others.safetensors"))


def esrgan_state(network: RRDBNet) -> dict[str, torch.Tensor]:
    """Tensors under the names that the authors of ESRGAN gave them."""
    names = {"head": "conv_first", "body_tail": "conv_body", "refinement": "conv_hr", "tail": "conv_last"}
    names |= {f"enlarging.{i}": f"conv_up{i + 1}" for i in range(2)}
    for block in range(len(network.body)):
        for dense in range(3):
            for layer in range(5):
                key = f"body.{block}.blocks.{dense}.convolutions.{layer}"
                names[key] = f"body.{block}.rdb{dense + 1}.conv{layer + 1}"
    renamed = {}
    for key, tensor in network.state_dict().items():
        place, _, kind = key.rpartition(".")
        renamed[f"{names[place]}.{kind}"] = tensor
    return renamed


@pytest.fixture
def esrgan():
    torch.manual_seed(0)
    return RRDBNet(features=16, growth=32, blocks=1)


@needs_spandrel
@pytest.mark.parametrize("ending", [".pth", ".safetensors"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_spandrel_weights_restore_as_our_network_does(esrgan, tmp_path, ending, wrapped):
    path, state = tmp_path / f"esrgan{ending}", esrgan_state(esrgan)
    if ending == ".safetensors":
        safetensors.torch.save_file(state, path)
    else:
        torch.save({"params_ema": state} if wrapped else state, path)
    restorer, card = fetch_restorer(str(path)), fetch_restorer(str(path)).card
    assert (card.name, card.task, card.scale, card.channels) == ("esrgan", "super-resolution", 4, 3)
    assert (card.halo, card.tile_exact, card.precisions) == (None, False, ("float32",))
    assert card.architecture == "spandrel ESRGAN"
    assert card.weights_sha256 == sha256_hex(path.read_bytes())
    image_BCHW = torch.rand(2, 3, 9, 14)
    with torch.inference_mode():
        expected_BCHW = esrgan(image_BCHW).clamp(0, 1)
    torch.testing.assert_close(restorer(image_BCHW), expected_BCHW, rtol=0, atol=1e-5)


@needs_spandrel
def test_size_requirements_become_the_card(tmp_path):
    spandrel = spandrel_weights._spandrel()
    torch.manual_seed(0)
    inner = spandrel.MAIN_REGISTRY["DRUNet"].architecture
    network = importlib.import_module(type(inner).__module__).DRUNet(
        in_nc=4, out_nc=3, nc=[8, 16, 24, 32], nb=2
    )
    torch.save(network.state_dict(), tmp_path / "drunet.pth")
    restorer = fetch_restorer(str(tmp_path / "drunet.pth"))
    assert restorer.card.multiple_of == 8, "it halves its input three times"
    assert restorer(torch.rand(1, 3, 13, 21)).shape == (1, 3, 13, 21)


@needs_spandrel
def test_an_inpainting_network_fills_the_hole_and_nothing_else(tmp_path):
    spandrel_weights._spandrel()
    torch.manual_seed(0)
    network = importlib.import_module("spandrel.architectures.LaMa").LaMa(in_nc=4, out_nc=3)
    torch.save(network.state_dict(), tmp_path / "lama.pth")
    restorer = fetch_restorer(str(tmp_path / "lama.pth"))
    assert (restorer.card.task, restorer.card.needs, restorer.card.channels) == ("inpainting", ("mask",), 3)
    image_BCHW, known_B1HW = torch.rand(2, 3, 30, 41), torch.ones(2, 1, 30, 41)
    known_B1HW[0, :, 5:12, 8:20] = 0
    restored_BCHW = restorer(image_BCHW, condition=Condition(mask_B1HW=known_B1HW))
    changed_BCHW = (restored_BCHW - image_BCHW).abs() > 1e-6
    assert not changed_BCHW[known_B1HW.expand_as(changed_BCHW) == 1].any()
    assert changed_BCHW[known_B1HW.expand_as(changed_BCHW) == 0].float().mean() > 0.99


@needs_spandrel
def test_a_job_runs_spandrel_weights(esrgan, tmp_path):
    torch.save(esrgan_state(esrgan), tmp_path / "esrgan.pth")
    photographs_in(tmp_path / "in", 2, height=32, width=32)
    job = benchmark(
        tmp_path / "in",
        tmp_path / "out",
        degradations=["bicubic-x4"],
        restorers=[{"name": "theirs", "weights": str(tmp_path / "esrgan.pth")}],
    )
    rows = complete(job)
    digest = sha256_hex((tmp_path / "esrgan.pth").read_bytes())
    assert [(row["status"], row["restorer_sha256"]) for row in rows] == [("ok", digest)] * 2


@needs_spandrel
def test_an_unknown_architecture_names_its_tensors(tmp_path):
    safetensors.torch.save_file({"odd.weight": torch.zeros(3)}, tmp_path / "odd.safetensors")
    with pytest.raises(JobError, match=r"odd\.safetensors: no architecture that spandrel .*odd\.weight"):
        fetch_restorer(str(tmp_path / "odd.safetensors"))


@needs_spandrel
def test_tensors_that_do_not_fit_their_architecture_are_refused(esrgan, tmp_path):
    state = esrgan_state(esrgan)
    state["body.0.rdb2.conv3.weight"] = torch.zeros(16, 5, 3, 3)
    torch.save(state, tmp_path / "mixed.pth")
    with pytest.raises(JobError, match=r"mixed\.pth: spandrel cannot build.*size mismatch for .*RDB2\.conv3"):
        fetch_restorer(str(tmp_path / "mixed.pth"))


SWINIR = {"features": 12, "blocks": [1, 2], "heads": 3, "window": 8, "scale": 2}
RESTORMER = {"features": 8, "blocks": [1, 1, 1, 1], "refinement": 1, "norm_bias": False}


@pytest.mark.parametrize(
    ("architecture", "arguments", "task"),
    [("swinir", SWINIR, "super-resolution"), ("restormer", RESTORMER, "general")],
)
def test_released_weights_of_our_own_networks_need_no_spandrel(
    tmp_path, monkeypatch, architecture, arguments, task
):
    monkeypatch.setitem(sys.modules, "spandrel", None)
    torch.manual_seed(0)
    network = build_network(architecture, arguments).eval()
    for parameter in network.parameters():
        parameter.data *= 0.6
    torch.save({"params": network.state_dict()}, tmp_path / "theirs.pth")
    restorer = fetch_restorer(str(tmp_path / "theirs.pth"))
    card = restorer.card
    assert (card.name, card.architecture, card.task, card.licence) == (
        "theirs",
        architecture,
        task,
        "NOASSERTION",
    )
    assert (card.halo, card.tile_exact) == (network.halo, network.halo is not None)
    assert card.weights_sha256 == sha256_hex((tmp_path / "theirs.pth").read_bytes())
    image_BCHW = torch.rand(1, 3, 16, 24)
    with torch.inference_mode():
        torch.testing.assert_close(restorer(image_BCHW), network(image_BCHW), rtol=0, atol=1e-6)


THEIRS = {
    "pixel_shuffle": {"upscale": 2, "upsampler": "pixelshuffle"},
    "pixel_shuffle_direct": {"upscale": 3, "upsampler": "pixelshuffledirect"},
    "nearest": {"upscale": 4, "upsampler": "nearest+conv", "resi_connection": "3conv"},
    "residual": {"upscale": 1, "upsampler": "", "img_range": 255.0},
}


@needs_spandrel
@pytest.mark.parametrize("tail", THEIRS)
def test_swinir_with_the_weights_of_another_implementation_gives_its_pixels(tail):
    spandrel_weights._spandrel()
    theirs = THEIRS[tail]
    torch.manual_seed(0)
    common = {"embed_dim": 12, "depths": [2, 3], "num_heads": [3, 3], "window_size": 8, "mlp_ratio": 2}
    other = importlib.import_module("spandrel.architectures.SwinIR").SwinIR(**common, **theirs).eval()
    for parameter in other.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    bottleneck, gain = "resi_connection" in theirs, theirs.get("img_range", 1.0)
    small = {"features": 12, "blocks": (2, 3), "heads": 3, "scale": theirs["upscale"]}
    ours = SwinIR(**small, tail=tail, bottleneck=bottleneck, gain=gain).eval()
    ours.load_state_dict(other.state_dict(), strict=True)
    image = torch.rand(2, 3, 16, 24)
    with torch.inference_mode():
        torch.testing.assert_close(ours(image), other(image), atol=1e-5, rtol=1e-5)


@pytest.fixture
def drunet(tmp_path):
    """The file of a small DRUNet under its authors' names, and the network of spandrel."""
    spandrel = spandrel_weights._spandrel()
    torch.manual_seed(0)
    inner = spandrel.MAIN_REGISTRY["DRUNet"].architecture
    kind = importlib.import_module(type(inner).__module__).DRUNet
    network = kind(in_nc=4, out_nc=3, nc=[8, 16, 24, 32], nb=2).eval()
    torch.save(network.state_dict(), tmp_path / "drunet.pth")
    return tmp_path / "drunet.pth", network


@needs_spandrel
def test_a_foreign_network_is_told_the_noise_level_that_it_takes(drunet):
    path, network = drunet
    restorer = fetch_restorer(str(path))
    assert (restorer.card.task, restorer.card.needs) == ("denoising", ("noise_level",))
    image_BCHW, level_B = torch.rand(2, 3, 16, 24), torch.tensor([0.05, 0.3])
    restored_BCHW = restorer(image_BCHW, condition=Condition(noise_level_B=level_B))
    map_B1HW = level_B.view(2, 1, 1, 1).expand(2, 1, 16, 24)
    with torch.inference_mode():
        expected_BCHW = network(torch.cat((image_BCHW, map_B1HW), dim=1))
    torch.testing.assert_close(restored_BCHW, expected_BCHW, rtol=0, atol=1e-6)
    swapped_BCHW = restorer(image_BCHW, condition=Condition(noise_level_B=level_B.flip(0)))
    assert not torch.equal(restored_BCHW, swapped_BCHW)


@needs_spandrel
def test_a_foreign_denoiser_is_the_prior_of_plug_and_play(drunet):
    prior = fetch_restorer(str(drunet[0]))
    solver = build_solver("plug_and_play", fetch_restorer, denoiser=str(drunet[0]), iterations=2)
    assert solver.model.denoiser.card.weights_sha256 == prior.card.weights_sha256


@needs_spandrel
def test_what_fails_inside_a_foreign_network_is_a_reason_with_its_words(drunet):
    restorer = fetch_restorer(str(drunet[0]))
    restorer.model.network.m_head.weight = nn.Parameter(torch.zeros(8, 7, 3, 3))
    with pytest.raises(RestorerError, match=r"DRUNet failed: RuntimeError: Given groups=1.*7") as caught:
        restorer(torch.rand(1, 3, 16, 16))
    assert reason_and_message(caught.value) == ("RESTORER_FAILED", str(caught.value))


def test_memory_that_ran_out_inside_a_foreign_network_is_memory():
    fault = RestorerError("RESTORER_FAILED", "it failed")
    fault.__cause__ = MemoryError()
    assert is_out_of_memory(fault)
    assert reason_and_message(fault)[0] == "OUT_OF_MEMORY"
    fault.__cause__ = ValueError()
    assert reason_and_message(fault)[0] == "RESTORER_FAILED"


@needs_spandrel
def test_extra_architectures_are_known_where_they_are_installed():
    pytest.importorskip("spandrel_extra_arches")
    assert "MPRNet" in spandrel_weights._spandrel().MAIN_REGISTRY


def test_a_noise_level_that_would_have_no_effect_is_refused(tmp_path):
    job = benchmark(tmp_path / "in", tmp_path / "out", restorers=[{"name": "median", "noise_level": 10}])
    with pytest.raises(JobError, match=r'restorers\[0\]\.noise_level: "median" takes none, .*leave it out'):
        Recipe.of(job)
