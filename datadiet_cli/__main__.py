"""The process: arguments in, exit code out, one line for every error that a user can do something about."""

import os
import signal
import sys
from types import FrameType

from datadiet_cli.errors import DatadietError, ExitCode


class _TerminatedError(BaseException):
    """SIGTERM arrived; like Ctrl-C, it must run the clean-up on its way out."""


def _terminate(_number: int, _frame: FrameType | None) -> None:
    raise _TerminatedError


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit the process."""
    signal.signal(signal.SIGTERM, _terminate)
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


def run(arguments: list[str]) -> int:
    """Run the command line and give its exit code."""
    try:
        code = _dispatch(arguments)
    except _TerminatedError:
        return _say("terminated; nothing was published", ExitCode.TERMINATED)
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    except BrokenPipeError:
        return ExitCode.BROKEN_PIPE
    except DatadietError as error:
        return _say(str(error), error.exit_code)
    except MemoryError:
        return _say("out of memory; use fewer --workers, or a machine with more", ExitCode.USAGE)
    except OSError as error:
        place = f"{error.filename}: " if error.filename is not None else ""
        return _say(f"{place}{error.strerror or error}; nothing was published", ExitCode.USAGE)
    except Exception:
        return _bug(arguments)
    if code == ExitCode.INTERRUPTED:
        return _say("interrupted; nothing was published", code)
    return code


def _dispatch(arguments: list[str]) -> int:
    from typer.exceptions import TyperException

    from datadiet_cli.cli import app

    try:
        return int(app(arguments, prog_name="datadiet", standalone_mode=False) or 0)
    except TyperException as error:
        return _say(getattr(error, "format_message", error.__str__)(), ExitCode.USAGE)


def _say(message: str, code: int) -> int:
    from datadiet_cli.report.terminal import printable

    for line in message.splitlines():
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
