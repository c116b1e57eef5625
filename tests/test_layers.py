"""Imports point downwards only: flows -> pipeline -> models, and each layer keeps to its libraries."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

FORBIDDEN = {
    "flows": {"torch", "ray", "models", "tests"},
    "pipeline": {"prefect", "flows", "tests"},
    "models": {"prefect", "ray", "flows", "pipeline", "fsspec", "pyarrow", "pydantic", "typer", "tests"},
}
FILES = [path for layer in FORBIDDEN for path in sorted((ROOT / layer).rglob("*.py"))]


def imported(path: Path) -> set[str]:
    """Top-level packages that a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(str(node.module).split(".")[0])
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            names.update(
                str(each.value).split(".")[0] for each in node.args if isinstance(each, ast.Constant)
            )
    return names


def test_there_are_files_to_look_at():
    assert len(FILES) > 50


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_file_imports_nothing_from_above(path):
    assert not imported(path) & FORBIDDEN[path.relative_to(ROOT).parts[0]]


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        # What starts with every `restora --help`.
        ("flows.cli.app", ["torch", "ray", "models", "prefect", "pyarrow", "numpy"]),
        # What the scheduler loads to know a flow.
        ("flows.benchmark", ["torch", "ray", "models"]),
        ("flows.restore", ["torch", "ray", "models"]),
        ("flows.degrade", ["torch", "ray", "models"]),
        ("pipeline.jobs.job", ["torch", "ray", "models", "prefect", "pyarrow"]),
        ("pipeline.worker.worker", ["ray", "prefect"]),
        ("models.catalog", ["ray", "prefect", "pipeline", "skimage"]),
    ],
)
def test_importing_a_module_loads_no_engine_it_does_not_need(module, absent):
    code = f"import {module}, sys; print([m for m in {absent} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def modules_named(path: Path) -> set[str]:
    """Whole names of what a file imports, wherever in it."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    froms = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {f"{node.module}.{alias.name}" for node in froms for alias in node.names}


def test_commands_and_prefect_flows_do_not_import_one_another():
    commands = sorted((ROOT / "flows" / "cli").glob("*.py"))
    scheduled = [path for path in sorted((ROOT / "flows").glob("*.py")) if "prefect" in imported(path)]
    beside = [path for path in sorted((ROOT / "flows").glob("*.py")) if path not in scheduled]
    assert commands
    assert scheduled
    wrong = [
        (path.name, name)
        for path in (*commands, *scheduled, *beside)
        for name in modules_named(path)
        if (path not in commands and name.startswith("flows.cli"))
        or (path not in scheduled and name.split(".")[:2] in [["flows", each.stem] for each in scheduled])
    ]
    assert not wrong
