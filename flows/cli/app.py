"""The ``restora`` command.

Exit codes: 0 done; 2 the job or the command line is wrong; 3 done, but the quarantined share is above the
job's threshold; 130 and 143 stopped by Ctrl-C and by SIGTERM; 1 anything else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from flows.cli import (
    about_commands,
    adapt_command,
    edge_commands,
    insight_command,
    privacy_commands,
    result_commands,
    run_commands,
    score_command,
    training_commands,
    trust_commands,
)
from flows.cli.console import ERR, say
from flows.cli.failures import tell_of_fault, tell_of_stop
from flows.cli.signals import Interrupted, interrupt, on_first_signal
from flows.cli.starvation import refuse_little


class Commands(TyperGroup):
    """Turns errors into messages and exit codes, for all commands alike."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As the library does; refuses where libraries could not be loaded."""
        found = super().resolve_command(ctx, args)
        refuse_little(found[0], found[2])
        return found

    def invoke(self, ctx: Any) -> Any:
        """Runs the command that the context names."""
        received: list[int] = []
        try:
            with on_first_signal(interrupt) as received:
                return super().invoke(ctx)
        except Interrupted as stop:
            raise typer.Exit(tell_of_stop(stop, ctx.invoked_subcommand)) from None
        except Exception as error:
            if type(error).__module__.split(".")[0] in ("click", "typer"):
                raise  # usage errors and exits, which the library prints and counts itself
            if ctx.params.get("debug"):
                ERR.print_exception()
            if received:  # a library made something else of it
                raise typer.Exit(tell_of_stop(Interrupted(received[0]), ctx.invoked_subcommand)) from None
            raise typer.Exit(tell_of_fault(error)) from None


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with: restora demo. Any run can be stopped; the same command continues it.",
)

RUN, LOOK, MAKE, HIDE, ABOUT = (
    "Run",
    "Look at a run",
    "Make restorers",
    "Private datasets",
    "This installation",
)

COMMANDS: tuple[tuple[str, Callable[..., None], str, str], ...] = (
    ("demo", run_commands.demo, RUN, "restora demo"),
    ("init", run_commands.init, RUN, "restora init job.toml --kind restore"),
    ("benchmark", run_commands.benchmark, RUN, "restora benchmark conf/set5-x4.toml --workers 2"),
    (
        "restore",
        run_commands.restore,
        RUN,
        "restora restore scans/ clean/ --restorer ffdnet-colour --noise-level 15",
    ),
    (
        "score",
        score_command.score,
        RUN,
        "restora score swinir/ esrgan/ sharp/ --metric psnr_y --metric ssim_y --border 4",
    ),
    ("degrade", run_commands.degrade, RUN, "restora degrade photos/ noisy/ --degradation awgn-25"),
    ("retry", run_commands.retry, RUN, "restora retry out/set5-x4"),
    ("repair", run_commands.repair, RUN, "restora repair out/set5-x4"),
    ("verify", result_commands.verify, LOOK, "restora verify s3://bucket/clean --profile archive"),
    ("table", result_commands.table, LOOK, "restora table out/set5-x4"),
    ("report", result_commands.report, LOOK, "restora report out/set5-x4"),
    (
        "explain",
        insight_command.explain,
        LOOK,
        "restora explain srvgg-x4 photo.png --region 120,80,64,64",
    ),
    (
        "calibrate",
        trust_commands.calibrate,
        LOOK,
        "restora calibrate out/denoising denoiser.calibration.json --restorer ffdnet-grey",
    ),
    (
        "train",
        training_commands.train,
        MAKE,
        "restora train conf/train/srresnet-x2-small.toml out/srresnet-x2 --data photos/ "
        "--set data.attribution=null --minutes 60",
    ),
    ("adapt", adapt_command.adapt, MAKE, "restora adapt ffdnet-grey scans/ --minutes 10"),
    (
        "generate",
        training_commands.generate,
        MAKE,
        "restora generate out/dcgan/dcgan.safetensors faces/ -n 64",
    ),
    (
        "compress",
        edge_commands.compress,
        MAKE,
        "restora compress srvgg-x4 --method int8 --data photos/",
    ),
    ("export", edge_commands.export, MAKE, "restora export ffdnet-colour --to onnx"),
    ("key", privacy_commands.key, HIDE, "restora key"),
    ("whois", privacy_commands.whois, HIDE, "restora whois out/restored 0f3c...e1"),
    ("seal", privacy_commands.seal, HIDE, "restora seal s3://bucket/scans"),
    ("list", about_commands.list_names, ABOUT, "restora list metrics psnr_y"),
    ("doctor", about_commands.doctor, ABOUT, "restora doctor --storage s3://bucket/scans --profile archive"),
)
"""Name, function, panel of the help page, example."""

for _name, _command, _panel, _example in COMMANDS:
    app.command(_name, rich_help_panel=_panel, epilog=f"Example:  {_example}")(_command)


def _show_version(wanted: bool) -> None:
    if wanted:
        from pipeline.version import code_version

        say(code_version())
        raise typer.Exit


@app.callback()
def restora(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Restores image archives: degrades, restores and scores every image on Ray, a table row for each."""
