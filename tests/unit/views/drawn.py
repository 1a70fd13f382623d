"""What the tests of pictures look at: a result's HTML, its pictures by their names, the marks in one."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from mlmagic.results import Result


def html_of(shown: Result) -> str:
    return shown._repr_mimebundle_()["text/html"]


def pictures_in(markup: str) -> dict[str, ElementTree.Element]:
    found = [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", markup, re.DOTALL)]
    return {svg.get("aria-label") or "": svg for svg in found}


def pictures(shown: Result) -> dict[str, ElementTree.Element]:
    return pictures_in(html_of(shown))


def marks(svg: ElementTree.Element, face: str) -> list[ElementTree.Element]:
    return [node for node in svg.iter() if node.get("class") == face]
