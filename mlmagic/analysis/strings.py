"""Inside `analysis`: which calls look up variables whose names stand in strings, and which words those are."""

from __future__ import annotations

import re

# Calls whose string arguments may name tables and data frames.
SQL_CALLS = frozenset({"sql", "query", "execute", "from_query"})
# Methods whose string argument may name variables as `@name`.
AT_CALLS = frozenset({"query", "eval"})
# `pd.eval("a + b")` and `ne.evaluate("a + b")` take plain variables; `df.eval` takes columns.
PLAIN_EVALS = frozenset({("pd", "eval"), ("pandas", "eval"), ("ne", "evaluate"), ("numexpr", "evaluate")})
# Model formulas ("y ~ x + f(z)") find variables around the call when the data has no such column.
FORMULA_CALLS = frozenset(
    "ols gls wls glm rlm gee logit probit mnlogit poisson negativebinomial mixedlm quantreg phreg "
    "dmatrix dmatrices from_formula Formula model_matrix".split()
)

_IDENTIFIER = re.compile(r"[^\W\d]\w*")
_AT_NAME = re.compile(r"@([^\W\d]\w*)")


def identifiers(text: str) -> set[str]:
    """Every word of `text` that could be a name."""
    return set(_IDENTIFIER.findall(text))


def at_names(text: str) -> set[str]:
    """The variables that a pandas query names as `@name`."""
    return set(_AT_NAME.findall(text))


def formula_names(text: str) -> set[str]:
    """The words of a model formula, none when the text has no `~` and so is the name of a method or column."""
    return identifiers(text) if "~" in text else set()
