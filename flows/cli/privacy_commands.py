"""Commands for private datasets: the key, and what only its holder may see."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.arguments import Output, Profile


def key(
    path: Annotated[
        Path | None, typer.Argument(metavar="[FILE]", help="Where to; without it, where it is looked for.")
    ] = None,
) -> None:
    """Make the key of private datasets, which turns names into opaque ids and back.

    Without it no id can be traced to its image, and no run on a private dataset goes on: keep a copy.
    """
    from flows.cli.console import say
    from pipeline.privacy.key import VARIABLE, key_file, make_key

    path = path or key_file()
    make_key(path)
    say(f"key      {path.absolute()}, readable by you alone; keep a copy, and never beside the results")
    say(f"         {VARIABLE} says where it lies, on every machine that plans or works")


def seal(
    address: Annotated[str, typer.Argument(metavar="SOURCE", help="A folder: a path or any fsspec URL.")],
) -> None:
    """Print an address as only the key opens it, to stand as `uri` in a job that a scheduler shows."""
    from pipeline.privacy.key import load_key
    from pipeline.storage.folder import absolute_url

    typer.echo(load_key("seal").seal(absolute_url(address)))


def whois(
    out: Output,
    ids: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ID]...", help="Keys of the tables, or names of restored objects; without any, all."
        ),
    ] = None,
    profile: Profile = None,
) -> None:
    """Print which image is behind an opaque id: id, dataset, address. Needs the key; runs here alone."""
    from flows.addresses import open_output
    from pipeline.errors import JobError
    from pipeline.planning.whois import resolve_ids

    # An id, a key of the tables, and the name of a restored object differ in their endings.
    wanted = {each.rpartition("/")[2].split(".")[0] for each in ids or ()}
    for source, address in resolve_ids(open_output(out, profile)):
        name = source.key.split(".")[0]
        if not ids or name in wanted:
            wanted.discard(name)
            # Not through the console, which could wrap it.
            typer.echo(f"{source.key}\t{source.dataset}\t{address}")
    if wanted:
        raise JobError(f"{', '.join(sorted(wanted))}: no private image of the last plan has this id")
