"""Command-line flags, derived from the settings they set."""

import inspect
from collections.abc import Mapping
from typing import Any, get_args

import typer
from pydantic.fields import FieldInfo

from datadiet_cli.config.base import Form, Settings, form_of, percentage
from datadiet_cli.config.environment import from_text


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
        text = percentage(default) if form.is_share else str(default)
        notes.append(f"default: {text.lower() if form.type is bool else text}")
    return f"{field.description}{again}" + (f" [{'; '.join(notes)}]" if notes else "")
