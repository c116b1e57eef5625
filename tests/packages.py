"""Packages as pip leaves them, only smaller: what ``importlib.metadata`` reads of them, and a module."""

from pathlib import Path


def put_package(place: Path, package: str, version: str, code: str, **groups: dict[str, str]) -> Path:
    """The folder to put on the path; ``groups``: ``networks={"name": "module:attribute"}``."""
    folder = place / package
    info = folder / f"{package}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n")
    (info / "RECORD").write_text(f"{package}_code.py,,\n")
    lines = [
        f"[restora.{group}]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
        for group, points in groups.items()
    ]
    (info / "entry_points.txt").write_text("\n".join(lines))
    (folder / f"{package}_code.py").write_text(code)
    return folder
