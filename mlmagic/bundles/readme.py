"""The page of a bundle: what is in it comes in, a README for somebody who never saw the notebook goes out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from mlmagic.bundles import folder
from mlmagic.bundles.schema import Field, Output, Schema

_SHOWN = 5  # categories in a cell of a table
_COLUMNS = 200  # rows of the table of inputs

_FILES = {
    folder.MODEL: "the model, as ONNX",
    folder.SCHEMA: "what it takes and gives",
    folder.HOLDOUT: "rows with the answers that are to be expected",
    folder.RULES: "assertions about its answers",
    folder.PROFILE: "what the reference data looked like: drift is measured from it",
    folder.SLICE: "the cells of the notebook that made the model, as a script",
    folder.PARITY: "how close its answers are to the model's in the notebook",
    folder.TIMING: "seconds for batches of growing size, on the machine of the export",
}


def readme(
    about: Mapping[str, Any],
    schema: Schema,
    example: Mapping[str, Any] | None,
    parity: Sequence[str],
    files: Sequence[str],
) -> str:
    """The text of README.md.

    Parameters
    ----------
    about : mapping
        As in the manifest.
    schema : Schema
    example : mapping or None
        Inputs of one row, plain values.
    parity : sequence of str
        What was compared, a sentence each.
    files : sequence of str
        That lie beside it.
    """
    parts = [
        _head(about),
        _inputs(schema),
        _outputs(schema),
        _usage(str(about["name"]), schema, example),
        "## How close it is to the model in the notebook\n\n" + "\n".join(f"- {line}" for line in parity),
        _origin(about),
        "## Files\n\n" + "\n".join(f"- `{file}`: {_FILES[file]}" for file in _FILES if file in files),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _head(about: Mapping[str, Any]) -> str:
    notes = "".join(f"\n- {note}" for note in about.get("notes", ()))
    return (
        f"# {about['name']}\n\n"
        f"{about['model_type']} ({about['framework']}), exported by mlmagic {about['mlmagic']} to ONNX: it answers "
        f"without the notebook, without Python objects, and runs nothing but the computation in `{folder.MODEL}`."
        + (f"\n{notes}" if notes else "")
    )


# -- tables ------------------------------------------------------------------------------------------


def _inputs(schema: Schema) -> str:
    if schema.layout == "tensor":
        shape = ", ".join(["rows", *map(str, schema.shape)])
        return f"## What it takes\n\nOne array `{schema.tensor}` of shape ({shape}), {schema.fields[0].type}."
    lines = ["| column | type | null | in the data it was exported with |", "| --- | --- | --- | --- |"]
    lines += [
        f"| {_cell(field.name)} | {words_of(field)} | {'allowed' if field.nullable else 'no'} | {_cell(seen(field))} |"
        for field in schema.fields[:_COLUMNS]
    ]
    left = len(schema.fields) - _COLUMNS
    more = f"\n\n{left:,} more columns are in `{folder.SCHEMA}`." if left > 0 else ""
    return "## What it takes\n\n" + "\n".join(lines) + more


def words_of(field: Field) -> str:
    """A field's type as people say it."""
    words = {"float32": "number", "int64": "whole number", "bool": "true or false", "string": "text"}[field.type]
    return f"{words}, known ones only" if field.closed else words


def seen(field: Field) -> str:
    """The range or the categories of a field in the data that it was exported with."""
    if field.categories:
        more = ", …" if len(field.categories) > _SHOWN else ""
        return ", ".join(repr(text[:40]) for text in field.categories[:_SHOWN]) + more
    if field.low is None or field.high is None:
        return ""
    return f"{field.low:.6g} to {field.high:.6g}"


def _outputs(schema: Schema) -> str:
    return "## What it gives\n\n" + "\n".join(f"- `{one.name}`: {_gives(one, schema)}" for one in schema.outputs)


def _gives(output: Output, schema: Schema) -> str:
    kind = {"float32": "number", "int64": "whole number", "bool": "true or false", "string": "text"}[output.type]
    shape = "×".join("?" if size is None else str(size) for size in output.shape)
    classes = schema.classes or ()
    named = f", for {', '.join(str(label) for label in classes[:20])}" if output.name == "probabilities" else ""
    return (f"{shape} {kind}s" if shape else kind) + named + (", …" if named and len(classes) > 20 else "")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


# -- use ---------------------------------------------------------------------------------------------


def _usage(name: str, schema: Schema, example: Mapping[str, Any] | None) -> str:
    lines = [
        "## How to use it",
        "",
        "```sh",
        'pip install "mlmagic[score]"',
        "mlmagic check .                                # is it whole, and does it answer here as it did there?",
    ]
    if schema.layout != "tensor":
        lines.append("mlmagic score . rows.parquet -o answers.parquet  # or .csv")
    lines += ["mlmagic serve . --port 8080                    # answers over HTTP, on this machine only", "```"]
    if example is not None and schema.layout != "tensor":
        body = json.dumps({"rows": [example]}, ensure_ascii=False).replace("'", "'\\''")
        lines += ["", "```sh", f"curl http://127.0.0.1:8080/v1/models/{name}:predict -d '{body}'", "```"]
    return "\n".join(lines)


def _origin(about: Mapping[str, Any]) -> str:
    at = datetime.fromtimestamp(float(about["created_at"]), UTC).strftime("%Y-%m-%d %H:%M UTC")
    named = not about["model"].startswith("a ")  # as it is called where no notebook knows its variable
    lines = [f"- exported {at}" + (f" from the variable `{about['model']}`" if named else "")]
    if about.get("model_version"):
        lines.append(f"- version of that variable in the notebook's history: `{about['model_version']}`")
    if about.get("execution_id"):
        lines.append(f"- exported by the cell with the execution `{about['execution_id']}`")
    packages = ", ".join(f"{package} {version}" for package, version in about.get("packages", {}).items())
    if packages:
        lines.append(f"- made with {packages}")
    return "## Where it came from\n\n" + "\n".join(lines)
