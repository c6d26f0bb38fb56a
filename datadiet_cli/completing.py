"""What may come next on a half-typed command line, for the shell scripts that `datadiet completion` prints.

The shell calls `datadiet` with `_DATADIET_COMPLETE` set and the words after the command, the last of them the one
that is being typed. The answer is a line that says `words`, `files` or `nothing`, and with `words` a line for each:
the word, a tab, and what it means.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from typer.models import OptionInfo, ParameterInfo

_NUMBERS = ("<int>", "<float>", "<share>")

Answer = tuple[Literal["words", "files", "nothing"], list[tuple[str, str]]]
"""What to offer, and with `words` each of them with its meaning."""


@dataclass(frozen=True)
class _Parameter:
    """An option or argument.

    Attributes:
        flags: how an option is spelt; empty for an argument.
        help: what it is about.
        choices: the words it takes, if they are few.
        takes: whether a value follows.
        many: whether it may be given again.
        number: whether its value is a number.
    """

    flags: tuple[str, ...]
    help: str
    choices: tuple[str, ...] = ()
    takes: bool = True
    many: bool = False
    number: bool = False


_HELP = _Parameter(("--help",), "Show this message and exit.", takes=False)


@dataclass
class _Line:
    """The words before the one that is typed, as far as they are understood."""

    parameters: Sequence[_Parameter]
    given: set[_Parameter] = field(default_factory=set)
    arguments: int = 0
    pending: _Parameter | None = None
    only_arguments: bool = False

    def read(self, word: str) -> None:
        """Take in one word."""
        if self.pending is not None:
            self.pending = None
        elif self.only_arguments or not word.startswith("-") or word == "-":
            self.arguments += 1
        elif word == "--":
            self.only_arguments = True
        else:
            self._option(word)

    def _option(self, word: str) -> None:
        if word.startswith("--"):
            found, inline = self.find(word.partition("=")[0]), "=" in word
        else:
            # Of -0qc, only the last may take its value from the next word.
            found = next((p for p in map(self.find, (f"-{c}" for c in word[1:])) if p is not None and p.takes), None)
            inline = found is not None and f"-{word[-1]}" not in found.flags
        if found is not None:
            self.given.add(found)
            self.pending = found if found.takes and not inline else None

    def find(self, flag: str) -> _Parameter | None:
        """The option that is spelt like this."""
        return next((p for p in self.parameters if flag in p.flags), None)


def answer(app: typer.Typer, words: Sequence[str], shell: str) -> str:
    """Say what may stand in the place of the last word, in the lines that the shell scripts read.

    Args:
        app: the command line.
        words: those after `datadiet`, up to and with the one that is being typed, which may be empty.
        shell: that asks, as the scripts name it; bash has words of its own.
    """
    kind, found = complete(app, _joined(words) if shell == "bash" else words)
    return "\n".join([kind, *(f"{word}\t{meaning}" for word, meaning in found)])


def complete(app: typer.Typer, words: Sequence[str]) -> Answer:
    """Find what may stand in the place of the last word."""
    *before, typed = words or [""]
    commands = {str(c.name): c for c in app.registered_commands if not c.hidden}
    named = next((i for i, word in enumerate(before) if not word.startswith("-")), None)
    if named is None:
        assert app.registered_callback is not None  # noqa: S101 - it is where --version is
        if typed.startswith("-"):
            return _offer(_flags(_Line([*_parameters(app.registered_callback.callback), _HELP])), typed)
        return _offer(((name, _first_sentence(c.help or "")) for name, c in commands.items()), typed)
    if before[named] not in commands:
        return "nothing", []
    line = _Line([*_parameters(commands[before[named]].callback), _HELP])
    for word in before[named + 1 :]:
        line.read(word)
    return _next(line, typed)


def _next(line: _Line, typed: str) -> Answer:
    """What may come at the end of a line."""
    if line.pending is not None:
        return _values(line.pending, typed)
    if typed.startswith("--") and "=" in typed and not line.only_arguments:
        flag, _, value = typed.partition("=")
        option = line.find(flag)
        return ("nothing", []) if option is None or not option.takes else _values(option, value, f"{flag}=")
    if typed.startswith("-") and not line.only_arguments:
        return _offer(_flags(line), typed)
    arguments = [p for p in line.parameters if not p.flags]
    if line.arguments < len(arguments):
        return _values(arguments[line.arguments], typed)
    return _offer(_flags(line), typed)


def _values(parameter: _Parameter, typed: str, before: str = "") -> Answer:
    """What an option or argument takes."""
    if parameter.choices:
        return _offer(((f"{before}{choice}", "") for choice in parameter.choices), before + typed)
    return ("nothing" if parameter.number else "files"), []


def _offer(words: Iterable[tuple[str, str]], typed: str) -> Answer:
    return "words", [(word, meaning) for word, meaning in words if word.startswith(typed)]


def _flags(line: _Line) -> Iterator[tuple[str, str]]:
    for parameter in line.parameters:
        if parameter not in line.given or parameter.many:
            yield from ((flag, _first_sentence(parameter.help)) for flag in parameter.flags if flag.startswith("--"))


def _first_sentence(text: str) -> str:
    """What a shell can show beside a word."""
    line = " ".join(text.split())
    return line.partition(". ")[0].rstrip(".")


def _joined(words: Sequence[str]) -> list[str]:
    """Bash takes `--method=fast` for three words, and `--label=a=b` for five."""
    found: list[str] = []
    value = False
    for word in words:
        sign = bool(word) and not word.strip("=")
        # What follows an empty value is the next option.
        if found and (sign or (value and not word.startswith("--"))):
            found[-1] += word
        else:
            found.append(word)
        value = sign
    return found


def _parameters(function: Callable[..., Any] | None) -> list[_Parameter]:
    """The options and arguments of a command, from the signature that Typer reads them from."""
    assert function is not None  # noqa: S101 - every command has one
    return [_parameter(one) for one in inspect.signature(function).parameters.values()]


def _parameter(one: inspect.Parameter) -> _Parameter:
    annotation, info = one.annotation, one.default
    declared = () if not isinstance(info, ParameterInfo) else tuple(info.param_decls or ())
    if get_origin(annotation) is Annotated:
        annotation, *extra = get_args(annotation)
        info = next(each for each in extra if isinstance(each, ParameterInfo))
        # Inside Annotated, the place of the default is taken by the first name.
        declared = (info.default, *(info.param_decls or ())) if isinstance(info.default, str) else ()
    many = get_origin(annotation) is list
    types = [annotation, *(part for part in get_args(annotation) if part is not type(None))]
    help, metavar = info.help or "", info.metavar or ""
    offered = info.autocompletion
    choices = _choices(types, metavar) if offered is None else tuple(offered())
    number = metavar in _NUMBERS or int in types or float in types
    if not isinstance(info, OptionInfo):
        return _Parameter((), help, choices, number=number)
    flags = tuple(flag for names in declared or (f"--{one.name.replace('_', '-')}",) for flag in names.split("/"))
    takes = bool not in types
    many = many or any(get_origin(each) is list for each in types)
    return _Parameter(flags, help, choices, takes=takes, many=many, number=number)


def _choices(types: Sequence[Any], metavar: str) -> tuple[str, ...]:
    """Those of a Literal; settings name theirs in the word that stands for the value, `<fast|full>`."""
    for each in types:
        if get_origin(each) is Literal:
            return tuple(map(str, get_args(each)))
    if metavar.startswith("<") and "|" in metavar:
        return tuple(metavar.strip("<>").split("|"))
    return ()
