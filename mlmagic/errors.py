"""What can go wrong in a user's hands: each error is one line that says what was wrong, where, and the cure.

Constructors are named for the situation. `magics` turn these into IPython's one-line usage errors,
`cli` into a line on standard error; nothing else is ever shown to the user without a traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MlmagicError(Exception):
    """Base of every error that is the user's to mend; `str()` is one line."""


class UnknownNameError(MlmagicError):
    """A target, option or value that does not exist."""

    @classmethod
    def among(cls, what: str, given: str, known: Iterable[str]) -> UnknownNameError:
        """`what` names the kind of thing ("variable, cell or file"), `known` what would have been right."""
        names = list(dict.fromkeys(known))
        near = difflib.get_close_matches(given, names, n=1, cutoff=0.5)
        if near:
            return cls(f"no {what} {given!r}; did you mean {near[0]!r}?")
        if not names:
            return cls(f"no {what} {given!r}: nothing has been recorded yet")
        shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
        return cls(f"no {what} {given!r}; there are: {shown}")


class MisuseError(MlmagicError):
    """Options or arguments that do not fit together."""


class AssertionFiredError(MlmagicError, AssertionError):
    """A model assertion with `--action stop` fired."""


class NotActiveError(MlmagicError):
    """A question about the running session where there is none."""

    @classmethod
    def no_session(cls) -> NotActiveError:
        return cls("no tracked session in this process: run %load_ext mlmagic (or mlmagic.track in a script) first")

    @classmethod
    def no_project(cls, path: str) -> NotActiveError:
        return cls(f"no .mlmagic folder in {path}: run a notebook with %load_ext mlmagic there, or set MLMAGIC_HOME")


class QueryError(MlmagicError):
    """SQL that the store refuses: a write, or a mistake in the statement."""


class StoreError(MlmagicError):
    """The project's database could not be used; its journals are untouched."""


class MissingPackageError(MlmagicError):
    """An optional package is needed for what was asked."""
