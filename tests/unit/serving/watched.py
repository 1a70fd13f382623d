"""A bundle whose model nobody loads, and batches that it might have answered: what a watcher is tested with."""

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mlmagic.bundles.folder import MODEL, PROFILE, RULES, SCHEMA, Bundle, write_bundle
from mlmagic.bundles.schema import Field, Output, Schema
from mlmagic.checks.profile import Profile
from mlmagic.records import Assertion, as_json
from mlmagic.serving.answered import Answered
from mlmagic.serving.options import Options
from mlmagic.tables import table_of

AT = 1_700_000_000.0
COLUMNS = Schema(
    layout="columns",
    fields=(
        Field("age", "float32", "int64", "age", nullable=True),
        Field("city", "string", "str", "city", nullable=True),
        Field("api_token", "string", "str", "token"),
    ),
    outputs=(Output("label", "string"), Output("probabilities", "float32", (2,))),
    answers="probabilities",
    classes=("no", "yes"),
)
OLD = "def old(inputs, outputs):\n    return inputs['age'] > 90\n"
MATRIX = Schema(
    layout="matrix",
    fields=(Field("a", "float32", "float64"), Field("b", "float32", "float64")),
    outputs=(Output("prediction", "float32"),),
    answers="prediction",
    tensor="X",
    shape=(2,),
)
KEY = b"k" * 32


def rule(source: str = OLD, name: str = "old", **fields: Any) -> Assertion:
    return Assertion(f"a-{name}", name, None, None, source, "monitor", AT, **fields)


def bundle(
    folder: Path,
    schema: Schema = COLUMNS,
    rules: tuple[Assertion, ...] = (),
    reference: Any = None,
    *,
    signed: bool = True,
    model_version: str | None = "e1.model",
) -> Bundle:
    files = {MODEL: b"no model", SCHEMA: json.dumps(schema.to_dict()).encode()}
    if rules:
        files[RULES] = json.dumps([as_json(one) for one in rules]).encode()
    if reference is not None:
        files[PROFILE] = profile_bytes(reference)
    about = {"bundle_id": "b1", "model_version": model_version}
    return write_bundle(folder / "bundles", "churn", files, about, KEY if signed else None)


def profile_bytes(data: Any) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "reference.profile"
        Profile.of(table_of(data)).save(path)
        return path.read_bytes()


def options(made: Bundle, folder: Path | None = None, **fields: Any) -> Options:
    return Options(str(made.path), "ep1", journals=str(folder / "journal") if folder is not None else None, **fields)


def people(ages: list[float], request_id: str = "r1", first: int = 0, at: float = AT) -> Answered:
    """A batch of one request: people of some ages, who live in Oslo; the model says yes from 50 on."""
    rows = len(ages)
    old = np.array([age >= 50 for age in ages])
    return Answered(
        at,
        0.002,
        ((request_id, first, rows),),
        {
            "age": np.array(ages, dtype=np.float32).reshape(-1, 1),
            "city": np.array(["Oslo"] * rows, dtype=object).reshape(-1, 1),
            "token": np.array(["abc123"] * rows, dtype=object).reshape(-1, 1),
        },
        {
            "label": np.where(old, "yes", "no").astype(object),
            "probabilities": np.column_stack([~old, old]).astype(np.float32) * 0.5 + 0.25,
        },
    )


def numbers(values: np.ndarray, request_id: str = "r1", at: float = AT) -> Answered:
    """A batch of one request to a model of two columns, which answers with their sum."""
    rows = np.asarray(values, dtype=np.float32)
    return Answered(at, 0.001, ((request_id, 0, len(rows)),), {"X": rows}, {"prediction": rows.sum(axis=1)})


def eventually(question: Callable[[], Any], seconds: float = 30.0) -> Any:
    """The first answer that is true; fails where none comes."""
    until = time.monotonic() + seconds
    while not (found := question()):
        assert time.monotonic() < until, f"still {found!r} after {seconds:g} s"
        time.sleep(0.05)
    return found
