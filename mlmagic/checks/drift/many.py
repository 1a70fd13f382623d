"""P-values of many tests made comparable: which of them count, and whether any does.

References
----------
Benjamini, Hochberg: Controlling the false discovery rate. JRSS B 57, 1995.
Benjamini, Yekutieli: The control of the false discovery rate under dependency. Annals of Statistics 29, 2001 (positive
dependence, as between several statistics of one column, is no harm).
Holm: A simple sequentially rejective multiple test procedure. Scandinavian Journal of Statistics 6, 1979.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """q-values: of what is called at q ≤ alpha, at most a share of alpha is called wrongly, on average."""
    if not p_values:
        return []
    p = np.asarray(p_values)
    order = np.argsort(p)
    raised = p[order] * p.size / np.arange(1, p.size + 1)
    q = np.empty_like(p)
    q[order] = np.minimum(np.minimum.accumulate(raised[::-1])[::-1], 1.0)
    return [float(value) for value in q]


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values: chance that any is called wrongly at this level."""
    if not p_values:
        return []
    p = np.asarray(p_values)
    order = np.argsort(p)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1)), 1.0)
    return [float(value) for value in adjusted]
