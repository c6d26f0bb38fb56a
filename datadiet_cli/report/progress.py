"""Progress bars with rate and time left. Only loaded where stderr is a terminal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from datadiet_cli.report.terminal import printable

_SHOWN = 4
"""Bars that are seen at once."""
_SAMPLES = ("pictures", "sounds", "texts", "reading", "decoding")
"""The last words of work that is counted in samples."""
_NARROW, _SHORT_BAR, _BESIDES = 100, 8, 29
"""A terminal of fewer columns is narrow; how long a bar is there, and all that stands beside the name."""
_UNIT = 80
"""Columns of a terminal that has room for the unit of the rate."""


class _Rate(ProgressColumn):
    """How much is done in a second, or how long one takes."""

    def __init__(self, unit: str) -> None:
        super().__init__(Column(no_wrap=True, justify="right"))
        self.unit = unit

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        if not speed:
            return Text("")
        if speed < 1:
            return Text(f"{1 / speed:,.1f} s each")
        unit = self.unit if task.fields["samples"] else ""
        return Text(f"{speed:,.0f}{unit}/s")


@contextmanager
def bars() -> Iterator[Callable[[str, int], Callable[[int], None]]]:
    """Show bars on stderr while the block runs, and give the function that adds one."""
    console = Console(stderr=True)
    narrow = console.width < _NARROW
    # Where there is little room, the bar alone says how much is done.
    unit = " samples" if console.width >= _UNIT else ""
    room = console.width - _BESIDES - len(unit) if narrow else console.width // 3
    name = Column(no_wrap=True, overflow="ellipsis", max_width=max(8, room))
    columns = (
        TextColumn("{task.description}", markup=False, table_column=name),
        BarColumn(bar_width=_SHORT_BAR if narrow else min(40, console.width // 5)),
        *(() if narrow else (MofNCompleteColumn(),)),
        _Rate(unit),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=console, transient=True) as shown:

        def announce(label: str, total: int) -> Callable[[int], None]:
            # What is done, or was announced long ago, makes room.
            old = [task for task in shown.tasks if not task.finished and task.total is not None]
            for task in shown.tasks:
                if task not in old[1 - _SHOWN :]:
                    shown.remove_task(task.id)
            text = printable(label)
            number = shown.add_task(text, total=total or None, samples=text.rpartition(" ")[2] in _SAMPLES)

            def tell(done: int) -> None:
                if number in shown.task_ids:
                    shown.update(number, advance=done)

            return tell

        yield announce
