"""The step from values to categories: columns of values come in, codes and the words of each code go out.

The words are the same whatever library held the values: whole numbers without a point, times as ISO 8601 in UTC.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

Labels = tuple[NDArray[np.int64], list[str]]

WHOLE = 1e15  # whole numbers below are written without an exponent


def of_value(value: object) -> str:
    """Any value as the name of its category."""
    if isinstance(value, (float, np.floating)):
        return of_number(float(value))
    if isinstance(value, bytes):  # text in files whose writer did not say so
        return value.decode("utf-8", "backslashreplace")
    return str(value.tolist() if isinstance(value, np.ndarray) else value)


def of_number(value: float) -> str:
    """A number in the fewest digits that tell it: `3`, `0.1`, `inf`."""
    return str(int(value)) if value.is_integer() and abs(value) < WHOLE else repr(value)


def of_time(seconds: float) -> str:
    """A time in UTC to the microsecond, as short as it can be: `2024-05-01`, `2024-05-01 08:30:00`."""
    if not abs(seconds) < 9e12:  # beyond what microseconds can count
        return of_number(seconds)
    day, _, clock = str(np.datetime64(round(seconds * 1e6), "us")).partition("T")
    return day if clock == "00:00:00.000000" else f"{day} {clock.removesuffix('.000000')}"


def of_numbers(numbers: NDArray[np.float64], kind: str) -> Labels:
    """Codes and words of numbers, booleans or times, by value; NaN is null."""
    known = ~np.isnan(numbers)
    values, places = np.unique(numbers[known], return_inverse=True)
    codes = np.full(len(numbers), -1, dtype=np.int64)
    codes[known] = places
    word = {"boolean": lambda value: str(bool(value)), "datetime": of_time}.get(kind, of_number)
    return codes, [word(float(value)) for value in values]


def of_objects(values: Iterable[Any], nulls: NDArray[np.bool_]) -> Labels:
    """Codes and words of any objects; those of equal words are one category."""
    seen: dict[str, int] = {}
    codes = np.fromiter(
        (
            -1 if null else seen.setdefault(of_value(value), len(seen))
            for value, null in zip(values, nulls, strict=True)
        ),
        np.int64,
        len(nulls),
    )
    return tidy(codes, list(seen))


def tidy(codes: NDArray[Any], words: Sequence[str | None]) -> Labels:
    """The same with only the categories that occur, each once, sorted; a category without a word is null."""
    used = np.bincount(codes[codes >= 0], minlength=len(words)) > 0
    if used.all() and (rising := _rising(words)):  # a million ids, sorted by their library, need no second sorting
        return codes.astype(np.int64, copy=False), rising
    labels = sorted({word for word, occurs in zip(words, used, strict=True) if occurs and word is not None})
    place = {label: number for number, label in enumerate(labels)}
    places = [-1 if word is None else place.get(word, -1) for word in words]
    return np.array([*places, -1], dtype=np.int64)[codes], labels  # -1 finds the last: null stays null


def of_strings(values: NDArray[Any]) -> Labels:
    """Codes and words of strings among which what is no string is null."""
    seen: dict[str, int] = {}
    coded = (seen.setdefault(value, len(seen)) if isinstance(value, str) else -1 for value in values)
    return tidy(np.fromiter(coded, np.int64, len(values)), list(seen))


def _rising(words: Sequence[str | None]) -> list[str]:
    """The words where each is greater than the one before it, else none."""
    known = [word for word in words if word is not None]
    rises = len(known) == len(words) and all(map(operator.lt, known, islice(known, 1, None)))
    return known if rises else []
