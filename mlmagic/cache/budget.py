"""A limit for the bytes of kept results: what saves least per byte, and was not used for longest, goes first.

The score is LIMA's (Phani et al., SIGMOD 2021) cost over size, halved for every day without use.
"""

from __future__ import annotations

import time

from mlmagic.cache.artifacts import ArtifactStore
from mlmagic.cache.traces import Filed, Shelf

_HALF_LIFE = 86_400.0  # seconds without use after which a trace is worth half
_GRACE = 600.0  # seconds for which an artifact may wait for the trace that will name it


def trim(shelf: Shelf, artifacts: ArtifactStore, limit: int) -> int:
    """Remove traces until the artifacts fit into `limit` bytes, and artifacts that none names; returns bytes freed."""
    now = time.time()
    filed = list(shelf.files())
    sizes = {digest: (nbytes, made_at) for digest, nbytes, made_at in artifacts.entries()}
    kept = sorted(filed, key=lambda one: value(one, now), reverse=True)
    used, needed, let_go = 0, set[str](), set[str]()
    for one in kept:
        if one.trace is None:
            continue
        more = one.trace.artifacts - needed
        size = sum(sizes.get(digest, (0, 0.0))[0] for digest in more)
        if used + size > limit:
            shelf.remove(one.trace)
            let_go |= one.trace.artifacts
        else:
            used += size
            needed |= more
    freed = 0
    for digest, (nbytes, made_at) in sizes.items():
        # One that no trace has named so far may be waiting for another kernel's trace.
        if digest not in needed and (digest in let_go or now - made_at > _GRACE):
            artifacts.remove(digest)
            freed += nbytes
    return freed


def value(one: Filed, now: float) -> float:
    """What a trace is worth: seconds saved for each byte, halved for every day without use."""
    if one.trace is None:
        return 0.0
    saved = max(one.trace.seconds - one.trace.load_seconds, 0.0)
    return float(saved / max(one.trace.nbytes, 1) * 0.5 ** (max(now - one.used_at, 0.0) / _HALF_LIFE))
