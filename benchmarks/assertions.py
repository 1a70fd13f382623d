"""Assertions: what ten of them cost on a thousand rows, and what recording them adds."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.table import Row
from mlmagic.checks.assertions import Rule, run

ROWS, RULES, COLUMNS, ROUNDS = 1_000, 10, 30, 30


def measure() -> Iterator[Row]:
    """Rows for the rules alone, and for a check with everything that it writes and reads."""
    frame = pd.DataFrame(np.random.default_rng(0).random((ROWS, COLUMNS))).add_prefix("c")
    answers = np.random.default_rng(1).random((ROWS, 2))
    rules = [Rule.of_source(f"rule_{number}", text(number), {"np": np}) for number in range(RULES)]
    ours = _milliseconds(lambda: [run(rule, frame, answers) for rule in rules])
    bare = _milliseconds(lambda: [rule.function(frame, answers) for rule in rules])
    what = f"{RULES} vectorised assertions on {ROWS:,} × {COLUMNS} rows"
    yield Row(
        what, f"{ours:.1f} ms", f"{bare:.1f} ms, the functions alone", f"{ours / bare:.1f}×", "≤ 50 ms", "≤ 20 ms"
    )
    whole = _recorded(frame)
    yield Row(f"the same with %assertions run: asked, recorded, read back, {RULES} × 10 worst rows", f"{whole:.0f} ms")


def text(number: int) -> str:
    """A rule of array operations that fires on some rows."""
    return (
        f"def rule_{number}(inputs, outputs):\n"
        f"    return (inputs['c{number}'] > 0.9) & (outputs[:, 1] < np.abs(inputs['c{number + 1}']))\n"
    )


def _milliseconds(work: Callable[[], object]) -> float:
    work()
    return 1000 * statistics.median(_seconds(work) for _ in range(ROUNDS))


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _recorded(frame: pd.DataFrame) -> float:
    from mlmagic.api.asserting import assertions, define
    from mlmagic.checks.portable import read_rule
    from mlmagic.session import Session, set_current
    from mlmagic.session.settings import settings

    def model(rows: pd.DataFrame) -> np.ndarray:
        return np.column_stack([rows["c0"], rows["c1"]])

    with tempfile.TemporaryDirectory() as folder:
        session = Session({"model": model, "X": frame, "np": np}, Path(folder) / ".mlmagic", settings())
        session.start()
        set_current(session)
        try:
            for number in range(RULES):
                space = {"np": np}
                exec(text(number), space)
                define(session, f"rule_{number}", read_rule(text(number), ""), space[f"rule_{number}"])
            return _milliseconds(lambda: assertions("run", model, frame))
        finally:
            session.close()
            set_current(None)
