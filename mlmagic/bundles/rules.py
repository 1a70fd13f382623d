"""The assertions that travel in a bundle: records come in, what each says of some rows goes out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mlmagic.bundles.folder import RULES, Bundle
from mlmagic.bundles.graph import Answers
from mlmagic.bundles.rows import Feeds, columns_of, frame_of_columns
from mlmagic.bundles.schema import Schema
from mlmagic.checks.assertions import Checked, Rule, run
from mlmagic.errors import MissingPackageError, MisuseError, MlmagicError
from mlmagic.records import Assertion


def portable(rules: Sequence[Assertion]) -> tuple[list[Assertion], dict[str, str]]:
    """Those that can travel, and of each of the others why it cannot."""
    taken: list[Assertion] = []
    refused: dict[str, str] = {}
    for rule in rules:
        try:
            Rule.of_record(rule)
        except MlmagicError as error:
            refused[rule.name] = rule.obstacle or str(error)
        else:
            taken.append(rule)
    return taken, refused


def rules_in(bundle: Bundle) -> list[Assertion]:
    """The rules that a bundle carries.

    Raises
    ------
    MisuseError
        Their file is damaged; bundles may come from anywhere.
    """
    if not bundle.has(RULES):
        return []
    try:
        return [Assertion(**{**plain, "imports": tuple(plain.get("imports", ()))}) for plain in bundle.json(RULES)]
    except (TypeError, AttributeError) as error:
        raise MisuseError(f"the bundle's assertions are damaged ({error})"[:300]) from error


def run_rules(schema: Schema, rules: Sequence[Assertion], feeds: Feeds, answers: Answers) -> Iterator[Checked]:
    """What rules say of rows, each made from its text alone; one that cannot be made says why.

    Raises
    ------
    MissingPackageError
        There is no pandas here, of which rules get their rows.
    """
    if not rules:
        return
    try:
        inputs = frame_of_columns(schema, columns_of(schema, feeds))
    except ImportError as error:
        raise MissingPackageError("not run: pandas is not installed here") from error
    for record in rules:
        try:
            rule = Rule.of_record(record)
        except MlmagicError as error:
            yield Checked(record.name, len(inputs), None, str(error), 0.0)
        else:
            yield run(rule, inputs, answers[schema.answers])
