"""The only way to the project's database: short windows in which `lineage.duckdb` is attached to a held engine.

Starting an engine costs 20 to 150 ms and holding the file would lock every other process out, so one in-memory DuckDB
is kept and the file is attached for single questions (about 1 ms). Everything in the file can be made anew from the
journals; so what is damaged is replaced, never mended.
"""

from __future__ import annotations

import contextlib
import os
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb

from mlmagic.errors import StoreError
from mlmagic.store import locking, schema, trouble
from mlmagic.store.trouble import DamagedError, UnwritableError, first_line, stamp
from mlmagic.store.waiting import Patience

Connection = duckdb.DuckDBPyConnection

_DISK, _MEMORY = "lineage", "projection"  # catalogs; plain duckdb calls the opened file `lineage` too


class Database:
    """A project's database file and the engine it is attached to. Usable from several threads, one at a time.

    Parameters
    ----------
    path
        ``lineage.duckdb``; need not exist.
    patience
        Seconds to wait for others who hold the file.
    """

    def __init__(self, path: Path, patience: float) -> None:
        self._path = path
        self._patience = patience
        self._engine: Connection | None = None
        self._in_memory = False  # the engine holds a projection of its own
        _databases.add(self)

    @contextlib.contextmanager
    def window(self, *, writable: bool = False) -> Iterator[Connection]:
        """Inside, a cursor on the file with its tables in reach by bare names.

        Raises
        ------
        DamagedError
            If the file has to be built anew (see `rebuild`).
        UnwritableError
            If a write failed for want of space or permission.
        StoreError
            If somebody held the file for too long.
        """
        patience = Patience(self._patience)
        while True:
            with self._alone(patience, exclusive=writable):
                holder = self._attach(self._path, writable)
                if not holder:
                    with self._judging(), self._detaching(), self._cursor(_DISK) as cursor:
                        self._check_version(cursor)
                        yield cursor
                    return
            patience.pause(holder)  # outside our own lock: others need not wait for the same stranger through us

    @contextlib.contextmanager
    def memory(self) -> Iterator[Connection]:
        """Inside, a cursor on a projection that lives in this process only."""
        with locking.only_here(self._path, Patience(self._patience)):
            if not self._in_memory:
                self._held().execute(f"ATTACH ':memory:' AS {_MEMORY}")
                self._in_memory = True
                with self._cursor(_MEMORY) as cursor:
                    _create(cursor)
            try:
                with self._cursor(_MEMORY) as cursor:
                    yield cursor
            except duckdb.Error as error:  # a user's mistake has been told from that already
                self._reset()
                raise StoreError(f"the project's history cannot be read: {first_line(error)}") from error

    def forget_memory(self) -> None:
        """Give the projection in memory up; the next use begins with an empty one."""
        if self._in_memory:
            self.close()

    def damage(self, why: str, *, ours: bool = False) -> DamagedError:
        """What to raise inside a window to have the file as it is now built anew."""
        return DamagedError(why, stamp(self._path), ours=ours)

    def rebuild(self, fill: Callable[[Connection], None], damage: DamagedError) -> bool:
        """Put a new file in the place of the damaged one; False if another process has done so meanwhile.

        The new file is complete before it takes the name, so nobody ever opens half a store. A file that was not a
        store of ours is kept beside it as ``lineage.duckdb.old``.
        """
        with self._alone(Patience(self._patience), exclusive=True):
            if stamp(self._path) != damage.seen:
                return False
            if damage.seen is not None:
                self._reset()  # after a fatal error the engine answers nothing any more
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._replace(self._built(fill), keep=not damage.ours)
            except (OSError, duckdb.Error) as error:
                raise UnwritableError(first_line(error)) from error
            finally:
                self._discard_temporary()
        return True

    def close(self) -> None:
        """Release the engine with its threads and files; the next question starts another."""
        with locking.only_here(self._path, Patience(self._patience)):
            self._reset()

    def _reset(self) -> None:
        engine, self._engine, self._in_memory = self._engine, None, False
        if engine is not None:
            with contextlib.suppress(duckdb.Error):
                engine.close()

    def _held(self) -> Connection:
        if self._engine is None:
            self._engine = duckdb.connect(
                ":memory:",
                config={
                    "threads": 2,
                    "memory_limit": "2GB",
                    "temp_directory": str(self._path.parent / "tmp"),  # else `.tmp` in the working directory
                    "autoinstall_known_extensions": False,  # nothing is fetched from anywhere
                    "autoload_known_extensions": False,
                    "python_enable_replacements": False,  # a name in SQL is a table, never somebody's variable
                },
            )
        return self._engine

    @contextlib.contextmanager
    def _alone(self, patience: Patience, *, exclusive: bool) -> Iterator[None]:
        with (
            locking.only_here(self._path, patience),
            locking.among_processes(self._path, patience, exclusive=exclusive),
        ):
            yield

    def _attach(self, path: Path, writable: bool) -> str:
        """Attach the file; who holds it, if somebody does, else an empty string."""
        if not path.exists():  # else a writable ATTACH would make an empty one
            raise self.damage("missing")
        mode = "READ_WRITE" if writable else "READ_ONLY"
        try:
            # The type is named because DuckDB would look for an extension when the file is, say, SQLite's.
            self._held().execute(f"ATTACH {_quoted(path)} AS {_DISK} (TYPE duckdb, {mode})")
        except duckdb.Error as error:
            holder = trouble.holder(error)
            if not holder:
                raise self._judged(error) from error
            return holder
        return ""

    @contextlib.contextmanager
    def _cursor(self, catalog: str) -> Iterator[Connection]:
        """A cursor of its own, so that nobody else is moved into the catalog or keeps it from being detached."""
        cursor = self._held().cursor()
        try:
            cursor.execute(f"USE {catalog}")
            yield cursor
        finally:
            with contextlib.suppress(duckdb.Error):
                cursor.close()

    @contextlib.contextmanager
    def _detaching(self) -> Iterator[None]:
        try:
            yield
        finally:
            # Detaching writes what was committed from the log into the file. Where the disk is full that fails, and the
            # rows stay in the log, where whoever opens the file next finds them.
            with contextlib.suppress(duckdb.Error):
                self._held().execute(f"DETACH {_DISK}")

    @contextlib.contextmanager
    def _judging(self) -> Iterator[None]:
        """What fails inside is the file's fault: a user's mistake has been told from that already."""
        try:
            yield
        except duckdb.Error as error:
            raise self._judged(error) from error

    def _judged(self, error: duckdb.Error) -> Exception:
        if trouble.is_unwritable(error):
            return UnwritableError(first_line(error))
        return self.damage(first_line(error))

    def _check_version(self, cursor: Connection) -> None:
        found = cursor.execute("SELECT max(schema_version) FROM _meta").fetchone()
        if found != (schema.SCHEMA_VERSION,):
            raise self.damage(f"a store of version {found and found[0]}", ours=True)

    def _built(self, fill: Callable[[Connection], None]) -> Path:
        """A new, complete database beside the old one."""
        self._discard_temporary()
        path = self._path.with_name(f"{self._path.name}.{os.getpid()}.tmp")
        self._held().execute(f"ATTACH {_quoted(path)} AS {_DISK} (TYPE duckdb)")
        try:
            with self._cursor(_DISK) as cursor:
                _create(cursor)
                fill(cursor)
        except BaseException:
            with contextlib.suppress(duckdb.Error):
                self._held().execute(f"DETACH {_DISK}")
            raise
        self._held().execute(f"DETACH {_DISK}")  # an error here is one: the file would not be complete
        return path

    def _replace(self, new: Path, keep: bool) -> None:
        log = self._path.with_name(self._path.name + ".wal")
        log.unlink(missing_ok=True)  # it belongs to the file that goes
        if keep and self._path.exists():
            os.replace(self._path, self._path.with_name(self._path.name + ".old"))
        os.replace(new, self._path)

    def _discard_temporary(self) -> None:
        """Remove what this or a killed process left behind; nobody else builds while we hold the lock."""
        for path in self._path.parent.glob(f"{self._path.name}.*.tmp*"):
            with contextlib.suppress(OSError):
                path.unlink()


def _create(cursor: Connection) -> None:
    for statement in schema.statements():
        cursor.execute(statement)


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


_databases: weakref.WeakSet[Database] = weakref.WeakSet()


def _close_before_fork() -> None:
    """Close idle engines: a forked child that inherits one has none of its threads, and dies or hangs at exit."""
    for database in list(_databases):
        lock = locking.mutex(database._path)
        if lock.acquire(timeout=1.0):
            try:
                database._reset()
            finally:
                lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_close_before_fork)
