"""The last step of scoring a file: tables come in one by one, a file that is there whole or not at all goes out."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mlmagic._optional import need
from mlmagic.errors import MisuseError


@contextmanager
def written(target: Path) -> Iterator[Callable[[Any], None]]:
    """A function that appends tables to a file, which takes the place of `target` when all went well."""
    scratch = target.with_name(f".{target.stem}-{os.getpid()}-{secrets.token_hex(4)}.partial{target.suffix}")
    writer: Any = None

    def write(table: Any) -> None:
        nonlocal writer
        if writer is None:
            writer = _writer(scratch, target.suffix, table.schema)
        writer.write_table(table)

    try:
        yield write
        writer.close()
        os.replace(scratch, target)
    except OSError as error:
        raise MisuseError(f"{target} cannot be written: {error.strerror or error}") from error
    finally:
        if writer is not None:
            writer.close()
        scratch.unlink(missing_ok=True)


def _writer(path: Path, suffix: str, schema: Any) -> Any:
    if suffix == ".csv":
        return need("pyarrow.csv").CSVWriter(path, schema)
    return need("pyarrow.parquet").ParquetWriter(path, schema)
