"""Commands about the installation: list and doctor."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from flows.cli.arguments import Profile, RayAddress


def list_names(
    kind: Annotated[
        str, typer.Argument(metavar="KIND", help="restorers, degradations, metrics, formats or solvers.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array, for programs.")] = False,
) -> None:
    """List what a job can name, and what to know before choosing."""
    from flows.cli.console import OUT
    from pipeline.inventory import take_inventory

    records = take_inventory(kind)
    if as_json:
        # Not through the console, which could wrap it.
        typer.echo(json.dumps(records, indent=1, ensure_ascii=False))
        return
    OUT.print(_drawn(records))


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


def _drawn(records: list[dict[str, Any]]) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in records[0]:
        table.add_column(name, no_wrap=name == "name", overflow="fold")
    for record in records:
        table.add_row(*(_cell(value) for value in record.values()))
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
