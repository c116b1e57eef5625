"""Groups of options: on the command line each for itself, in the function one value."""

from dataclasses import dataclass
from typing import Annotated

import typer
from typer.testing import CliRunner

from flows.cli.option_groups import spread

Speed = Annotated[int, typer.Option("--speed", min=1)]


@dataclass(frozen=True)
class Driving:
    """How it goes.

    Not said to the user.
    """

    speed: Speed = 5
    lights: bool = False


def drive(where: str, driving: Driving = Driving(), times: int = 1) -> None:
    typer.echo(f"{where} {driving} {times}")


def invoke(*arguments):
    app = typer.Typer()
    app.command()(spread(drive))
    return CliRunner().invoke(app, arguments)


def test_fields_are_options_with_their_defaults_and_checks():
    assert invoke("home").stdout.strip() == "home Driving(speed=5, lights=False) 1"
    given = invoke("home", "--speed", "7", "--lights", "--times", "2")
    assert given.stdout.strip() == "home Driving(speed=7, lights=True) 2"
    assert invoke("home", "--speed", "0").exit_code == 2
    assert "--driving" not in invoke("--help").stdout


def test_a_group_stands_under_its_heading_and_an_option_is_shared_between_groups():
    @dataclass(frozen=True)
    class Racing:
        """How fast it may go."""

        speed: Speed = 9

    def race(racing: Racing = Racing()) -> None:
        pass

    spread(race)
    shown = invoke("--help").stdout
    ungrouped, _, grouped = shown.partition(" How it goes ")
    assert "--times" in ungrouped
    assert "--speed" in grouped
    assert "--lights" in grouped
    assert "Not said" not in shown
