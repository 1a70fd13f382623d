"""Where a sweep keeps what outlives it, in the project's folder: the best trial's variables, and two flags."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where no sweep runs
    _LOCKS = False
else:
    _LOCKS = True

from mlmagic.cache.artifacts import ArtifactError, ArtifactStore
from mlmagic.signing import holds, sign


class Vault:
    """A sweep's files in the project: the best trial's variables, whether it is at work, and whether it is to stop.

    The variables are signed, since they are unpickled when they come back.

    Parameters
    ----------
    folder : Path
        Of this sweep.
    key : callable
        The user's key; asked for where something is kept or brought back.
    """

    def __init__(self, folder: Path, key: Callable[[], bytes]) -> None:
        self._folder = folder
        self._key = key
        self.artifacts = ArtifactStore(folder)

    def keep(self, path: Path) -> str:
        """Store a file; what finds it again, and proves that this user stored it."""
        digest = self.artifacts.put_file(path).digest
        path.unlink(missing_ok=True)
        return f"{digest}:{self._signature(digest)}"

    def take_over(self, other: Vault, artifact: str | None) -> str | None:
        """Store what another sweep keeps here, too; ``None`` where that is not there any more."""
        if artifact is None or not other.holds(artifact):
            return None
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            other.artifacts.copy_to(artifact.partition(":")[0], self._folder / "taken over")
        except ArtifactError:
            return None
        return self.keep(self._folder / "taken over")

    def forget(self, artifact: str) -> None:
        """Remove a stored file."""
        self.artifacts.remove(artifact.partition(":")[0])

    def holds(self, artifact: str) -> bool:
        """Whether this user stored the file."""
        digest, _, signature = artifact.partition(":")
        return holds(self._key(), _payload(digest), signature)

    @property
    def wish(self) -> Path:
        """The file that asks the running sweep to stop."""
        return self._folder / "stop"

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Hold what tells others that the sweep is running; it ends with this process, however that ends."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "running").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self.wish.unlink(missing_ok=True)  # meant for an earlier run
            yield

    def is_at_work(self) -> bool:
        """Whether a process is running this sweep now."""
        if not _LOCKS:
            return False
        try:
            with (self._folder / "running").open("r") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except FileNotFoundError:
            return False
        return False

    def _signature(self, digest: str) -> str:
        return sign(self._key(), _payload(digest))


def _payload(digest: str) -> bytes:
    return f"sweep:{digest}".encode()
