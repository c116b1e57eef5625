"""Commands for private datasets: the key, and what only its holder may see."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from flows.cli.arguments import Output, Profile


def key(
    path: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE]", help="The file to write. Without it: where runs look for the key."),
    ] = None,
) -> None:
    """Make the key of private datasets, which turns names into opaque ids and back.

    Without it no id can be traced to its image and no run on a private dataset can continue: keep a copy.
    """
    from flows.cli.console import say
    from pipeline.privacy.key import VARIABLE, key_file, make_key

    path = path or key_file()
    make_key(path)
    say(f"key      {path.absolute()}, readable by you alone; keep a copy, but not beside the results")
    say(f"         set {VARIABLE} to its path on every machine that plans or works")


def seal(
    address: Annotated[
        str,
        typer.Argument(metavar="SOURCE", help="The folder of a private dataset: a path or any fsspec URL."),
    ],
) -> None:
    """Encrypt an address with the key, for `uri` of a private dataset in a job that a scheduler shows."""
    from pipeline.privacy.key import load_key
    from pipeline.storage.folder import absolute_url

    typer.echo(load_key("seal").seal(absolute_url(address)))


def whois(
    out: Output,
    ids: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ID]...",
            help="Values of `key` in the tables, or names of restored files. Without any: all.",
        ),
    ] = None,
    profile: Profile = None,
) -> None:
    """Print which image an opaque id stands for: id, dataset, address. Needs the key."""
    from flows.addresses import open_output
    from pipeline.addresses import visible
    from pipeline.errors import JobError
    from pipeline.planning.whois import resolve_ids

    # An id, a key of the tables, and the name of a restored object differ in their endings.
    wanted = {each.rpartition("/")[2].split(".")[0] for each in ids or ()}
    for source, address in resolve_ids(open_output(out, profile)):
        name = source.key.split(".")[0]
        if not ids or name in wanted:
            wanted.discard(name)
            # Not through the console, which could wrap it.
            typer.echo("\t".join(map(visible, (source.key, source.dataset, address))))
    if wanted:
        raise JobError(f"{', '.join(sorted(wanted))}: no private image of the last run has this id")
