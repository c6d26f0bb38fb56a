"""Command-line flags, derived from the settings they set."""

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, get_args

import typer
from pydantic.fields import FieldInfo

from datadiet_cli.commands.manner import Format, Manner
from datadiet_cli.config.base import Form, Settings, form_of, percentage
from datadiet_cli.config.environment import from_text
from datadiet_cli.errors import ConfigError


def options(*models: type[Settings]) -> list[inspect.Parameter]:
    """Derive a Typer option from each field of each model: `max_distance` becomes `--max-distance`.

    A bool becomes a pair of flags, `--cache/--no-cache`, and a list an option to be given several times. An
    option that is not typed is None, so that it can be told from one that repeats the default.

    Returns:
        Keyword-only parameters, to become part of the signature of a command.
    """
    return [_option(name, field) for model in models for name, field in model.model_fields.items()]


def given(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the arguments that were typed."""
    return {name: value for name, value in arguments.items() if value is not None and value != []}


def _option(name: str, field: FieldInfo) -> inspect.Parameter:
    form = form_of(field)
    flag = name.replace("_", "-")
    if form.type is bool:
        both = f"--{flag}" if flag.startswith("no-") else f"--{flag}/--no-{flag}"
        default = typer.Option(None, both, help=_help(field, form), show_default=False)
        return _keyword(name, default, bool | None)
    # Typer only hands the text on: a wrong value is refused by the model, in the same words as in a file.
    default = typer.Option(
        None,
        f"--{flag}",
        help=_help(field, form),
        metavar=_kind(form),
        parser=lambda text: from_text(text, form),
        show_default=False,
    )
    return _keyword(name, default, list[Any] | None if form.many else Any)


def _keyword(name: str, default: object, annotation: object) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _kind(form: Form) -> str:
    """What may be typed: `<int>`, `<fast|full>`."""
    if form.is_share:
        return "<share>"
    return f"<{'|'.join(get_args(form.type)) or {str: 'text'}.get(form.type, form.type.__name__)}>"


def _help(field: FieldInfo, form: Form) -> str:
    """The description, whether the option repeats, the range and the default."""
    again = " May be given several times." if form.many else ""
    notes = []
    if form.lowest is not None:
        notes.append(f"{form.lowest} to {form.highest}" if form.highest is not None else f"at least {form.lowest}")
    elif form.highest is not None:
        notes.append(f"at most {form.highest}")
    default = field.default
    if default is not None and not field.is_required():
        write = percentage if form.is_share else str
        text = ", ".join(map(write, default)) if form.many and form.is_share else write(default)
        notes.append(f"default: {text.lower() if form.type is bool else text}")
    return f"{field.description}{again}" + (f" [{'; '.join(notes)}]" if notes else "")


EPILOG = (
    "Exit codes: 0 done; 1 a gate failed; 2 wrong usage, settings, input or output; 3 done, but some samples could "
    "not be read; 70 a bug; 130 interrupted; 143 terminated."
)

Json = Annotated[bool, typer.Option("--json", help="Print the report to stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing on stderr but errors.")]


def _manner(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Decide, but write nothing.")] = False,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Write nothing; exit 1 if samples or columns would go or be altered; --max-removed lets some go.",
        ),
    ] = False,
    listing: Annotated[
        Literal["kept", "dropped"] | None, typer.Option("--list", help="Print the ids of these samples to stdout.")
    ] = None,
    null: Annotated[
        bool, typer.Option("-0", "--null", help="End each id of --list with a NUL byte instead of a line end.")
    ] = False,
    json: Json = False,
    format: Annotated[
        Format | None, typer.Option("--format", help="Print the report to stdout in this format.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace OUTPUT if it exists.")] = False,
    rerun: Annotated[bool, typer.Option("--rerun", help="Compute and write again what is up to date.")] = False,
    quiet: Quiet = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say every verdict on stderr.")] = False,
) -> Manner:
    """The flags that every command on a dataset has besides its settings."""
    if json and format not in (None, "json"):
        raise ConfigError(f"--json and --format {format} both print the report; choose one")
    return Manner(dry_run, check, listing, null, "json" if json else format, force, rerun, quiet, verbose)


MANNER = list(inspect.signature(_manner).parameters.values())
"""Those flags, as parameters."""


def divide(flags: dict[str, Any]) -> tuple[Manner, dict[str, Any]]:
    """Tell the manner of a run from its settings, as far as they were typed."""
    manner = _manner(**{parameter.name: flags.pop(parameter.name) for parameter in MANNER})
    return manner, given(flags)


def with_flags(command: Callable[..., int], *models: Any) -> None:
    """Give a command the flags of a run and of settings in the place of its `**flags`."""
    set_signature(command, MANNER + options(*models))


def set_signature(command: Callable[..., int], flags: list[inspect.Parameter]) -> None:
    """Give a command these flags in the place of its `**flags`."""
    signature = inspect.signature(command)
    fixed = [p for p in signature.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    whole = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in fixed] + flags
    command.__signature__ = inspect.Signature(whole)  # type: ignore[attr-defined]
    command.__annotations__ = {p.name: p.annotation for p in whole}
