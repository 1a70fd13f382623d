"""The panel's step from a picture of `views` to one that stands alone: SVG with its own look, in the page's colours."""

from __future__ import annotations

import re

from mlmagic.views import charts

_SVG = re.compile(r"<svg\b.*?</svg>", re.DOTALL)


def alone(figure: str, style: str = "") -> str | None:
    """The SVG inside of a figure, with the style that it needs; ``None`` where there is none."""
    found = _SVG.search(figure)
    if found is None:
        return None
    svg = found[0].replace("<svg ", '<svg class="mlm-c" ', 1)
    head, sign, body = svg.partition(">")
    return f"{head}{sign}<style>{charts.STYLE}{style}</style>{body}"
