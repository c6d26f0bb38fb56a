"""What can go wrong, in words for the person who typed the command, and the exit code it ends with."""

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of every command. Anything else is a bug."""

    DONE = 0
    """Everything asked for was done."""
    GATE_FAILED = 1
    """A gate the user asked for (`--check`, `--max-removed`, an `expect:`) failed; nothing was published."""
    USAGE = 2
    """The command line, the configuration, the input or the output path is wrong; nothing was published."""
    UNREADABLE = 3
    """Done, but some samples could not be read; they were kept unless the user said otherwise, and are named."""
    INTERNAL = 70
    """A bug in datadiet; a report to paste was printed."""
    INTERRUPTED = 130
    """Ctrl-C; nothing was published."""
    BROKEN_PIPE = 141
    """The reader of stdout went away."""
    TERMINATED = 143
    """SIGTERM; nothing was published."""


class DatadietError(Exception):
    """An error whose message is meant for the user: what, where, and what to do. Ends with exit code 2."""

    exit_code = ExitCode.USAGE


class InputError(DatadietError):
    """INPUT cannot be used as a dataset."""


class OutputError(DatadietError):
    """OUTPUT cannot be written."""


class ConfigError(DatadietError):
    """Settings are wrong. The message holds one line per mistake."""


class MissingExtraError(DatadietError):
    """An optional dependency is missing; the message names the extra and the step that wanted it."""


interruption: list[str] = []
"""What people should be told after Ctrl-C, besides that nothing was published: how to go on."""
