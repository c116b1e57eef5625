"""Commands that look at a run's books: verify, table and report."""

from __future__ import annotations

import typer

from flows.cli.arguments import Output, Profile


def verify(out: Output, profile: Profile = None) -> None:
    """Prove a run: every source exactly once, every object there with its hash."""
    from flows.addresses import books_in
    from flows.cli.console import say
    from flows.cli.session import FAILED, complain_of, verified
    from pipeline.results.verify import verify as verify_books

    verification = verify_books(books_in(out, profile))
    say(verified(verification))
    if not verification.is_whole:
        complain_of(verification)
        raise typer.Exit(FAILED)
    say("whole: every source once, every object there with its hash")


def table(out: Output, profile: Profile = None) -> None:
    """Print the ranking of the restorers, by the first metric of the job."""
    from flows.addresses import books_in
    from flows.cli.session import show_ranking

    show_ranking(books_in(out, profile))


def report(out: Output, profile: Profile = None) -> None:
    """Write the tables and the report again, from the ledger; prints the report's address."""
    from flows.addresses import books_in
    from flows.cli.console import say
    from pipeline.report.write import write_report
    from pipeline.results.tables import compact

    books = books_in(out, profile)
    compact(books)
    say(write_report(books))
