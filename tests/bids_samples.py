"""BIDS datasets as laboratories have them, and the validator's word on those that we write."""

import json
import subprocess
import sysconfig
from pathlib import Path

import nibabel
import numpy as np

VALIDATOR = Path(sysconfig.get_path("scripts"))


def volume(seed: int = 0, shape: tuple[int, ...] = (12, 10, 4)) -> bytes:
    """A gzipped NIfTI volume of int16, 2 mm a voxel, and 2 s a time where it has times."""
    samples = np.random.default_rng(seed).integers(0, 900, shape, np.int16)
    image = nibabel.Nifti1Image(samples, np.diag([2.0, 2.0, 2.0, 1.0]))
    image.header.set_zooms((2.0, 2.0, 2.0, 2.0)[: len(shape)])
    image.header.set_xyzt_units("mm", "sec")
    return image.to_bytes()


def dataset(folder: Path, subjects: int = 2) -> Path:
    """Anatomy, a task's times and diffusion of every subject, with sidecars in three places."""
    files: dict[str, bytes] = {
        "dataset_description.json": said(Name="raw", BIDSVersion="1.10.0", DatasetType="raw"),
        "README": b"A dataset for tests.",
        "T1w.json": said(Manufacturer="Acme", EchoTime=0.003),
        "task-rest_bold.json": said(TaskName="rest", RepetitionTime=2.0),
        "derivatives/other/sub-01/anat/sub-01_desc-other_T1w.nii": volume(99),
    }
    for number in range(1, subjects + 1):
        sub = f"sub-{number:02d}"
        files |= {
            f"{sub}/anat/{sub}_T1w.nii": volume(number),
            f"{sub}/anat/{sub}_T1w.json": said(EchoTime=0.004),
            f"{sub}/anat/{sub}_acq-fast_run-2_T2w.nii": volume(10 + number),
            f"{sub}/func/{sub}_task-rest_bold.nii": volume(20 + number, (6, 5, 3, 4)),
            f"{sub}/dwi/{sub}_dwi.nii": volume(30 + number, (6, 5, 3, 2)),
            f"{sub}/dwi/{sub}_dwi.bval": b"0 1000\n",
            f"{sub}/dwi/{sub}_dwi.bvec": b"0 1\n0 0\n0 0\n",
        }
    for key, data in files.items():
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def said(**fields) -> bytes:
    return json.dumps(fields).encode()


def problems(folder: Path) -> list[dict]:
    """The validator's errors; its warnings ask for what nobody can know."""
    command = [VALIDATOR / "bids-validator-deno", folder, "--json"]
    environment = {
        "PATH": f"{VALIDATOR}:/usr/bin:/bin",
        "HOME": str(folder.parent),
        "DENO_NO_UPDATE_CHECK": "1",
    }
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    issues = json.loads(done.stdout)["issues"]["issues"]
    return [each for each in issues if each["severity"] == "error"]
