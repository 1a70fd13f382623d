"""The step from tabular results to HTML: anything with `rows()` comes in, a compact table goes out.

A result that also has a `header` is a table with columns; one without is a list of names and values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from mlmagic.graph.lineage import LineageTable
from mlmagic.results import Result, register_renderer
from mlmagic.views import html


class Rows(Protocol):
    """What a result must offer to be drawn as a table."""

    def rows(self) -> Iterable[Sequence[object]]:
        """The rows, top to bottom."""
        ...


def render(result: Rows) -> Mapping[str, str]:
    """The HTML face of a result with `rows()`; `header`, `caption` and `more` are used where it has them."""
    header: Sequence[str] | None = getattr(result, "header", None)
    caption = str(getattr(result, "caption", ""))
    if header is None:
        markup = html.key_values(result.rows(), caption)
    else:
        more = str(getattr(result, "more", ".to_pandas() has them all"))
        markup = html.table(header, result.rows(), caption, more)
    return {"text/html": markup} if html.fits(markup) else {}


def register(result_type: type[Result]) -> None:
    """Show results of this type as tables."""
    register_renderer(result_type, render)


register(LineageTable)
