"""Texts -> numbers, booleans and dates, where every cell of a column agrees."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl

_PADDED = r"^[+-]?0[0-9]"  # 007 is a code, not the number seven
_DATE = r"^\d{4}-\d{2}-\d{2}$"
_TIMES = {
    r"^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}(\.\d{1,9})?$": "%Y-%m-%d %H:%M:%S%.f",
    r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,9})?$": "%Y-%m-%dT%H:%M:%S%.f",
}


def infer_types(texts: "pl.DataFrame") -> "pl.DataFrame":
    """Give every column of texts the dtype that all of its cells have; nulls agree with any.

    Int64 (no leading zeros, so that codes such as ``007`` stay texts, and no overflow), Float64, Boolean
    (true and false), Date and Datetime as ISO 8601 writes them, and String for the rest.

    Args:
        texts: String columns.
    """
    return texts.with_columns([infer_column(column) for column in texts.get_columns()])


def infer_column(texts: "pl.Series") -> "pl.Series":
    """One column of `infer_types`."""
    at = texts.is_not_null().arg_max()
    if at is None or texts[at] is None:
        return texts
    for attempt in (_numbers, _booleans, _times):
        # The first cell tells which attempts are worth the whole column.
        if attempt(texts[at : at + 1]) is not None and (typed := attempt(texts)) is not None:
            return typed
    return texts


def infer_times(texts: "pl.Series") -> "pl.Series":
    """Dates and times of one column of texts, or the texts."""
    typed = _times(texts)
    return texts if typed is None else typed


def _numbers(texts: "pl.Series") -> "pl.Series | None":
    import polars as pl

    whole = texts.cast(pl.Int64, strict=False)
    if whole.null_count() == texts.null_count():
        return None if texts.str.contains(_PADDED).any() else whole
    real = texts.cast(pl.Float64, strict=False)
    if real.null_count() != texts.null_count() or texts.str.contains(_PADDED).any():
        return None
    # Whole numbers too long for Int64 are identifiers that Float64 would confuse; "nan" and "inf" are words.
    if not texts.str.contains(r"[.eE]").any() or not real.is_finite().any():
        return None
    return real


def _booleans(texts: "pl.Series") -> "pl.Series | None":
    lower = texts.str.to_lowercase()
    return lower == "true" if lower.is_in(["true", "false"]).all() else None


def _times(texts: "pl.Series") -> "pl.Series | None":
    if texts.str.contains(_DATE).all():
        days = texts.str.to_date("%Y-%m-%d", strict=False)
        return days if days.null_count() == texts.null_count() else None
    for pattern, form in _TIMES.items():
        if texts.str.contains(pattern).all():
            moments = texts.str.to_datetime(form, strict=False)
            return moments if moments.null_count() == texts.null_count() else None
    return None
