"""The process: arguments in, exit code out, one line for every error that a user can do something about."""

import difflib
import gc
import os
import signal
import sys
from types import FrameType

from datadiet_cli.errors import ConfigError, DatadietError, ExitCode, interruption

# Set by the scripts that `datadiet completion` prints.
_COMPLETE = "_DATADIET_COMPLETE"


class _TerminatedError(BaseException):
    """SIGTERM arrived; like Ctrl-C, it must run the clean-up on its way out."""


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise _TerminatedError


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit the process."""
    # A million samples are a million small objects, none of them garbage: looking at them all the time is a tenth
    # of the time of a command.
    gc.set_threshold(200_000, 20, 20)
    # Pydantic would read the metadata of every installed package in search of plug-ins, and run what it finds.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    signal.signal(signal.SIGTERM, _terminate)
    _reopen_closed_streams()
    # On a descriptor of its own, so that the noise of C libraries on descriptor 2 can be told from what we say.
    sys.stderr = open(os.dup(2), "w", encoding=sys.stderr.encoding, errors="backslashreplace", buffering=1)  # noqa: SIM115
    code = run(sys.argv[1:] if arguments is None else arguments)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = ExitCode.BROKEN_PIPE
    if code == ExitCode.BROKEN_PIPE:
        # The interpreter would complain once more when it flushes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(int(code))


def _reopen_closed_streams() -> None:
    """A daemon may have closed stdout or stderr; the next file that is opened must not become them."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - lives as long as the process
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115 - lives as long as the process


def run(arguments: list[str]) -> int:
    """Run the command line and give its exit code."""
    try:
        code = _dispatch(arguments)
    except _TerminatedError:
        return _say("; ".join(["terminated; nothing was published", *interruption]), ExitCode.TERMINATED)
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    except BrokenPipeError:
        return ExitCode.BROKEN_PIPE
    except DatadietError as error:
        return _say(str(error), error.exit_code, many=isinstance(error, ConfigError))
    except MemoryError:
        return _say("out of memory; use fewer --workers, or a machine with more", ExitCode.USAGE)
    except OSError as error:
        place = f"{error.filename}: " if error.filename is not None else ""
        return _say(f"{place}{error.strerror or error}; nothing was published", ExitCode.USAGE)
    except Exception:
        return _bug(arguments)
    if code == ExitCode.INTERRUPTED:
        return _say("; ".join(["interrupted; nothing was published", *interruption]), code)
    return code


def _dispatch(arguments: list[str]) -> int:
    if _COMPLETE in os.environ:
        return _complete(arguments)
    from typer.exceptions import TyperException

    from datadiet_cli.cli import command

    try:
        return int(command()(arguments or ["--help"], prog_name="datadiet", standalone_mode=False) or 0)
    except SystemExit:
        # Typer's answer to a write that finds the reader gone, and its only exit when it is not left to itself.
        return ExitCode.BROKEN_PIPE
    except TyperException as error:
        return _say(_usage_message(error), ExitCode.USAGE)


def _complete(words: list[str]) -> int:
    """Answer a shell that asks what may come next on its line."""
    from datadiet_cli.cli import app
    from datadiet_cli.completing import answer

    print(answer(app, words, os.environ[_COMPLETE]))  # noqa: T201 - what the shell reads
    return ExitCode.DONE


def _usage_message(error: Exception) -> str:
    option, near = getattr(error, "option_name", None), getattr(error, "possibilities", None)
    if option and near:
        best = difflib.get_close_matches(option, near, 1, cutoff=0)[0]
        return f"{option}: no such option; did you mean {best}?"
    return str(getattr(error, "format_message", error.__str__)())


def _say(message: str, code: int, *, many: bool = False) -> int:
    """Print an error: one line, or with `many` a line for each mistake."""
    from datadiet_cli.report.terminal import printable

    for line in message.split("\n") if many else [message]:
        print(f"datadiet: {printable(line)}", file=sys.stderr)  # noqa: T201 - the process's voice
    return code


def _bug(arguments: list[str]) -> int:
    import traceback

    from datadiet_cli import __version__
    from datadiet_cli.report.build import environment
    from datadiet_cli.report.terminal import printable

    lines = [
        "datadiet: internal error; this is a bug, please report it with the lines below. Nothing was published.",
        f"datadiet {__version__}: {printable(' '.join(arguments))}",
        f"{environment()}",
        printable(traceback.format_exc(), keep_lines=True),
    ]
    print("\n".join(lines), file=sys.stderr)  # noqa: T201 - the process's voice
    return ExitCode.INTERNAL


if __name__ == "__main__":
    main()
