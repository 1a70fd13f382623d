"""Histories for tests, written as a few words per cell."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mlmagic.records import Execution, History, Read, ReadHow, Session, Version, Write, WriteHow

SESSION = Session("s1", 1772000000.0, None, "breast.ipynb", "here", "3.11", None, None, {})


class Rows:
    """Builds a history cell by cell; reads and writes name variables by their latest version."""

    def __init__(self, session: str = "s1") -> None:
        self.session = session
        self.executions: list[Execution] = []
        self.versions: dict[str, Version] = {}
        self.reads: list[Read] = []
        self.writes: list[Write] = []
        self.latest: dict[str, str] = {}
        self.serial = 0

    def outside(self, name: str, kind: Any = "file", **details: Any) -> str:
        """A version that no cell made."""
        self.serial += 1
        row = Version(f"v{self.serial:05d}", kind, name, None, f"fp-{name}", **details)
        self.versions[row.version_id] = row
        self.latest[f"{kind}:{name}" if kind != "variable" else name] = row.version_id
        return row.version_id

    def cell(
        self,
        source: str,
        reads: str | list[str] = "",
        writes: str | dict[str, dict[str, Any]] = "",
        how: WriteHow = "bind",
        read_how: ReadHow = "name",
        **details: Any,
    ) -> str:
        """One execution. `reads` and `writes` name variables, `kind:name` for other kinds."""
        number = len(self.executions) + 1
        details.setdefault("execution_count", number)
        details.setdefault("execution_id", f"e{number:05d}")
        defaults: dict[str, Any] = {
            "cell_id": f"cell-{number}", "name": None, "source_hash": f"h{number}", "started_at": 1772000000.0 + number,
            "seconds": 0.012, "cpu_seconds": 0.01, "peak_bytes": None, "status": "ok", "session_id": self.session,
        }  # fmt: skip
        execution = Execution(**{**defaults, "source": source, **details})
        self.executions.append(execution)
        for name in reads.split() if isinstance(reads, str) else reads:
            known = name if name in self.versions else self.latest[name]
            self.reads.append(Read(execution.execution_id, known, read_how))
        named = {name: {} for name in writes.split()} if isinstance(writes, str) else writes
        for name, about in named.items():
            self._write(execution, name, how, dict(about))
        return execution.execution_id

    def _write(self, execution: Execution, name: str, how: WriteHow, about: dict[str, Any]) -> None:
        self.serial += 1
        how = about.pop("how", how)
        kind, _, rest = name.rpartition(":")
        print_ = None if how == "delete" else f"fp-{rest}-{self.serial}"
        row = Version(
            f"v{self.serial:05d}", kind or "variable", rest, execution.execution_id, print_, **about
        )  # type: ignore[arg-type]  # fmt: skip
        self.versions[row.version_id] = row
        self.writes.append(Write(execution.execution_id, row.version_id, how))
        self.latest[name] = row.version_id

    def set_version(self, version_id: str, **details: Any) -> None:
        """Change what is known of a version."""
        self.versions[version_id] = replace(self.versions[version_id], **details)

    def history(self) -> History:
        """The rows as the graph room gets them."""
        return History(tuple(self.executions), tuple(self.versions.values()), tuple(self.reads), tuple(self.writes))


def breast_cancer() -> Rows:
    """The notebook of every first lesson: load, look, features, split, train, score."""
    rows = Rows()
    rows.cell(
        "import numpy as np\nimport pandas as pd\nfrom sklearn.ensemble import RandomForestClassifier\n"
        "from sklearn.metrics import roc_auc_score\nfrom sklearn.model_selection import train_test_split",
        "",
        {
            "np": {"type": "module"}, "pd": {"type": "module"}, "RandomForestClassifier": {"type": "ABCMeta"},
            "roc_auc_score": {"type": "function"}, "train_test_split": {"type": "function"},
        },
        seconds=1.31,
    )  # fmt: skip
    rows.outside("data/cancer.csv", nbytes=119_300)
    rows.cell(
        'df = pd.read_csv("data/cancer.csv")', "pd file:data/cancer.csv",
        {"df": {"type": "DataFrame", "shape": "(569, 32)", "nbytes": 145_000}}, seconds=0.0121,
    )  # fmt: skip
    rows.cell("df.describe()", "df", seconds=0.034)
    rows.cell(
        'features = df.drop(columns=["id", "diagnosis"])\ny = (df["diagnosis"] == "M").astype(int)', "df",
        {"features": {"type": "DataFrame", "shape": "(569, 30)"}, "y": {"type": "Series", "shape": "(569,)"}},
        seconds=0.004, name="features",
    )  # fmt: skip
    rows.cell(
        "%%track split\nX_train, X_test, y_train, y_test = train_test_split(features, y, random_state=0)",
        "features y train_test_split",
        {
            "X_train": {"type": "DataFrame", "shape": "(426, 30)"},
            "X_test": {"type": "DataFrame", "shape": "(143, 30)"},
            "y_train": {"type": "Series", "shape": "(426,)"}, "y_test": {"type": "Series", "shape": "(143,)"},
        },
        seconds=0.003, name="split",
    )  # fmt: skip
    rows.cell("depth = 8", "", {"depth": {"type": "int", "preview": "8"}}, seconds=0.0003)
    rows.cell(
        "%%track train\nmodel = RandomForestClassifier(max_depth=depth, random_state=0).fit(X_train, y_train)",
        "X_train y_train depth RandomForestClassifier",
        {"model": {"type": "RandomForestClassifier"}}, seconds=0.41, name="train",
    )  # fmt: skip
    rows.cell(
        "auc = roc_auc_score(y_test, model.predict_proba(X_test)[:, 1])", "model X_test y_test roc_auc_score",
        {"auc": {"type": "float", "preview": "0.9958"}}, seconds=0.021, name="score",
    )  # fmt: skip
    return rows
