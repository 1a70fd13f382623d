"""The detectors of single columns by name, in the order in which a report lists them."""

from __future__ import annotations

from mlmagic.checks.drift import chi_square, jensen_shannon, ks, new_categories, nulls, psi, range, wasserstein
from mlmagic.checks.drift.finding import Detector

DETECTORS: dict[str, Detector] = {
    "psi": psi,
    "ks": ks,
    "wasserstein": wasserstein,
    "jensen_shannon": jensen_shannon,
    "chi_square": chi_square,
    "new_categories": new_categories,
    "range": range,
    "nulls": nulls,
}
