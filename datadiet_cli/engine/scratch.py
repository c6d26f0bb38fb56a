"""Files that a run needs while it runs: on disk, where workers see them, and gone with it."""

import os
import shutil
import tempfile

from datadiet_cli.errors import ConfigError


class Scratch:
    """A folder of temporary files, made when the first is wanted.

    Args:
        parent: folder to make it in, which all workers see; None for the one of temporary files.
    """

    def __init__(self, parent: str | None) -> None:
        # What workers are told of must not depend on where they, or we, were started.
        self._parent = None if parent is None else os.path.abspath(parent)
        self._folder: str | None = None
        self._made = 0

    @property
    def folder(self) -> str:
        """The folder.

        Raises:
            ConfigError: it cannot be made.
        """
        if self._folder is None:
            try:
                self._folder = tempfile.mkdtemp(prefix="datadiet-", dir=self._parent)
            except OSError as error:
                place = self._parent or tempfile.gettempdir()
                raise ConfigError(
                    f"--shared-dir {place}: nothing can be written there: {error.strerror}; name a folder that can "
                    "be written to"
                ) from error
        return self._folder

    def file(self, word: str) -> str:
        """A name for a new file."""
        self._made += 1
        return os.path.join(self.folder, f"{word}-{self._made}")

    def directory(self, word: str) -> str:
        """A new folder."""
        path = self.file(word)
        os.mkdir(path)
        return path

    def close(self) -> None:
        """Take everything away."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None
