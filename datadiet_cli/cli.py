"""The front door: one subcommand each, flags derived from the settings, no logic."""

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
import typer.main

from datadiet_cli import __version__
from datadiet_cli.calibrating.names import ALL_NAMES
from datadiet_cli.cli_reports import register as register_reports
from datadiet_cli.config.base import Common
from datadiet_cli.config.registry import STEPS, settings_of
from datadiet_cli.flags import EPILOG, Json, Quiet, divide, given, options, set_signature, with_flags

app = typer.Typer(
    help="Put a dataset on a diet and prove that nothing of worth was lost.",
    epilog=EPILOG,
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
)

Config = Annotated[Path | None, typer.Option("--config", "-c", help="YAML file with settings; flags overrule it.")]


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"datadiet {__version__}")
        raise typer.Exit


@app.callback()
def _datadiet(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    pass


_INPUT: dict[str, tuple[str, str]] = {
    "dataset": ("INPUT", "The dataset: a folder or a table."),
    "model": ("INPUT", "The dataset to learn from: a folder or a table."),
    "report": ("AFTER", "The dataset as it is now; not given where two models are compared."),
    "prune-model": ("MODEL", "A MODEL_DIR of train, a .pt2, or a .safetensors with --factory."),
}
_OUTPUT: dict[str, tuple[str, str]] = {
    "dataset": ("OUTPUT", "The pruned copy, in the same layout."),
    "model": ("MODEL_DIR", "The folder for the model."),
    "report": ("REPORT.json", "The report to write; none if not given."),
}


def _register(name: str, summary: str) -> None:
    """Add a step as a subcommand; its signature is a command line's share plus a flag for each setting."""
    model, product = settings_of(name), STEPS[name].product
    optional = product == "report" or name in _INPUT
    first = _argument(*_INPUT.get(name, _INPUT[product]), required=not optional)
    second = _argument(*_OUTPUT[product], required=False)

    def command(
        input: Any = first,
        output: Any = second,
        config: Config = None,
        **flags: Any,
    ) -> int:
        from datadiet_cli.commands.step import run_step

        manner, settings = divide(flags)
        return run_step(name, input, output, config, settings, manner)

    command.__annotations__ |= {"input": str | None if optional else str, "output": str | None}
    with_flags(command, model, Common)
    app.command(name, help=f"{summary}.", epilog=EPILOG)(command)


def _argument(metavar: str, help: str, *, required: bool) -> Any:
    return typer.Argument(... if required else None, metavar=metavar, help=help, show_default=False)


for _name, _spec in STEPS.items():
    _register(_name, _spec.summary)


def _run(
    pipeline: Annotated[Path, typer.Argument(help="A YAML file that declares the pipeline.", show_default=False)],
    input: Annotated[str | None, typer.Option("--input", help="The dataset, instead of the file's.")] = None,
    output: Annotated[str | None, typer.Option("--output", help="The pruned copy, instead of the file's.")] = None,
    keep_intermediate: Annotated[
        bool, typer.Option("--keep-intermediate", help="Write the dataset after each step too, as OUTPUT.after-N-STEP.")
    ] = False,
    **flags: Any,
) -> int:
    from datadiet_cli.commands.step import run_pipeline

    manner, settings = divide(flags)
    overrides = given({"input": input, "output": output, **settings})
    return run_pipeline(pipeline, overrides, manner, keep_intermediate=keep_intermediate)


with_flags(_run, Common)
app.command("run", help="Run the steps of a YAML pipeline, one after the other, on one dataset.", epilog=EPILOG)(_run)


# The common settings that say how INPUT is read; the others have no meaning for a look.
_LOOK = {
    "label",
    "label_pattern",
    "split",
    "id_column",
    "encoding",
    "delimiter",
    "header",
    "max_pixels",
    "follow_symlinks",
    "workers",
}
_CHANCE = {"seed", "device", "engine"}


def _apply(
    transform: Annotated[
        str, typer.Argument(help="The .transform.json that stands beside an OUTPUT.", show_default=False)
    ],
    input: Annotated[str, typer.Argument(metavar="NEW_DATA", help="A folder or a table.", show_default=False)],
    output: Annotated[str | None, typer.Argument(help="The copy, treated in the same way.", show_default=False)] = None,
    **flags: Any,
) -> int:
    from datadiet_cli.commands.apply import apply

    manner, settings = divide(flags)
    return apply(transform, input, output, settings, manner)


with_flags(_apply, Common)
app.command(
    "apply", help="Do to new data what denoise or select-features learned from other data before.", epilog=EPILOG
)(_apply)


def _predict(
    model: Annotated[str, typer.Argument(metavar="MODEL_DIR", help="A model of train.", show_default=False)],
    input: Annotated[str, typer.Argument(help="The samples: a folder or a table.", show_default=False)],
    output: Annotated[
        str, typer.Argument(metavar="OUT.csv", help="The table to write; - for stdout.", show_default=False)
    ],
    factory: Annotated[
        str | None, typer.Option("--factory", help="The network of your own that the model is made by.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace OUT.csv if it exists.")] = False,
    quiet: Quiet = False,
    **flags: Any,
) -> int:
    from datadiet_cli.commands.predict import predict

    return predict(model, input, output, given(flags), factory=factory, force=force, quiet=quiet)


set_signature(_predict, [parameter for parameter in options(Common) if parameter.name in _LOOK | {"device", "engine"}])
app.command("predict", help="Say what a trained model makes of each sample: its class, or number.")(_predict)


@app.command("cache", help="Say what is remembered between runs, or clear it.")
def _cache(
    what: Annotated[Literal["info", "clear"], typer.Argument(help="info or clear.")] = "info",
    json: Json = False,
) -> int:
    from datadiet_cli.commands.cache import clear, info

    return info(os.environ, json=json) if what == "info" else clear(os.environ)


def _inspect(
    input: Annotated[str, typer.Argument(help="The dataset: a folder or a table.", show_default=False)],
    json: Json = False,
    quick: Annotated[bool, typer.Option("--quick", help="Do not decode the files to find unreadable ones.")] = False,
    quiet: Quiet = False,
    **flags: Any,
) -> int:
    from datadiet_cli.commands.inspect import inspect as look

    return look(input, given(flags), json=json, quick=quick, quiet=quiet)


set_signature(_inspect, [parameter for parameter in options(Common) if parameter.name in _LOOK])
app.command("inspect", help="Say what INPUT is: layout, classes, splits, formats, unreadable files. Changes nothing.")(
    _inspect
)


@app.command("init", help="Write a commented starter pipeline for INPUT.")
def _init(
    input: Annotated[str, typer.Argument(help="The dataset: a folder or a table.", show_default=False)],
    file: Annotated[str, typer.Argument(help="The YAML file to write; - for stdout.")] = "datadiet.yaml",
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it exists.")] = False,
) -> int:
    from datadiet_cli.commands.init import init

    return init(input, file, force=force)


@app.command("schema", help="Print a JSON Schema: of pipeline files, of the settings file of a step, or of reports.")
def _schema(
    of: Annotated[
        str,
        typer.Argument(
            help="pipeline, report, or the name of a step.", autocompletion=lambda: ["pipeline", "report", *STEPS]
        ),
    ] = "pipeline",
) -> int:
    from datadiet_cli.commands.schema import schema

    return schema(of)


def _calibrate(
    input: Annotated[str, typer.Argument(help="The dataset: a folder or a table.", show_default=False)],
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", "-c", help="YAML file with the settings to judge: a pipeline, or those of dedup or denoise."
        ),
    ] = None,
    samples: Annotated[int, typer.Option("--samples", min=20, help="How many training samples to draw.")] = 400,
    faults: Annotated[
        list[str] | None,
        typer.Option(
            "--fault",
            help="Kind of fault to plant; may be given several times.",
            autocompletion=lambda: list(ALL_NAMES),
        ),
    ] = None,
    max_false: Annotated[
        str, typer.Option("--max-false", metavar="<share>", help="False findings that a proposal may add at most.")
    ] = "1%",
    write: Annotated[
        str | None, typer.Option("--write", metavar="FILE", help="Write the proposal, as a pipeline for run.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print all numbers as JSON.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it exists.")] = False,
    quiet: Quiet = False,
    **flags: Any,
) -> int:
    from datadiet_cli.commands.calibrate import calibrate

    return calibrate(
        input,
        config,
        given(flags),
        samples=samples,
        faults=faults or None,
        max_false=max_false,
        write=write,
        json=json,
        force=force,
        quiet=quiet,
    )


set_signature(_calibrate, [parameter for parameter in options(Common) if parameter.name in _LOOK | _CHANCE])
app.command(
    "calibrate",
    help="Plant known faults in a sample of INPUT, and say what the settings find and what would be better.",
)(_calibrate)


@app.command("completion", help="Print what makes a shell complete datadiet's commands and flags; changes nothing.")
def _completion(
    shell: Annotated[Literal["bash", "zsh", "fish"], typer.Argument(help="bash, zsh or fish.", show_default=False)],
) -> int:
    from datadiet_cli.commands.completion import completion

    return completion(shell)


register_reports(app)


@cache
def command() -> Callable[..., Any]:
    """The whole command line, put together once: it takes longer than many a run in the same process."""
    return typer.main.get_command(app)
