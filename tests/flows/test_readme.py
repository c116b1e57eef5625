"""The README as a newcomer takes it: its first job, its query, and its links."""

import re
import tomllib

import duckdb
import pytest
import typer.main
from typer.testing import CliRunner

from flows.cli.app import COMMANDS, app
from flows.cli.demo import copy_photographs
from tests.flows.command import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "benchmarks").glob("*.md")),
]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.M | re.S)


def test_first_job_and_its_query_run_as_they_stand(tmp_path, monkeypatch):
    copy_photographs(tmp_path / "out" / "demo" / "images")
    job = blocks("toml")[0]
    name = tomllib.loads(job)["name"]
    (tmp_path / f"{name}.toml").write_text(job, encoding="utf-8")
    assert f"restora benchmark {name}.toml" in README
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["benchmark", f"{name}.toml", "--engine", "local"])
    assert done.exit_code == 0, done.stderr
    (query,) = blocks("sql")
    table = f"out/{name}/tables/metrics.parquet"
    assert table in query
    rows = duckdb.sql(query.replace(table, str(tmp_path / table))).fetchall()
    shown = [
        [each.strip() for each in line.split("|")[1:-1]]
        for line in README.splitlines()
        if "| bicubic-x4" in line
    ]
    assert [list(map(str, row)) for row in rows] == shown


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_to_one(page):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
        assert "://" in target or (page.parent / target).exists(), target


def test_every_command_is_in_the_table():
    table = README.partition("## Commands")[2].partition("\n## ")[0]
    assert not [name for name, *_ in COMMANDS if f"`restora {name}" not in table]


def printed_commands() -> list[tuple[str, list[str]]]:
    """Each ``restora ...`` of the pages, in blocks and in sentences, as words, with its page."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        lines = re.findall(r"^(?:    )?restora ([^\n`]+)$", text, re.M) + re.findall(
            r"`restora ([^`\n]+)`", text
        )
        for line in lines:
            line = re.split(r" #| && | \| |\\$", line)[0]
            found.append((page.name, [each.strip("'") for each in line.split()]))
    return found


def test_every_printed_command_is_one_with_options_that_it_has():
    commands = typer.main.get_command(app).commands
    printed = [(page, words) for page, words in printed_commands() if words and words[0].isalpha()]
    assert len(printed) > 150
    for page, (name, *words) in printed:
        assert name in commands, f"{page}: restora {name}"
        known = {option for each in commands[name].params for option in (*each.opts, *each.secondary_opts)}
        used = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert used <= known | {"--help"}, f"{page}: restora {name} {' '.join(words)}"


def test_snippet_of_adding_a_network_runs_as_it_stands(tmp_path, monkeypatch):
    from models.networks import NETWORKS
    from models.weights import load_weights

    page = (ROOT / "docs" / "adding.md").read_text(encoding="utf-8")
    (snippet,) = re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)
    monkeypatch.setitem(NETWORKS, "mine", NETWORKS["srvgg"])
    monkeypatch.chdir(tmp_path)
    exec(snippet, {})
    card, _ = load_weights(tmp_path / "mine.safetensors")
    assert card.architecture == "mine"
