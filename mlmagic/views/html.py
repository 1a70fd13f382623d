"""The step from values to HTML: text and rows come in, markup that any notebook front end shows goes out.

No script, no address, no fixed colours: what is written here must look the same when the notebook is
saved, exported or opened years later, on a light page and on a dark one.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

LIMIT = 150_000  # bytes of one HTML face: with its text twin below what one output may weigh
MAX_ROWS = 100

# JupyterLab's names first, then VS Code's, then what every page knows.
TEXT = "var(--jp-ui-font-color1,var(--vscode-foreground,currentColor))"
QUIET = "var(--jp-ui-font-color2,var(--vscode-descriptionForeground,color-mix(in srgb,currentColor 72%,transparent)))"
ACCENT = "var(--jp-brand-color1,var(--vscode-focusBorder,#2f86e0))"
ERROR = "var(--jp-error-color1,var(--vscode-errorForeground,#d32f2f))"
WARN = "var(--jp-warn-color1,var(--vscode-editorWarning-foreground,#b26a00))"
SANS = "var(--jp-ui-font-family,system-ui,sans-serif)"
MONO = "var(--jp-code-font-family,ui-monospace,Menlo,Consolas,monospace)"

# The class is named twice to outweigh JupyterLab's own rule, which puts all cells of tables to the right.
TABLE_STYLE = (
    f".mlm-t{{color:{TEXT};font:12px/1.5 {SANS};border-collapse:collapse}}"
    ".mlm-t caption{text-align:left;font-weight:600;padding:2px 0 6px}"
    "table.mlm-t.mlm-t th,table.mlm-t.mlm-t td{text-align:left;vertical-align:top;padding:3px 14px 3px 0;border:0;"
    "border-bottom:1px solid color-mix(in srgb,currentColor 18%,transparent)}"
    f".mlm-t th{{color:{QUIET};font-weight:600;white-space:nowrap}}.mlm-t td.n{{font-variant-numeric:tabular-nums}}"
)


def escape(text: object) -> str:
    """The text of a value, safe inside elements and quoted attributes."""
    return html.escape(str(text), quote=True)


def table(header: Sequence[str], rows: Iterable[Sequence[object]], caption: str = "", more: str = "") -> str:
    """A table with a heading per column; at most `MAX_ROWS` rows, and `more` says how to see the others."""
    every = list(rows)
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in header)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in every[:MAX_ROWS])
    left = len(every) - MAX_ROWS
    note = f"<p>… {left:,} more rows{': ' + escape(more) if more else ''}</p>" if left > 0 else ""
    return _wrap(f"{_caption(caption)}<thead><tr>{head}</tr></thead><tbody>{body}</tbody>") + note


def key_values(rows: Iterable[Sequence[object]], caption: str = "") -> str:
    """A table of names and values: the first cell of each row is its heading."""
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>{"".join(map(_cell, values))}</tr>' for name, *values in rows
    )
    return _wrap(f"{_caption(caption)}<tbody>{body}</tbody>")


def details(summary: str, text: str) -> str:
    """Text that unfolds on a click, keeping its spaces."""
    style = f"font:11px/1.45 {MONO};white-space:pre;overflow-x:auto;margin:4px 0;color:{TEXT};background:transparent"
    head = f'<summary style="cursor:pointer;font:12px {SANS};color:{QUIET}">{escape(summary)}</summary>'
    return f'<details>{head}<pre style="{style}">{escape(text)}</pre></details>'


def fits(markup: str) -> bool:
    """Whether the markup is light enough for a notebook's output."""
    return len(markup.encode()) <= LIMIT


def _cell(value: object) -> str:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return f'<td class="n">{escape(value)}</td>' if number else f"<td>{escape('' if value is None else value)}</td>"


def _caption(text: str) -> str:
    return f"<caption>{escape(text)}</caption>" if text else ""


def _wrap(inside: str) -> str:
    return f'<style>{TABLE_STYLE}</style><table class="mlm-t">{inside}</table>'
