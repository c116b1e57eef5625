"""Trackers, traces and what a step takes: seen from outside, and nothing of the training changes."""

import json
import math

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from models.weights import load_weights
from pipeline.errors import JobError
from pipeline.storage.folder import Folder
from pipeline.training.options import TrainingOptions
from pipeline.training.run import train
from pipeline.training.steps.flops import FlopCount
from pipeline.training.trackers import check_privacy, open_trackers
from tests.pipeline.training.training_data import denoiser, photographs
from tests.pipeline.training.training_process import HERE


def test_a_step_is_counted_forward_and_backward():
    network = nn.Conv2d(3, 5, 3, padding=1)
    image = torch.rand(2, 3, 8, 8, requires_grad=True)
    with FlopCount() as count:
        network(image).sum().backward()
    forward = 2 * 2 * 8 * 8 * 3 * 5 * 9
    assert count.total == 3 * forward


@pytest.mark.usefixtures("without_page")
def test_a_run_that_is_watched_learns_the_same_and_leaves_events_and_a_trace(tmp_path):
    event_files = pytest.importorskip("tensorboardX").proto.event_pb2
    photographs(tmp_path / "photos", 2)
    recipe = denoiser(tmp_path / "photos", length={"steps": 10}, validation={})
    train(recipe, str(tmp_path / "plain"), HERE)
    watched = recipe.model_copy(update={"trackers": ("tensorboard",)})
    options = TrainingOptions(engine="local", device="cpu", trace=2)
    train(watched, str(tmp_path / "watched"), options)
    states = [load_weights(tmp_path / each / "tiny.safetensors")[1] for each in ("plain", "watched")]
    assert all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())
    trace = json.loads((tmp_path / "watched" / "trace.json").read_text())
    assert any("convolution" in event.get("name", "") for event in trace["traceEvents"])
    (file,) = (tmp_path / "watched" / "tensorboard").iterdir()
    scalars = {}
    data = file.read_bytes()
    while data:  # records of TensorFlow: length, its checksum, content, its checksum
        length = int.from_bytes(data[:8], "little")
        event = event_files.Event.FromString(data[12 : 12 + length])
        scalars |= {each.tag: (event.step, each.simple_value) for each in event.summary.value}
        data = data[16 + length :]
    for name in ("loss", "memory_gigabytes", "flops_per_second", "input_wait_share"):
        step, value = scalars[name]
        assert step == 10
        assert math.isfinite(value)
    assert scalars["flops_per_second"][1] > 0


def test_trackers_that_would_tell_others_of_private_data_are_refused(monkeypatch, tmp_path):
    for name in ("WANDB_MODE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    check_privacy(("tensorboard", "mlflow"))
    with pytest.raises(JobError, match=r"wandb would send .* set tracks_private = true"):
        check_privacy(("wandb",))
    monkeypatch.setenv("WANDB_MODE", "offline")
    check_privacy(("wandb",))
    for here in (
        "mlruns",
        "file:///mlruns",
        "sqlite:///mlflow.db",
        "http://localhost:5000",
        "http://[::1]:1",
    ):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", here)
        check_privacy(("mlflow",))
    for there in ("https://tracking.example", "HTTPS://tracking.example", "postgresql://tracking.example/m",
                  "http://localhost.tracking.example", "https://tracking.example//localhost", "databricks",
                  "databricks://profile", "arn:aws:sagemaker:eu-west-1:1:server/x"):  # fmt: skip
        monkeypatch.setenv("MLFLOW_TRACKING_URI", there)
        with pytest.raises(JobError, match="mlflow would send"):
            check_privacy(("mlflow",))
    with pytest.raises(JobError, match="tensorboard writes files; give an OUT on this machine"):
        open_trackers(("tensorboard",), Folder("memory://out"), "run", {})
    with pytest.raises(ValidationError, match="tracks_private: has no effect without a private dataset"):
        denoiser(tmp_path).model_validate(denoiser(tmp_path).model_dump() | {"tracks_private": True})
