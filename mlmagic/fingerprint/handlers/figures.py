"""Drawings: their content is a canvas and callbacks, not data; the parts of one figure are one thing."""

from __future__ import annotations

from typing import Any

from mlmagic.fingerprint.handlers.instances import instance_dict
from mlmagic.fingerprint.registry import handles
from mlmagic.fingerprint.walk import Walk


@handles("matplotlib.artist.Artist")
def write_artist(obj: Any, walk: Walk) -> None:
    walk.hidden(obj)
    attributes = instance_dict(obj)
    figure = attributes.get("_parent_figure") or attributes.get("figure")
    if figure is not None:
        walk.changeable(figure)
