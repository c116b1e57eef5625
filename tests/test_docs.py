"""The pages: every link leads somewhere, and every file and module of ours that they name is there."""

import re
from pathlib import Path
from urllib.parse import unquote

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
    return sorted(found)


LINKS = of_pages(r"\]\(([^)\s]+)\)")
PATHS = of_pages(rf"\b((?:{'|'.join(OURS)})/[\w./\-*]+)")
FILES = of_pages(r"`(\w+\.py)`")
COMMANDS = of_pages(r"python -m ([\w.]+)")
DOTTED = of_pages(r"`((?:models|pipeline|flows)\.[\w.]+)`")


def test_there_is_something_to_look_at():
    assert min(map(len, (LINKS, PATHS, FILES, COMMANDS, DOTTED))) > 0
    assert len(LINKS) > 20


# All of a kind in one test: as one each they were hundreds, and every process collects all.
def test_links_lead_somewhere():
    wrong = []
    for page, target in LINKS:
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        linked = page.parent / unquote(path) if path else page
        if not linked.exists():
            wrong.append(f"{page.name}: no {target}")
        elif anchor and anchor not in anchors(linked):
            wrong.append(f"{page.name}: {linked.name} has no heading for #{anchor}")
    assert wrong == []


def test_paths_are_there():
    named = [(page, path.rstrip("./")) for page, path in PATHS]
    ours = [(page, path) for page, path in named if not any(each in path for each in READERS_OWN)]
    assert [f"{page.name}: no {path}" for page, path in ours if not list(ROOT.glob(path))] == []


def test_files_called_by_their_name_alone_are_there():
    there = {path.name for each in OURS for path in (ROOT / each).rglob("*.py")} | set(OF_OTHERS)
    assert [f"{page.name}: no {name}" for page, name in FILES if name not in there] == []


def test_modules_that_commands_run_are_there():
    missing = []
    for page, module in COMMANDS:
        path = ROOT.joinpath(*module.rstrip(".").split("."))
        is_there = path.with_suffix(".py").exists() or (path / "__main__.py").exists()
        if module.partition(".")[0] in OURS and not is_there:
            missing.append(f"{page.name}: no {module}")
    assert missing == []


def test_modules_and_what_is_in_them_are_there():
    assert [f"{page.name}: no {name}" for page, name in DOTTED if not is_there(name)] == []


def is_there(name: str) -> bool:
    """Whether a module of ours, or what is named in it, is in the sources."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        path = ROOT.joinpath(*parts[:length])
        if path.is_dir() or path.with_suffix(".py").exists():
            break
    source = path.with_suffix(".py") if path.with_suffix(".py").exists() else path / "__init__.py"
    text = source.read_text(encoding="utf-8")
    return all(re.search(rf"^\s*(class |def )?{each}\b", text, re.MULTILINE) for each in parts[length:])
