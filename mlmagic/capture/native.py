"""Files that native readers (Arrow, DuckDB, polars, HDF5, torch) open without the interpreter seeing it.

What a cell may have read is told from strings that it can load, an upper bound; what it wrote, from files of
such names that are other files now.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import PurePath

from mlmagic.capture.files import FileUse

READERS = frozenset("pyarrow duckdb polars h5py tables netCDF4 xarray torch fastparquet deltalake lance".split())

_QUOTED = re.compile(r"'([^'\n]+)'")
_LONGEST_TEXT, _LONGEST_PATH = 10_000, 1_000
_MOST_FOLDERS, _MOST_NAMES, _MOST_BELOW = 20, 200, 1_000
_SHORTEST_FRAGMENT, _LONGEST_FRAGMENT = 3, 100  # characters: `.pt`
_NATIVE_FORMATS = re.compile("parquet|feather|orc|hdf|iceberg", re.IGNORECASE)
_READING = (
    "read",
    "load",
    "scan",
    "open",
    "sql",
    "query",
    "execute",
    "dataset",
    "memory_map",
    "from_",
    "File",
    "Parquet",
)

States = dict[str, tuple[int, int, int]]  # path -> time of change, size, inode


def reaches(packages: set[str], attributes: frozenset[str]) -> bool:
    """Whether code that reaches these packages and uses these attributes may read or write natively."""
    return bool(READERS & packages) or (
        "pandas" in packages and any(_NATIVE_FORMATS.search(name) for name in attributes)
    )


def named_files(strings: Iterable[str], values: Iterable[object]) -> tuple[States, States]:
    """Existing files that strings and paths name: alone, below a named folder, quoted in SQL, by pattern.

    And those beside them, in the same folders and the working folder: what may be written under a computed name.
    """
    texts = [*strings, *(str(value) for value in values if isinstance(value, (str, PurePath)))]
    texts = [text for text in texts if len(text) < _LONGEST_TEXT]
    quoted = [part for text in texts for part in _QUOTED.findall(text)]
    named = [text for text in dict.fromkeys([*texts, *quoted]) if 0 < len(text) < _LONGEST_PATH and "\0" not in text]
    named = [os.path.expanduser(text) for text in named]
    folders = [text for text in named if os.path.isdir(text)][:_MOST_FOLDERS]
    paths = [
        path for base in folders for text in named[:_MOST_NAMES] for path in (os.path.join(base, text), base + text)
    ]
    paths += [path for base in folders for path in _datasets(base)]
    paths += [path for text in named if "*" in text for path in _matching(text)]
    found: States = {}
    for path in (*named, *paths):
        state = _state(path)
        if state is not None:
            found[os.path.abspath(path)] = state
    beside = {os.path.abspath(path): state for folder in {*folders, "."} for path, state in _in_folder(folder)}
    return found, beside


def _in_folder(folder: str) -> list[tuple[str, tuple[int, int, int]]]:
    try:
        names = [entry.path for entry in os.scandir(folder) if not entry.name.startswith(".")]
    except OSError:
        return []
    states = [(path, _state(path)) for path in names[:_MOST_BELOW] if not path.endswith((".ipynb", ".py", ".log"))]
    return [(path, state) for path, state in states if state is not None]


def _state(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino) if os.path.isfile(path) else None


def _datasets(folder: str) -> list[str]:
    """Tables in a folder: readers of datasets take it as a whole."""
    found: list[str] = []
    for place, _, names in os.walk(folder):
        found += (os.path.join(place, name) for name in names if name.endswith((".parquet", ".arrow", ".feather")))
        if len(found) > _MOST_BELOW:
            break
    return found[:_MOST_BELOW]


def _matching(pattern: str) -> list[str]:
    import glob

    return glob.glob(pattern, recursive=True)[:_MOST_BELOW]


def natively_used(
    before: tuple[States, States], now: tuple[States, States], attributes: Iterable[str]
) -> dict[str, FileUse]:
    """Files that were there and still are count as read; those that are other files now, as written.

    A file that was written counts as read before only if an attribute in the cell's text reads anything.
    """
    reading = any(name.startswith(_READING) for name in attributes)
    named, beside = now
    earlier = {**before[1], **before[0]}
    uses = {}
    for path, state in {**beside, **named}.items():
        written = earlier.get(path) != state
        read = path in named and path in earlier and (reading or not written)
        if read or written:
            uses[path] = FileUse(read=read, written=written, existed=path in earlier)
    return uses


def overlook(before: tuple[States, States], entered: tuple[States, States], now: tuple[States, States]) -> None:
    """Take files that are others since `entered` for files that were so before the cell."""
    for known, earlier, later in zip(before, entered, now, strict=True):
        known.update({path: state for path, state in later.items() if earlier.get(path) != state})


def fragments(strings: Iterable[str]) -> list[str]:
    """Parts that a computed path may be made of: ``"model_"`` and ``".pt"``."""
    return [text for text in strings if _SHORTEST_FRAGMENT <= len(text) < _LONGEST_FRAGMENT]
