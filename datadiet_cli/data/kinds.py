"""What kind of content a file holds, as far as its name tells, and what a folder's name says of a split."""

import os

IMAGE_SUFFIXES = frozenset(
    """.apng .avif .avifs .blp .bmp .bw .cur .dcx .dds .dib .emf .eps .fits .flc .fli .gbr .gif .heic .heif .hif .icb
    .icns .ico .im .j2c .j2k .jfif .jp2 .jpc .jpe .jpeg .jpf .jpg .jpx .jxl .mpo .msp .pbm .pcx .pfm .pgm .png .pnm
    .ppm .ps .psd .pxr .qoi .ras .rgb .rgba .sgi .tga .tif .tiff .vda .vst .webp .wmf .xbm .xpm""".split()
)
AUDIO_SUFFIXES = frozenset(
    {".aac", ".aif", ".aiff", ".au", ".flac", ".m4a", ".mp3", ".oga", ".ogg", ".opus", ".wav", ".wma"}
)
TEXT_SUFFIXES = frozenset({".text", ".txt"})
SIDECAR_SUFFIXES = frozenset(
    """.cache .cfg .csv .db .htm .html .ini .json .jsonl .lock .log .md .ndjson .parquet .pdf .pq .py .rst .sh .tab
    .toml .tsv .xml .yaml .yml""".split()
)
BY_KIND = {"image": IMAGE_SUFFIXES, "audio": AUDIO_SUFFIXES, "text": TEXT_SUFFIXES}
_KIND_OF_SUFFIX = {ending: kind for kind, endings in BY_KIND.items() for ending in endings} | dict.fromkeys(
    SIDECAR_SUFFIXES, "sidecar"
)
_SIDECAR_STARTS = ("README", "LICENSE", "LICENCE", "COPYING", "Thumbs.db")

TRAIN_NAMES = frozenset({"train", "training"})
EVALUATION_NAMES = frozenset({"dev", "eval", "evaluation", "holdout", "test", "testing", "val", "valid", "validation"})
SPLIT_COLUMNS = frozenset({"partition", "set", "split", "subset"})
SPLIT_NAMES = TRAIN_NAMES | EVALUATION_NAMES


def suffix(path: str) -> str:
    """The last suffix of a file name, in lower case, with its dot; empty for none."""
    return os.path.splitext(path)[1].lower()


def kind_of(path: str) -> str | None:
    """``image``, ``audio``, ``text``, ``sidecar`` (belongs to a dataset without being a sample), or None.

    Hidden files, and whatever lies in a hidden folder such as ``.git``, are sidecars.
    """
    name = path.rpartition("/")[2]
    if is_hidden(path) or name.startswith(_SIDECAR_STARTS):
        return "sidecar"
    dot = name.rfind(".")
    return _KIND_OF_SUFFIX.get(name[dot:].lower()) if dot > 0 else None


def is_hidden(path: str) -> bool:
    """Whether the file, or a folder that it lies in, has a name that starts with a dot."""
    return path.startswith(".") or "/." in path


def is_evaluation(split: str) -> bool:
    """Whether samples of this split are for evaluation, hence never dropped, moved or fitted on."""
    return split.strip().lower() in EVALUATION_NAMES
