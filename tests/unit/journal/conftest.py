"""Records to write: one execution with one of everything."""

from collections.abc import Callable

import pytest

from mlmagic.records import Execution, Measure, Observation, Read, Session, Sweep, Trial, Version, Write


@pytest.fixture(scope="session")
def session() -> Session:
    return Session("s1", 1.5, None, "a.ipynb", "host", "3.11", None, None, {"numpy": "2.4"})


@pytest.fixture(scope="session")
def observation() -> Callable[..., Observation]:
    def build(execution_id: str = "e1", source: str = "x = y", metric: float = 0.5) -> Observation:
        return Observation(
            Execution(execution_id, "s1", "c", 1, None, source, "h", 2.0, 0.1, 0.1, None, "ok", tags={"k": "v"}),
            versions=(Version(execution_id + "x", "variable", "x", execution_id, "f"),),
            reads=(Read(execution_id, "y0", "name"),),
            writes=(Write(execution_id, execution_id + "x", "bind"),),
            params=(Measure(execution_id, "lr", 0.1),),
            metrics=(Measure(execution_id, "auc", metric),),
        )

    return build


@pytest.fixture(scope="session")
def sweep() -> Callable[..., Sweep]:
    def build(status: str = "running", **fields) -> Sweep:
        space = {"lr": {"name": "lr", "kind": "float", "low": 1e-4, "high": 0.1, "labels": []}}
        return Sweep("w1", "e1", "mlp", space, "auc", "maximize", status, 2.0, **fields)

    return build


@pytest.fixture(scope="session")
def trial() -> Callable[..., Trial]:
    def build(status="running", **fields) -> Trial:
        return Trial("t1", "w1", 0, {"lr": 0.1, "act": "relu"}, status, 2.5, **fields)

    return build
