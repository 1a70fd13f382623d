"""The step from a reference to what is remembered of it: a table in, a `Profile` out, small enough for a bundle.

A profile holds, for each column, all that the detectors of `checks.drift` compare current data with: counts of rows,
nulls and infinities; for numbers the edges of ten bins with equal shares (from the reference only, open at both ends),
the counts in them, range, mean, standard deviation and a sorted sample; for categories their counts. Besides, some
whole rows, for the test of all columns together.

What is counted is counted on all rows. The samples are drawn without replacement with a seed: at most `KEPT_VALUES`
values of a column and `KEPT_ROWS` rows, and less of each where there are more than a hundred columns or two, so that a
profile stays below some 20 MB. Deciles are order statistics of all values.

Files are NumPy's ``.npz`` without pickle; a header in JSON says what is where.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from mlmagic.errors import MisuseError
from mlmagic.tables import Column, Table

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Role = Literal["id", "time", ""]

VERSION = 1  # of the file; a reader accepts all older ones
FORMAT = "mlmagic profile"
BINS = 10
KEPT_VALUES = 10_000  # of each numeric column of a reference
LOOKED_AT_VALUES = 30_000  # of each numeric column of current data: with 100,000 the tests would hardly be sharper
KEPT_ROWS = 5_000
_FEWEST_KEPT = 1_000  # values or rows, however many columns there are
_KEPT_CELLS = 500_000  # of the rows, all columns together; four times as many of the sorted values
KEPT_CATEGORIES = 1_000  # the most frequent ones; the rest is "other"
GROUPS = 100
_FREQUENT = 0.01  # share from which on a category has a number of its own in the joint test
_FEWEST_OF_AN_ID = 20  # rows from which on a column without repeats looks like an id
_FLOAT32 = 3e38  # beyond it a float32 would be infinite


@dataclass(frozen=True, slots=True)
class Numbers:
    """A numeric column or one of times, as the detectors see it.

    Attributes
    ----------
    rows, nulls, infinite : int
        Rows; of them null; of them infinite (these count in the outermost bins, and nowhere else).
    edges : array of shape (bins - 1,)
        Inner edges of the reference's bins; an edge belongs to the bin below it.
    counts : array of shape (bins,)
        Values in each bin.
    low, high, mean, sd : float
        Of the finite values; NaN where there is none.
    values : array
        A sorted sample of the finite values, or all of them.
    outside : int
        Of current data: values outside the reference's range.
    """

    name: str
    kind: str
    rows: int
    nulls: int
    infinite: int
    role: Role
    edges: Floats
    counts: Counts
    low: float
    high: float
    mean: float
    sd: float
    values: Floats
    outside: int = 0

    @property
    def present(self) -> int:
        """Rows with a value."""
        return self.rows - self.nulls

    @property
    def median(self) -> float:
        """Of the sample; NaN where it is empty."""
        return float(np.median(self.values)) if self.values.size else float("nan")

    def encode(self, values: Floats) -> NDArray[np.float32]:
        """Values as the joint test takes them."""
        return np.clip(values, -_FLOAT32, _FLOAT32).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Categories:
    """A categorical or boolean column, as the detectors see it.

    Attributes
    ----------
    labels : tuple of str
        The reference's categories, the most frequent first, at most `KEPT_CATEGORIES`.
    counts : array of shape (labels,)
        Rows of each.
    other : int
        Rows of all further categories, unseen ones among them.
    distinct : int
        How many categories there are in all.
    groups : array of shape (GROUPS,) or (0,)
        Where there are more categories than are kept: rows of each of `GROUPS` groups into which a checksum of their
        texts puts all of them. The kept ones were chosen for being frequent in the reference, and chance makes them
        less so elsewhere; these groups were not chosen.
    unseen : tuple of (str, int)
        Of current data: categories that the reference does not name, with their rows, the most frequent first.
    """

    name: str
    kind: str
    rows: int
    nulls: int
    role: Role
    labels: tuple[str, ...]
    counts: Counts
    other: int
    distinct: int
    groups: Counts
    unseen: tuple[tuple[str, int], ...] = ()

    @property
    def present(self) -> int:
        """Rows with a value."""
        return self.rows - self.nulls


Remembered = Numbers | Categories
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rows:
    """Some whole rows of current data: their columns, their values as in `Profile.sample`, and where they stand."""

    names: tuple[str, ...]
    sample: NDArray[np.float32]
    positions: Counts


@dataclass(frozen=True)
class Profile:
    """What a reference is remembered by.

    Attributes
    ----------
    rows : int
        Of the reference.
    columns : tuple of Numbers or Categories
    sample : array of shape (at most KEPT_ROWS, columns)
        Some of its rows: numbers as they are, frequent categories as their place in `labels` and rare ones as the place
        behind these, NaN where null.

    Examples
    --------
    >>> profile = Profile.of(table_of(train))  # doctest: +SKIP
    >>> profile.save("train.profile")  # doctest: +SKIP
    """

    rows: int
    columns: tuple[Remembered, ...]
    sample: NDArray[np.float32] = field(repr=False)

    @classmethod
    def of(cls, table: Table, seed: int = 0) -> Profile:
        """The profile of a reference; the same for the same rows and seed.

        Raises
        ------
        MisuseError
            There are no rows.
        """
        if not table.rows:
            raise MisuseError("the reference has no rows, so there is nothing to compare with")
        if seed < 0:
            raise MisuseError(f"a seed is a whole number from 0 on, not {seed}")
        keep = _share_of(4 * _KEPT_CELLS, len(table.columns), KEPT_VALUES)
        positions = drawn(table.rows, _share_of(_KEPT_CELLS, len(table.columns), KEPT_ROWS), seed)
        columns, sample = _looked_at(table, table.columns, {}, keep, seed, positions, lambda column: column)
        return cls(table.rows, tuple(columns), sample)

    def seen_in(
        self, current: Table, names: Sequence[str], measure: Callable[[Remembered, Remembered], T], seed: int = 0
    ) -> tuple[list[T], Rows]:
        """Current data through the eyes of this reference: counted in its bins and by its categories.

        Parameters
        ----------
        names : sequence of str
            Columns that both have and that `fits` agrees with.
        measure : function
            Takes a column of the reference and the same of now, in a thread of its own; what it returns is what is left
            of the column, as the samples of many columns together are large.

        Returns
        -------
        list
            What `measure` returned, in the order of `names`.
        Rows
            A sample of whole rows of the current data.
        """
        mine = {column.name: column for column in self.columns if column.name in names}
        wanted = [current.column(name) for name in names]
        # With the seed of the reference, a table compared with itself would give the same rows twice.
        positions = drawn(current.rows, len(self.sample) if len(self.sample) < self.rows else KEPT_ROWS, seed + 1)
        found, sample = _looked_at(
            current, wanted, mine, LOOKED_AT_VALUES, seed + 1, positions, lambda now: measure(mine[now.name], now)
        )
        return found, Rows(tuple(names), sample, positions)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a file, in one step: a reader finds the old file or the new one.

        Raises
        ------
        MisuseError
            It cannot be written there.
        """
        target = Path(path)
        partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
        try:
            partial.write_bytes(_as_bytes(self))
            os.replace(partial, target)
        except OSError as error:
            raise MisuseError(f"cannot write the profile {os.fspath(path)}: {error.strerror or error}") from error
        finally:
            with suppress(OSError):
                partial.unlink()

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Profile:
        """Read it back.

        Raises
        ------
        MisuseError
            There is no such file, it is no profile, it is damaged, or a newer mlmagic wrote it.
        """
        try:
            return _from_bytes(Path(path).read_bytes(), os.fspath(path))
        except OSError as error:
            raise MisuseError(f"cannot read the profile {os.fspath(path)}: {error.strerror or error}") from error


def fits(reference: Remembered, current: Table) -> bool:
    """Whether a column of now can be compared with what is remembered: both numbers, both times, both categories.

    A column without values fits any other: what kind it is depends on the library alone, and its nulls count.
    """
    alike = {"numeric": ("numeric", "boolean"), "boolean": ("numeric", "boolean")}
    column = current.column(reference.name)
    if column.kind in alike.get(reference.kind, (reference.kind,)) or not reference.present:
        return True
    raw = _read(current, column)
    return bool((raw[0] < 0).all() if isinstance(raw, tuple) else np.isnan(raw).all())


# -- looking at a table ----------------------------------------------------------------------------


def _share_of(cells: int, columns: int, most: int) -> int:
    return max(_FEWEST_KEPT, min(most, cells // columns))


def _looked_at(
    table: Table,
    columns: Sequence[Column],
    like: Mapping[str, Remembered],
    keep: int,
    seed: int,
    positions: Counts,
    then: Callable[[Remembered], T],
) -> tuple[list[T], NDArray[np.float32]]:
    """What `then` makes of each column, and the rows at `positions`."""
    sample = np.empty((len(positions), len(columns)), np.float32)

    def look(number: int, column: Column, raw: _Raw) -> T:
        found, sample[:, number] = _look(column, raw, like.get(column.name), keep, seed, positions)
        return then(found)

    # One thread asks the table (a database connection is not to be shared), the others count: NumPy lets go of
    # Python's lock while it sorts and compares.
    jobs = ((number, column, _read(table, column)) for number, column in enumerate(columns))
    return list(_in_threads(look, jobs)), sample


_Raw = Floats | tuple[Counts, list[str]]


def _read(table: Table, column: Column) -> _Raw:
    return table.labels(column.name) if column.kind == "categorical" else table.numbers(column.name)


def _in_threads(work: Callable[..., Any], jobs: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
    """Results in the order of the jobs, of which few are there at a time: each holds a column."""
    threads = min(4, os.cpu_count() or 1)
    waiting: deque[Future[Any]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for job in jobs:
            waiting.append(pool.submit(work, *job))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _look(
    column: Column, raw: _Raw, like: Remembered | None, keep: int, seed: int, positions: Counts
) -> tuple[Remembered, NDArray[np.float32]]:
    kind = like.kind if like is not None else column.kind
    raw = raw if like is None else _in_kind(raw, like)
    if isinstance(raw, tuple):
        return _categories(column.name, kind, *raw, _only(like, Categories), positions)
    if kind == "boolean":
        return _categories(column.name, kind, *_truths(raw), _only(like, Categories), positions)
    # A frame made of a matrix has its columns as every hundredth number of it: read so once, not twenty times.
    raw = np.ascontiguousarray(raw)
    seen = _numbers(column.name, kind, raw, _only(like, Numbers), keep, seed)
    return seen, seen.encode(raw[positions])


def _in_kind(raw: _Raw, like: Remembered) -> _Raw:
    """A column where one side has no values as one of the reference's kind: all that counts is what is null."""
    if isinstance(raw, tuple) and isinstance(like, Numbers):
        return np.where(raw[0] < 0, np.nan, 0.0)
    if not isinstance(raw, tuple) and like.kind == "categorical":
        return np.where(np.isnan(raw), -1, 0), ["a number"]
    return raw


def _only(like: Remembered | None, kind: type[Any]) -> Any:
    return like if isinstance(like, kind) else None


@lru_cache(maxsize=16)
def drawn(rows: int, most: int, seed: int) -> Counts:
    """At most so many different positions among the rows, in ascending order: memory is then read forwards."""
    if rows <= most:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False, shuffle=False))


# -- numbers ---------------------------------------------------------------------------------------


def _numbers(name: str, kind: str, raw: Floats, like: Numbers | None, keep: int, seed: int) -> Numbers:
    fine = np.isfinite(raw)
    finite = raw if fine.all() else raw[fine]
    nulls = 0 if finite is raw else int(np.count_nonzero(np.isnan(raw)))
    low, high, mean, sd = _moments(finite)
    values = np.sort(finite[drawn(finite.size, keep, seed)])
    edges = like.edges if like is not None else _edges(finite, low, high)
    return Numbers(
        name=name,
        kind=kind,
        rows=raw.size,
        nulls=nulls,
        infinite=raw.size - finite.size - nulls,
        role=like.role if like is not None else _role_of_numbers(kind, raw, finite, values, low, high),
        edges=edges,
        counts=_counted(raw, edges, raw.size - nulls),
        low=low,
        high=high,
        mean=mean,
        sd=sd,
        values=values,
        outside=0 if like is None else _outside(raw, like),
    )


def _moments(finite: Floats) -> tuple[float, float, float, float]:
    if not finite.size:
        return (float("nan"),) * 4
    with np.errstate(over="ignore", invalid="ignore"):  # of values near 1e308 the sum is infinite, and so be it
        low, high = float(finite.min()), float(finite.max())
        sd = float(finite.std()) if low < high else 0.0  # not what rounding leaves
        return low, high, float(finite.mean()), sd


def _edges(finite: Floats, low: float, high: float) -> Floats:
    """Inner edges of ten bins with equal shares; fewer where values repeat.

    Each is a value that occurs (an order statistic) and the upper end of its bin, so a value that fills several deciles
    fills one bin. Without a value below the highest there is nothing to divide: then a constant gets a bin of its own,
    between all that is below and all that is above it.
    """
    if not finite.size:
        return np.empty(0)
    ranks = np.ceil(np.arange(1, BINS) * finite.size / BINS).astype(np.int64) - 1
    edges = np.unique(np.partition(finite, ranks)[ranks])
    edges = edges[edges < high]
    if edges.size:
        return edges
    if low == high:
        return np.array([np.nextafter(low, -np.inf), low])
    return np.array([finite[finite < high].max()])


def _counted(raw: Floats, edges: Floats, present: int) -> Counts:
    """Values in each bin. Ten comparisons of all values take less time than one binary search for each (25 times)."""
    above = [np.count_nonzero(raw > edge) for edge in edges]  # a null is above nothing
    return np.array([present, *above], np.int64) - np.array([*above, 0], np.int64)


def _outside(raw: Floats, like: Numbers) -> int:
    """Values outside the reference's range; infinite ones are inside where the reference has such, too."""
    if np.isnan(like.low):
        return 0
    beyond = np.count_nonzero(raw < like.low) + np.count_nonzero(raw > like.high)
    return int(beyond - (np.count_nonzero(np.isinf(raw)) if like.infinite else 0))


def _role_of_numbers(kind: str, raw: Floats, finite: Floats, values: Floats, low: float, high: float) -> Role:
    """``id``: whole numbers without repeats that count the rows, in their order or nearly without gaps."""
    if kind == "datetime":
        return "time"
    if finite.size < max(raw.size, _FEWEST_OF_AN_ID) or np.any(values != np.floor(values)) or _repeats(values):
        return ""
    steps = np.diff(finite)
    if np.all(finite == np.floor(finite)) and (np.all(steps > 0) or np.all(steps < 0)):
        return "id"
    dense = high - low + 1 <= 1.5 * finite.size
    return "id" if dense and not _repeats(np.sort(finite)) else ""


def _repeats(ordered: Floats) -> bool:
    return bool(np.any(ordered[1:] == ordered[:-1]))


# -- categories ------------------------------------------------------------------------------------


def _truths(raw: Floats) -> tuple[Counts, list[str]]:
    """Booleans as codes; whatever else a number may be, is a category of its own."""
    codes = np.full(raw.size, 2)
    codes[raw == 0], codes[raw == 1], codes[np.isnan(raw)] = 0, 1, -1
    return codes, ["False", "True", "another number"]


def _categories(
    name: str, kind: str, codes: Counts, texts: list[str], like: Categories | None, positions: Counts
) -> tuple[Categories, NDArray[np.float32]]:
    found = np.bincount(codes + 1, minlength=len(texts) + 1)
    nulls, each = int(found[0]), found[1:]
    present = codes.size - nulls
    labels = _labels(texts, each) if like is None else like.labels
    place = dict(zip(labels, range(len(labels)), strict=True))
    at = np.array([place.get(text, len(labels)) for text in texts] + [-1])  # the last for code -1, null
    by_place = np.bincount(at[:-1], weights=each, minlength=len(labels) + 1).astype(np.int64)
    column = Categories(
        name=name,
        kind=kind,
        rows=codes.size,
        nulls=nulls,
        role=like.role if like is not None else _role_of_categories(kind, present, each),
        labels=labels,
        counts=by_place[:-1],
        other=int(by_place[-1]),
        distinct=int(np.count_nonzero(each)),
        groups=_groups(texts, each, labels, like),
        unseen=() if like is None else _unseen(texts, each, place),
    )
    return column, _encoded(at[codes[positions]], column if like is None else like)


def _encoded(places: Counts, reference: Categories) -> NDArray[np.float32]:
    """Categories as the joint test takes them: the place in `labels`, and one number for rare and unseen ones.

    With numbers of their own, words that one of two samples happens to lack would tell the two apart.
    """
    frequent = np.count_nonzero(reference.counts >= max(10, _FREQUENT * reference.present))  # these come first
    encoded = np.minimum(places, frequent).astype(np.float32)
    encoded[places < 0] = np.nan
    return encoded


def _groups(texts: list[str], each: Counts, labels: Sequence[str], like: Categories | None) -> Counts:
    wanted = like.groups.size if like is not None else np.count_nonzero(each) > len(labels)
    if not wanted:
        return np.empty(0, np.int64)
    of = [zlib.crc32(text.encode(errors="surrogatepass")) % GROUPS for text in texts]
    return np.bincount(of, weights=each, minlength=GROUPS).astype(np.int64)


def _labels(texts: list[str], each: Counts) -> tuple[str, ...]:
    order = np.argsort(-each, kind="stable")[:KEPT_CATEGORIES]
    return tuple(texts[code] for code in order if each[code])


def _unseen(texts: list[str], each: Counts, place: Mapping[str, int]) -> tuple[tuple[str, int], ...]:
    order = np.argsort(-each, kind="stable")
    return tuple((texts[code], int(each[code])) for code in order if each[code] and texts[code] not in place)


def _role_of_categories(kind: str, present: int, each: Counts) -> Role:
    """``id``: nine in ten rows have a text of their own."""
    own = np.count_nonzero(each)
    return "id" if kind == "categorical" and present >= _FEWEST_OF_AN_ID and own >= 0.9 * present else ""


# -- the file --------------------------------------------------------------------------------------


def _as_bytes(profile: Profile) -> bytes:
    values = [column.values for column in profile.columns if isinstance(column, Numbers)]
    header = {
        "format": FORMAT,
        "version": VERSION,
        "rows": profile.rows,
        "columns": [_as_plain(column) for column in profile.columns],
    }
    stream = io.BytesIO()
    np.savez(
        stream,
        header=np.frombuffer(json.dumps(header).encode(), np.uint8),
        values=np.concatenate([np.empty(0), *values]),
        sample=profile.sample,
    )
    return stream.getvalue()


def _as_plain(column: Remembered) -> dict[str, Any]:
    plain = {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in _fields(column)}
    return {**plain, "kept": column.values.size} if isinstance(column, Numbers) else plain


def _fields(column: Remembered) -> Iterator[tuple[str, Any]]:
    """All but what belongs to current data, and the sample, which is a part of one array of the file."""
    left_out = ("values", "outside", "unseen")
    return ((key, value) for key, value in asdict(column).items() if key not in left_out)


def _from_bytes(content: bytes, path: str) -> Profile:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            header = json.loads(arrays["header"].tobytes())
            if header["format"] != FORMAT:
                raise ValueError(header["format"])
            if header["version"] <= VERSION:
                return _from_parts(header, arrays["values"], arrays["sample"])
    except (ValueError, KeyError, TypeError, EOFError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise MisuseError(f"{path} is no profile of mlmagic's, or is damaged: make it again from the data") from error
    raise MisuseError(f"{path} was written by a newer mlmagic (profile version {header['version']}): update mlmagic")


def _from_parts(header: Mapping[str, Any], values: Floats, sample: NDArray[np.float32]) -> Profile:
    kept = [plain.get("kept", 0) for plain in header["columns"]]
    ends = np.cumsum(kept)
    if (ends[-1] if kept else 0) != values.size or sample.shape[1:] != (len(kept),):
        raise ValueError("the parts do not belong together")
    columns = tuple(
        _from_plain(plain, values[end - size : end])
        for plain, size, end in zip(header["columns"], kept, ends, strict=True)
    )
    return Profile(header["rows"], columns, sample)


def _from_plain(plain: Mapping[str, Any], values: Floats) -> Remembered:
    fields = dict(plain) | {"counts": np.array(plain["counts"], np.int64)}
    if "labels" in plain:
        groups = np.array(plain["groups"], np.int64)
        return Categories(**fields | {"labels": tuple(plain["labels"]), "groups": groups})
    del fields["kept"]
    return Numbers(**fields | {"edges": np.array(plain["edges"], np.float64), "values": values})
