"""Imports point downwards only: flows -> pipeline -> models, and each layer keeps to its libraries."""

import ast
import subprocess
import sys
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

FORBIDDEN = {
    "restora": {"prefect", "ray", "tests"},
    "flows": {"torch", "ray", "models", "tests"},
    "pipeline": {"prefect", "flows", "tests"},
    "models": {"prefect", "ray", "flows", "pipeline", "fsspec", "pyarrow", "pydantic", "typer", "tests"},
}
FILES = [path for layer in FORBIDDEN for path in sorted((ROOT / layer).rglob("*.py"))]


@cache
def parsed(path: Path) -> tuple[ast.Module, list[ast.AST]]:
    """The module, and what of it imports or may; parsed once for all tests."""
    module = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.Import, ast.ImportFrom, ast.Call)
    return module, [node for node in ast.walk(module) if isinstance(node, kinds)]


def imported(path: Path) -> set[str]:
    """Top-level packages that a file imports, wherever in it."""
    names = set()
    for node in parsed(path)[1]:
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(str(node.module).split(".")[0])
        elif isinstance(node, ast.Call) and is_import_module(node.func):
            names.update(
                str(each.value).split(".")[0] for each in node.args if isinstance(each, ast.Constant)
            )
    return names


def is_import_module(function: ast.expr) -> bool:
    """Whether this is ``import_module``, by itself or of some module."""
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    return name.endswith("import_module")


ORDER = (
    ("explain",),
    ("run", "doctor"),
    ("edge",),
    ("training",),
    ("report",),
    ("results", "engines"),
    ("worker", "planning"),
    ("scenes",),
    ("insight",),
    ("processing",),
    ("quarantine",),
    ("ledger",),
    ("recipe",),
    ("conditions",),
    ("inventory", "distances", "privacy", "trust"),
    ("doors",),
    ("formats",),
    ("degradation", "imaging"),
    ("metrics", "jobs", "storage", "units", "attached"),
    ("hashing", "version", "errors", "starvation"),
    ("addresses", "wording", "subprocesses", "pandas_later"),
)
"""The stations of pipeline/: each may import what stands in a later row, wherever in a file it does so."""
RANK = {name: row for row, names in enumerate(ORDER) for name in names}
OURS = ("models", "pipeline", "flows")


def module_of(path: Path) -> str:
    """The dotted name of a file."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path): path for path in FILES}


@cache
def imported_modules(path: Path) -> frozenset[str]:
    """Modules of ours that a file imports, late and for types alone too."""
    found = set()
    for node in parsed(path)[1]:
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] in OURS:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found.update(name if name in MODULES else str(node.module) for name in names)
    return frozenset(found)


def station_of(module: str) -> str:
    return module.split(".")[1]


STATIONS = [path for path in FILES if path.is_relative_to(ROOT / "pipeline") and "." in module_of(path)]


# All files in one test: as one each they were a quarter of all tests, and every process collects all.
def test_stations_import_downwards_only():
    upwards = []
    for path in STATIONS:
        mine = station_of(module_of(path))
        others = sorted(module for module in imported_modules(path) if module.startswith("pipeline."))
        upwards += [
            f"{path.relative_to(ROOT)} stands in row {RANK[mine]} of ORDER, and not below it {module}"
            for module in others
            if station_of(module) != mine and RANK[station_of(module)] <= RANK[mine]
        ]
    assert upwards == []


def test_no_module_imports_itself_by_way_of_others():
    graph = {module: imported_modules(path) - {module} for module, path in MODULES.items()}
    circles = [sorted(circle) for circle in strongly_connected(graph) if len(circle) > 1]
    assert circles == []


def strongly_connected(graph: dict[str, set[str]]) -> list[set[str]]:
    """Sets of modules that all reach one another."""

    def reached(start: str) -> set[str]:
        seen, waiting = set(), [start]
        while waiting:
            for other in graph.get(waiting.pop(), ()):
                if other not in seen:
                    seen.add(other)
                    waiting.append(other)
        return seen

    reach = {module: reached(module) for module in graph}
    return [{other for other in reach[m] if m in reach.get(other, ())} | {m} for m in graph]


def test_the_search_for_circles_finds_one():
    found = strongly_connected({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}})
    assert {"a", "b", "c"} in found
    assert {"d"} in found


LATE = [path for path in FILES if not path.is_relative_to(ROOT / "flows" / "cli")]


def test_a_late_import_of_ours_says_that_it_is_for_start_up():
    unsaid = []
    for path in LATE:
        module, nodes = parsed(path)
        at_once = {id(node) for node in module.body}
        late = [
            node.module
            for node in nodes
            if isinstance(node, ast.ImportFrom)
            and id(node) not in at_once
            and node.module.split(".")[0] in OURS
        ]
        if late and "start-up" not in path.read_text(encoding="utf-8"):
            unsaid.append(f"{path.relative_to(ROOT)} imports {late} late and does not say why")
    assert unsaid == []


def test_commands_and_prefect_flows_do_not_import_one_another():
    commands = {module for module in MODULES if module.startswith("flows.cli")}
    prefect = {
        module for module, path in MODULES.items() if "prefect" in imported(path) and module not in commands
    }
    assert len(commands) > 5
    assert len(prefect) > 5
    for one, other in ((commands, prefect), (prefect, commands)):
        for module in one:
            assert not imported_modules(MODULES[module]) & other, module


def test_every_folder_says_which_station_it_is():
    for path in FILES:
        if path.name == "__init__.py":
            said = ast.get_docstring(parsed(path)[0])
            assert said, f"{path}: one sentence"


def test_there_are_files_to_look_at():
    assert len(FILES) > 50


def test_file_imports_nothing_from_above():
    found = {
        str(path.relative_to(ROOT)): imported(path) & FORBIDDEN[path.relative_to(ROOT).parts[0]]
        for path in FILES
    }
    assert {path: names for path, names in found.items() if names} == {}


TORCH_AND_ENGINES = ["torch", "ray", "models"]
FIRST = [
    # What starts with every `restora --help`.
    ("flows.cli.app", [*TORCH_AND_ENGINES, "prefect", "pyarrow", "numpy", "pydantic", "fsspec"]),
    ("pipeline.jobs.job", [*TORCH_AND_ENGINES, "prefect", "pyarrow"]),
    ("restora", [*TORCH_AND_ENGINES, "prefect"]),
    # What the scheduler loads to know a flow.
    ("flows.benchmark", TORCH_AND_ENGINES),
    ("flows.restore", TORCH_AND_ENGINES),
    ("flows.degrade", TORCH_AND_ENGINES),
]
THEN = [
    ("models.catalog", ["ray", "prefect", "pipeline", "skimage", "scipy"]),
    ("pipeline.worker.worker", ["ray", "prefect"]),
]


@pytest.mark.parametrize("chain", [FIRST, THEN], ids=["without torch", "with torch"])
def test_importing_a_module_loads_no_engine_it_does_not_need(chain):
    """One after the other in one process: what one must not load none before it may."""
    for (_, before), (_, after) in pairwise(chain):
        assert set(after) <= set(before)
    # ``models`` by itself is empty, and what is said of unknown names costs nothing (docs/decisions.md);
    # nor do the tables of parts, which look for packages when a name is none of ours.
    code = f"""
import importlib, sys
for module, absent in {chain}:
    importlib.import_module(module)
    loaded = set(sys.modules) - {{'models', 'models.names', 'models.plugins'}}
    found = sorted(m for m in loaded if m.partition('.')[0] in absent)
    if found: print(module, 'loads', found)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
