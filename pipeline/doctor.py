"""What is installed, found and reachable: one finding per check, each with its cure.

Imports inside functions keep torch, Ray and tables out of the start-up of every command.
"""

from __future__ import annotations

import os
import platform
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Literal

from packaging.specifiers import SpecifierSet

from pipeline.doors import DOORS, FOLDER
from pipeline.doors.base import Door
from pipeline.errors import JobError, RestoraError, describe
from pipeline.formats.extras import EXTRAS
from pipeline.jobs.datasets import Dataset
from pipeline.storage.folder import Folder

Level = Literal["ok", "warning", "bad"]

PACKAGES = ("restora", "torch", "ray", "prefect", "fastapi", "numpy", "pyarrow", "pillow", "scikit-image")
"""Reported with their versions."""


@dataclass(frozen=True)
class Finding:
    """The outcome of one check."""

    level: Level
    subject: str
    message: str
    cure: str = ""
    """What to do; empty where all is well."""


@dataclass(frozen=True)
class Known:
    """Versions that were found not to work, and what helps."""

    package: str
    versions: str
    """PEP 440 specifier of the bad ones."""
    symptom: str
    cure: str
    level: Level = "bad"


KNOWN_BAD: tuple[Known, ...] = (
    Known("fastapi", ">=0.151", "Prefect 3.8's server does not start with it", "pip install 'fastapi<0.151'"),
    Known("prefect", "<3.8.8", "older than the oldest tested version", "pip install 'prefect>=3.8.8,<4'"),
    Known("prefect", ">=4", "the flows need Prefect 3", "pip install 'prefect>=3.8.8,<4'"),
    Known(
        "ray",
        ">=2.64",
        "it has no longer the arguments of map_batches that the engine sets",
        "pip install 'ray<2.64'",
    ),
    Known("ray", "<2.60", "older than the oldest tested version", "pip install 'ray[data]>=2.60,<2.64'"),
    Known("torch", "<2.11", "older than the oldest tested version", "pip install 'torch>=2.11'"),
)
"""Combinations that broke while this project was built."""


def examine(ray_address: str | None, storage: str | None, profile: str | None = None) -> Iterator[Finding]:
    """Every finding as it is made; starting Ray takes seconds."""
    yield Finding("ok", "python", f"{platform.python_version()} on {platform.platform(terse=True)}")
    yield from packages()
    yield from extras()
    yield from plugins()
    yield _accelerator()
    yield from cluster(ray_address)
    if storage is not None:
        yield reach(storage, profile)


def packages(known_bad: tuple[Known, ...] = KNOWN_BAD) -> Iterator[Finding]:
    """Installed versions, and those of them that are known not to work."""
    for name in PACKAGES:
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield _absent(name)
            continue
        faults = [each for each in known_bad if each.package == name and _matches(version, each.versions)]
        for fault in faults:
            yield Finding(fault.level, name, f"{version}: {fault.symptom}", fault.cure)
        if not faults:
            yield Finding("ok", name, version)


def extras() -> Iterator[Finding]:
    """What is not installed of the optional parts; that is no fault."""
    present = [each.name for each in EXTRAS if each.is_installed]
    yield Finding("ok", "extras", ", ".join(present) or "none")
    for each in EXTRAS:
        if not each.is_installed:
            yield Finding("ok", f"extra {each.name}", f"not installed: {each.brings}", each.cure)


def plugins() -> Iterator[Finding]:
    """Packages that bring parts; one that cannot be used is no fault of ours, but somebody misses it."""
    from pipeline.recipe.plugins import faults, installed

    yield Finding("ok", "plug-ins", ", ".join(installed()) or "none")
    for fault in faults():
        yield Finding("warning", "plug-in", fault, "upgrade or uninstall that package")


def _absent(name: str) -> Finding:
    if name == "restora":
        return Finding("warning", name, "not installed; it runs from its folder", "pip install -e .")
    return Finding("bad", name, "not installed", f"pip install {name}")


def _matches(version: str, versions: str) -> bool:
    return SpecifierSet(versions).contains(version.split("+")[0], prereleases=True)


def _accelerator() -> Finding:
    import torch

    if not torch.cuda.is_available():
        return Finding("ok", "gpu", f"none found by torch; {os.cpu_count()} CPU cores")
    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return Finding("ok", "gpu", f"{len(names)} found by torch: {', '.join(names)}")


def cluster(address: str | None) -> Iterator[Finding]:
    """Connects to Ray, or starts one here, and counts what it offers."""
    import ray
    import torch

    from pipeline.engines.ray_session import SESSION

    address = address or os.environ.get("RAY_ADDRESS")
    try:
        SESSION.start(address)
        SESSION.wait()
        resources = ray.cluster_resources()  # type: ignore[no-untyped-call]
        nodes = sum(bool(node["Alive"]) for node in ray.nodes())  # type: ignore[no-untyped-call]
    except JobError as error:
        cure = "check the address, or leave it out and Ray starts on this machine"
        yield Finding("bad", "ray", str(error), cure if address else "--engine local works without Ray")
        return
    finally:
        SESSION.stop()
    cpus, gpus = resources.get("CPU", 0), resources.get("GPU", 0)
    # Of a Ray that starts here, CPUs are slots, of which there are more than cores: not worth a word.
    size = f"nodes: {nodes}, CPUs: {cpus:g}" if address else f"CPU cores: {os.cpu_count()}"
    yield Finding("ok", "ray", f"{address or 'starts on this machine'}; {size}, GPUs: {gpus:g}")
    if not address and torch.cuda.is_available() and not gpus:
        yield Finding("warning", "ray gpus", "torch finds a GPU, Ray does not", "unset CUDA_VISIBLE_DEVICES")


def reach(url: str, profile: str | None = None) -> Finding:
    """Lists, writes, reads and deletes a small object; nothing of it stays."""
    if (door := next(each for each in DOORS.values() if each.claims(url))) is not FOLDER:
        return _look_through(door, url, profile)
    key, data = f".restora-probe-{uuid.uuid4().hex}", b"restora doctor"
    step = "list"
    try:
        folder = Folder(url, profile)
        next(iter(folder.pages()), None)
        step = "write"
        folder.put(key, data)
        step = "read"
        if folder.read(key) != data:
            return Finding("bad", url, "it returned other bytes than were written", "use another store")
        step = "delete"
        folder.delete(key)
    except RestoraError as error:
        return Finding("bad", url, str(error), _STORAGE_CURE)
    except Exception as error:  # stores raise whatever their client raises
        return Finding("bad", url, f"cannot {step}: {describe(error)}", _STORAGE_CURE)
    return Finding("ok", url, "listing, writing, reading and deleting work")


def _look_through(door: Door, url: str, profile: str | None) -> Finding:
    """Lists an archive and reads the beginning of its first image; originals are never written."""
    try:
        archive = door.open(Dataset(name="doctor", uri=url, profile=profile), url)
        first = next((entry for page in archive.pages() for entry in page), None)
        if first is None:
            return Finding("warning", url, f"the {door.name} archive is there, and holds no image")
        archive.head(first.at or first.key, 1)
    except RestoraError as error:
        return Finding("bad", url, str(error), _STORAGE_CURE)
    except Exception as error:  # stores raise whatever their client raises
        return Finding("bad", url, f"cannot read: {describe(error)}", _STORAGE_CURE)
    return Finding("ok", url, f"listing and reading work ({door.name}); nothing is written there")


_STORAGE_CURE = "check the address, and the credentials in the environment or the profile"
