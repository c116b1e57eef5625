"""Commands about the installation: list and doctor."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from flows.cli.arguments import Profile, RayAddress


def list_names(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            help="restorers, degradations, metrics, formats, stores, solvers, operators, networks or "
            "uncertainties.",
        ),
    ],
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="One of them, with all that is known of it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array, for programs.")] = False,
) -> None:
    """List what a job can name, a line for each; with NAME, all about one."""
    from flows.cli.console import OUT
    from pipeline.inventory import record_of, take_inventory

    records = take_inventory(kind) if name is None else [record_of(kind, name)]
    if as_json:
        # Not through the console, which could wrap it.
        typer.echo(json.dumps(records, indent=1, ensure_ascii=False))
        return
    OUT.print(_drawn(records, SHORT.get(kind, ())) if name is None else _whole(records[0]))
    if name is None:
        OUT.print(f"all about one: restora list {kind} NAME; for programs: --json", style="dim")


def doctor(
    storage: Annotated[
        str | None,
        typer.Option(
            "--storage",
            metavar="URL",
            help="A folder to try: list it, then write, read and delete a small file in it.",
        ),
    ] = None,
    profile: Profile = None,
    ray_address: RayAddress = None,
) -> None:
    """Check versions that do not work together, extras, Ray, GPUs and storage; say the cure of what is wrong.

    The exit code is 1 where something is bad.
    """
    from flows.addresses import profile_for
    from flows.cli.console import OUT, say
    from pipeline.doctor import Finding, examine

    styles = {"ok": "green", "warning": "yellow", "bad": "bold red"}
    findings: list[Finding] = []
    with OUT.status("examining"):
        for finding in examine(ray_address, storage, profile_for(storage or "", profile)):
            findings.append(finding)
            say(f"{finding.level:8} {finding.subject:14} {finding.message}", style=styles[finding.level])
            if finding.cure:
                say(f"{'':23} cure: {finding.cure}")
    if any(finding.level == "bad" for finding in findings):
        raise typer.Exit(1)


SHORT = {
    "restorers": ("name", "task", "scale", "needs", "margin_db", "summary"),
    "degradations": ("name", "kind", "summary"),
    "metrics": ("name", "unit", "better", "colour"),
    "formats": ("name", "extensions", "lossless", "summary"),
    "solvers": ("name", "parameters", "summary"),
    "operators": ("name", "parameters", "summary"),
    "networks": ("name", "parameters", "summary"),
}
"""Columns of the lists that have more than a line has room for."""

LONGEST = {"parameters": 34, "needs": 16, "margin_db": 20}
"""Most characters of columns that are cut."""


def _drawn(records: list[dict[str, Any]], columns: tuple[str, ...]) -> Any:
    """A line for each; the last column is cut where the screen ends."""
    from rich import box
    from rich.table import Table

    from flows.cli.console import OUT

    columns = columns or tuple(records[0])
    rows = [[_cell(record[name]) for name in columns] for record in records]
    room = OUT.width - 1
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(columns):
        longest = max(len(name), *(len(row[index]) for row in rows))
        width = max(10, room) if index == len(columns) - 1 else min(longest, LONGEST.get(name, longest))
        table.add_column(name, no_wrap=True, overflow="ellipsis", width=min(width, longest))
        room -= width + 3  # the column and the gap behind it
    for row in rows:
        table.add_row(*row)
    return table


def _whole(record: dict[str, Any]) -> Any:
    """A line for each field, wrapped where it is long."""
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for name, value in record.items():
        table.add_row(f"[bold]{name}[/bold]", _cell(value))
    return table


def _cell(value: Any) -> str:
    from rich.markup import escape

    if isinstance(value, dict):
        return escape(", ".join(n if v is None else f"{n}={_cell(v)}" for n, v in value.items()))
    if isinstance(value, list):
        return escape(", ".join(_cell(each) for each in value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else escape(str(value))
