"""A project with journals to write into, and its store."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlmagic.journal import Journal
from mlmagic.records import Execution, Measure, Observation, Read, Session, Sweep, Trial, Version, Write
from mlmagic.store import Store

Cell = Callable[..., Observation]


@pytest.fixture(scope="session")
def cell() -> Cell:
    """`cell("e1", writes=["x"], reads=["v0"])`: an execution of session s1 whose versions are named `e1.x`."""

    def build(
        execution_id: str,
        *,
        session: str = "s1",
        writes: tuple[str, ...] = ("x",),
        reads: tuple[str, ...] = (),
        **fields,
    ) -> Observation:
        kind = fields.pop("kind", "variable")
        measures = {name: fields.pop(name, ()) for name in ("params", "metrics")}
        values = {
            "cell_id": "c",
            "execution_count": 1,
            "name": None,
            "source": "x = 1",
            "source_hash": "h",
            "started_at": 1_700_000_000.25,
            "seconds": 0.5,
            "cpu_seconds": 0.4,
            "peak_bytes": 1000,
            "status": "ok",
            **fields,
        }
        return Observation(
            Execution(execution_id=execution_id, session_id=session, **values),
            versions=tuple(
                Version(f"{execution_id}.{name}", kind, name, execution_id, f"f-{name}", "int", None, 28, "1")
                for name in writes
            ),
            reads=tuple(Read(execution_id, version, "name") for version in reads),
            writes=tuple(Write(execution_id, f"{execution_id}.{name}", "bind") for name in writes),
            params=tuple(Measure(execution_id, *measure) for measure in measures["params"]),
            metrics=tuple(Measure(execution_id, *measure) for measure in measures["metrics"]),
        )

    return build


@pytest.fixture(scope="session")
def session() -> Callable[..., Session]:
    def build(session_id: str = "s1", started_at: float = 1_700_000_000.0) -> Session:
        return Session(session_id, started_at, None, "a.ipynb", "host", "3.11.7", "abc", True, {"numpy": "2.4.6"})

    return build


@pytest.fixture(scope="session")
def sweep() -> Callable[..., Sweep]:
    """`sweep("w1", "finished")`: a sweep of execution e1."""

    def build(sweep_id: str = "w1", status: str = "running", **fields) -> Sweep:
        values = {"execution_id": "e1", "name": "mlp", "space": {}, "started_at": 1_700_000_000.25, **fields}
        return Sweep(sweep_id=sweep_id, objective="auc", direction="maximize", status=status, **values)

    return build


@pytest.fixture(scope="session")
def trial() -> Callable[..., Trial]:
    """`trial(3, "complete", value=0.5)`: trial w1-3 of sweep w1."""

    def build(number: int = 0, status="running", *, sweep_id: str = "w1", **fields) -> Trial:
        values = {"params": {"lr": 0.1}, "started_at": 1_700_000_001.5, **fields}
        return Trial(f"{sweep_id}-{number}", sweep_id, number, status=status, **values)

    return build


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return tmp_path / ".mlmagic"


@pytest.fixture
def journal(project: Path) -> Iterator[Journal]:
    journal = Journal(project / "journal", "s1")
    yield journal
    journal.close()


@pytest.fixture
def store(project: Path) -> Iterator[Store]:
    store = Store(project)
    yield store
    store.close()
