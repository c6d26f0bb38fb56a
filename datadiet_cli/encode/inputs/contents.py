"""Pictures, sounds and texts, in files or in a column of texts, as arrays of the form that a model takes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from numpy.typing import NDArray

from datadiet_cli.data.quiet import quiet_libraries
from datadiet_cli.encode.cache import Cache, NoCache
from datadiet_cli.encode.inputs.reading import Causes, Room
from datadiet_cli.encode.sounds import RATE, require_soundfile
from datadiet_cli.encode.texts import Documents
from datadiet_cli.engine import Engine
from datadiet_cli.errors import InputError

Progress = Callable[[int], None]
Announce = Callable[[str, int], Progress]


@dataclass(frozen=True)
class Reader:
    """Reads contents in workers.

    Attributes:
        engine: runs the kernels.
        cache: where small pictures are remembered.
        encoding: of text files without a byte order mark; UTF-8 for None.
        max_pixels: larger pictures are taken for decompression bombs.
        announce: told what is done, and to how many; gives what is told of samples done.
        room: gives the folder of a large array.
        step: who asks, for messages.
    """

    engine: Engine
    cache: Cache | NoCache
    encoding: str | None
    max_pixels: int
    announce: Announce
    room: Room
    step: str = field(default="train")

    def sizes(self, kind: str, items: Documents, image_size: int) -> dict[str, Any]:
        """Options of a field, by the contents to learn from.

        Args:
            kind: ``image``, ``audio`` or ``text``.
            items: a list of paths, None for no file; or a frame of texts.
            image_size: pixels a side that pictures are brought to.

        Raises:
            MissingExtraError: what reads sounds is not installed.
        """
        if kind == "image":
            return {"size": image_size}
        if kind == "audio":
            from datadiet_cli.encode.inputs import sounds

            require_soundfile("audio", self.step, "model")
            with quiet_libraries():
                return {"rate": RATE, "samples": sounds.length_for(_paths(items), self.engine)}
        from datadiet_cli.encode.inputs import words

        return {"buckets": words.buckets_for(len(items)), "length": words.length_for(items, self.encoding, self.engine)}

    def read(self, kind: str, options: Mapping[str, Any], items: Documents) -> tuple[NDArray[Any], Causes]:
        """The array of a field, and why samples could not be read; see `nn.spec.Field`.

        Args:
            kind: ``image``, ``audio`` or ``text``.
            options: of the field.
            items: a list of n paths, None for no file; or a frame of texts.

        Raises:
            MissingExtraError: what reads sounds is not installed.
            InputError: the sounds are wanted at another rate than they are read at.
            DatadietError: there is no room for a large array.
        """
        readers = {"image": self._pictures, "audio": self._sounds, "text": self._texts}
        return readers[kind](options, items)

    def _pictures(self, options: Mapping[str, Any], items: Documents) -> tuple[NDArray[Any], Causes]:
        from datadiet_cli.encode.inputs.pictures import read_pictures

        with quiet_libraries():
            return read_pictures(
                _paths(items),
                options["size"],
                self.max_pixels,
                cache=self.cache,
                engine=self.engine,
                progress=self.announce("looking at pictures", len(items)),
                room=self.room,
            )

    def _sounds(self, options: Mapping[str, Any], items: Documents) -> tuple[NDArray[Any], Causes]:
        from datadiet_cli.encode.inputs.sounds import read_sounds

        require_soundfile("audio", self.step, "model")
        if options["rate"] != RATE:
            raise InputError(
                f"{self.step}: the model hears {options['rate']} samples a second, and sounds are read at {RATE}"
            )
        tell = self.announce("listening to sounds", len(items))
        with quiet_libraries():
            return read_sounds(_paths(items), options["samples"], engine=self.engine, progress=tell, room=self.room)

    def _texts(self, options: Mapping[str, Any], items: Documents) -> tuple[NDArray[Any], Causes]:
        from datadiet_cli.encode.inputs.words import read_texts

        tell, form = self.announce("reading texts", len(items)), (options["length"], options["buckets"])
        return read_texts(items, *form, self.encoding, engine=self.engine, progress=tell, room=self.room)


def _paths(items: Documents) -> Sequence[str | None]:
    return cast(Sequence[str | None], items)
