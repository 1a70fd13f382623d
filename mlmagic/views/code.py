"""The step from code to HTML: a result whose text is source comes in, a scrollable block goes out."""

from __future__ import annotations

from collections.abc import Mapping

from mlmagic.results import Result, register_renderer
from mlmagic.views import html


def register(result_type: type[Result], language: str) -> None:
    """Show results of this type as source code of that language."""

    def render(result: Result) -> Mapping[str, str]:
        style = (
            "max-height:32em;overflow:auto;padding:8px 12px;margin:0;"
            "border:1px solid var(--jp-border-color2,#ccc);border-radius:4px;"
            "font-family:var(--jp-code-font-family,monospace);font-size:var(--jp-code-font-size,13px)"
        )
        block = f'<pre style="{style}"><code class="language-{language}">{html.escape(result.text())}</code></pre>'
        return {"text/html": block} if html.fits(block) else {}

    register_renderer(result_type, render)
