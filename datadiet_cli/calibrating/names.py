"""The names of all faults of all kinds of data, for the command line, which loads nothing that makes them."""

ALL_NAMES: tuple[str, ...] = (
    "exact-copy", "half-size", "double-size", "jpeg-50", "webp", "other-format", "crop-5", "crop-15", "flip",
    "rotate-90", "tones", "soft", "watermark", "other-label", "case-space", "typos", "sentence-gone", "words-swapped",
    "truncated", "softer", "noisy-copy", "delayed", "trimmed", "noise-1e-6", "noise-1e-3", "cell-gone", "empty",
    "missing", "mostly-missing", "blurred", "dark", "garbled", "blank", "repeated", "foreign", "clipped", "silent",
    "noisy", "noise", "scrambled", "shuffled", "hiss", "tenfold", "columns-swapped", "label-flip",
)  # fmt: skip
