"""The reference that a bundle carries: inputs and answers come in, the profile that drift is measured from goes out.

A profile is of what the graph sees, float32 and all, so that data compared with it later is rounded alike. Besides
the model's columns it holds its plain answers, as ``prediction(OUTPUT)``: they drift, too.
"""

from __future__ import annotations

import io
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mlmagic.bundles.folder import PROFILE
from mlmagic.bundles.graph import Answers
from mlmagic.bundles.rows import NULL, Feeds, columns_of
from mlmagic.bundles.schema import Schema
from mlmagic.checks.profile import Profile
from mlmagic.errors import MisuseError
from mlmagic.tables import Table, table_of

_LARGEST = 1 << 30  # bytes of a profile


def profile_of(schema: Schema, feeds: Feeds, answers: Answers, without: frozenset[str] = frozenset()) -> bytes | None:
    """A profile's file; ``None`` where the model takes no columns.

    Parameters
    ----------
    without : frozenset of str
        Columns that are not to be remembered.
    """
    columns = {name: column for name, column in seen_columns(schema, feeds, answers).items() if name not in without}
    if schema.layout == "tensor" or not columns:
        return None
    with tempfile.TemporaryDirectory(prefix="mlmagic-") as folder:
        path = Path(folder) / PROFILE
        Profile.of(table_of(columns)).save(path)
        return path.read_bytes()


def profile_in(content: bytes) -> Profile:
    """The profile of a file's content; `MisuseError` where it is none, or would be huge: it may come from anywhere."""
    _check_size(content)
    with tempfile.TemporaryDirectory(prefix="mlmagic-") as folder:
        path = Path(folder) / PROFILE  # the content was checked by its hash; the file in the bundle may change
        path.write_bytes(content)
        try:
            return Profile.load(path)
        except (MemoryError, RecursionError) as error:
            raise MisuseError(f"the bundle's {PROFILE} is damaged ({type(error).__name__})") from error


def _check_size(content: bytes) -> None:
    """Raises `MisuseError` for a profile that would take more memory, unpacked, than one ever needs."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as parts:
            size = sum(part.file_size for part in parts.infolist())
    except zipfile.BadZipFile:
        return  # whoever reads it says so
    if size > _LARGEST:
        raise MisuseError(f"the bundle's {PROFILE} is larger than {_LARGEST >> 20:,} MB when unpacked")


def table_to_compare(schema: Schema, feeds: Feeds, answers: Answers, reference: Profile) -> Table:
    """Rows of now as the columns that a reference remembers."""
    known = {column.name for column in reference.columns}
    return table_of({name: of for name, of in seen_columns(schema, feeds, answers).items() if name in known})


def seen_columns(schema: Schema, feeds: Feeds, answers: Answers) -> dict[str, NDArray[Any]]:
    """What there is to remember of some rows: column -> values."""
    found = dict(zip(schema.names, map(_with_nulls, columns_of(schema, feeds)), strict=True))
    for output in schema.outputs:
        answer = answers[output.name]
        if answer.ndim == 1 or answer.shape[1:] == (1,):
            found.setdefault(f"prediction({output.name})", answer.reshape(-1))
    return found


def _with_nulls(column: NDArray[Any]) -> NDArray[Any]:
    if column.dtype.kind != "O":
        return column
    found = column.copy()
    found[column == NULL] = None
    return found
