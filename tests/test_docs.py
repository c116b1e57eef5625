"""The pages: every link leads somewhere, and every file and module of ours that they name is there."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
OURS = ("models", "pipeline", "flows", "tests", "benchmarks", "conf", "docs")
READERS_OWN = ("mine", "NAME")
"""What the pages call the file that their reader adds or chooses."""
OF_OTHERS = ("gdalcompare.py",)


def prose(page: Path) -> str:
    """Without blocks of code, in which brackets are no links."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """Those of the headings, as the sites that show Markdown make them."""
    headings = re.findall(r"^#+ +(.+?) *$", prose(page), re.MULTILINE)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", each).lower() for each in headings)
    return {re.sub(r"[^\w\- ]", "", each).replace(" ", "-") for each in plain}


def of_pages(pattern: str):
    """Page and what the pattern's group found in it, once each; code blocks too."""
    found = {(page, each) for page in PAGES for each in re.findall(pattern, page.read_text(encoding="utf-8"))}
    return [pytest.param(page, each, id=f"{page.stem}: {each}") for page, each in sorted(found)]


LINKS = of_pages(r"\]\(([^)\s]+)\)")
PATHS = of_pages(rf"\b((?:{'|'.join(OURS)})/[\w./\-*]+)")
FILES = of_pages(r"`(\w+\.py)`")
COMMANDS = of_pages(r"python -m ([\w.]+)")
DOTTED = of_pages(r"`((?:models|pipeline|flows)\.[\w.]+)`")


def test_there_is_something_to_look_at():
    assert min(map(len, (LINKS, PATHS, FILES, COMMANDS, DOTTED))) > 0
    assert len(LINKS) > 20


@pytest.mark.parametrize(("page", "target"), [each for each in LINKS if "://" not in each.values[1]])
def test_links_lead_somewhere(page, target):
    path, _, anchor = target.partition("#")
    linked = page.parent / unquote(path) if path else page
    assert linked.exists(), f"{page.name}: no {target}"
    if anchor:
        assert anchor in anchors(linked), f"{page.name}: {linked.name} has no heading for #{anchor}"


@pytest.mark.parametrize(("page", "path"), PATHS)
def test_paths_are_there(page, path):
    path = path.rstrip("./")
    if not any(each in path for each in READERS_OWN):
        assert list(ROOT.glob(path)), f"{page.name}: no {path}"


@pytest.mark.parametrize(("page", "name"), FILES)
def test_files_called_by_their_name_alone_are_there(page, name):
    if name not in OF_OTHERS:
        assert any(list((ROOT / each).rglob(name)) for each in OURS), f"{page.name}: no {name}"


@pytest.mark.parametrize(("page", "module"), COMMANDS)
def test_modules_that_commands_run_are_there(page, module):
    if module.partition(".")[0] in OURS:
        path = ROOT.joinpath(*module.rstrip(".").split("."))
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), page.name


@pytest.mark.parametrize(("page", "name"), DOTTED)
def test_modules_and_what_is_in_them_are_there(page, name):
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        path = ROOT.joinpath(*parts[:length])
        if path.is_dir() or path.with_suffix(".py").exists():
            break
    source = path.with_suffix(".py") if path.with_suffix(".py").exists() else path / "__init__.py"
    text = source.read_text(encoding="utf-8")
    for attribute in parts[length:]:
        assert re.search(rf"^\s*(class |def )?{attribute}\b", text, re.MULTILINE), f"{page.name}: no {name}"
