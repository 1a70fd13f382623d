"""What tracking adds to a cell: nothing to do, a frame touched, a hot loop, a gigabyte looked at."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.kernels import TimedKernel, kernel
from benchmarks.peers import Peer
from benchmarks.table import Row

SMALL = "\n".join(f"name_{number} = {number}" if number % 3 else f"name_{number} = [{number}]" for number in range(500))
LARGE = "import numpy as np\nlarge_1 = np.ones(125_000_000)\nlarge_2 = np.ones(125_000_000)"
TRIVIAL = [f"x = {number}" for number in range(60)]
FRAME = (
    "import numpy as np, pandas as pd\n"
    "frame = pd.DataFrame(np.random.default_rng(0).random((200_000, 10)), columns=list('abcdefghij'))"
)
TOUCH = ["n = len(frame)"] * 15
LOOP = "def hot(n):\n    total = 0\n    for i in range(n):\n        total += i * i % 7\n    return total"
GLOBAL_LOOP = "total = 0\nfor i in range(2_000_000):\n    total += i * i % 7"
GIGABYTE = "import numpy as np, resource\nlarge = np.ones(125_000_000)"
PEAK = "__import__('resource').getrusage(__import__('resource').RUSAGE_SELF).ru_maxrss"


def measure(peer: Peer) -> Iterator[Row]:
    """Rows for cells in kernels: plain, ours, and the peer's where it installs."""
    yield from _trivial(peer)
    yield from _frame(peer)
    yield from _loops(peer)
    yield _gigabyte()


def _extra(setup: list[str], cells: list[str], peer: Peer) -> tuple[float, float | None]:
    """Milliseconds that each of the two adds to a cell."""
    plain = _median(None, setup, cells)
    ours = _median("mlmagic", setup, cells)
    theirs = None
    if peer.python:
        base = _median(None, setup, cells, peer.python)
        theirs = 1000 * (_median(peer.extension, setup, cells, peer.python) - base)
    return 1000 * (ours - plain), theirs


def _median(extension: str | None, setup: list[str], cells: list[str], python: str | None = None) -> float:
    with kernel(extension, python) if python else kernel(extension) as made:
        for cell in setup:
            made.run(cell)
        made.median(cells[:5])
        return made.median(cells)


def _row(what: str, ours: float, theirs: float | None, peer: Peer, now: str, goal: str) -> Row:
    if theirs is None:
        return Row(what, f"{ours:.1f} ms", peer.why, "", now, goal)
    ratio = f"{ours / theirs:.2f}×" if theirs > 0 else ""
    return Row(what, f"{ours:.1f} ms", f"{peer.name} {theirs:.1f} ms", ratio, now, goal)


def _trivial(peer: Peer) -> Iterator[Row]:
    ours, theirs = _extra([SMALL, LARGE], TRIVIAL, peer)
    yield _row("extra per trivial cell, 500 names and 2 GB alive", ours, theirs, peer, "≤ 5 ms", "2 ms")


def _frame(peer: Peer) -> Iterator[Row]:
    ours, theirs = _extra([FRAME], TOUCH, peer)
    yield _row("extra per cell touching 200,000 × 10 floats (16 MB)", ours, theirs, peer, "one hash", "")


def _loops(peer: Peer) -> Iterator[Row]:
    for what, setup, cell in (
        ("hot loop in a function, 5M rounds", [LOOP], "hot(5_000_000);"),
        ("hot loop at cell level, 2M rounds", [], GLOBAL_LOOP),
    ):
        plain, ours = _loop(None, setup, cell), _loop("mlmagic", setup, cell)
        beside = f"plain {1000 * plain:.0f} ms"
        if peer.python:
            theirs = _loop(peer.extension, setup, cell, peer.python) / _loop(None, setup, cell, peer.python)
            beside += f", {peer.name} {theirs:.2f}×"
        yield Row(what, f"{1000 * ours:.0f} ms", beside, f"{ours / plain:.3f}×", "≤ 1.02×", "")


def _loop(extension: str | None, setup: list[str], cell: str, python: str | None = None) -> float:
    """The fastest of several runs: a loop's time is what is left when nothing disturbs it."""
    with kernel(extension, python) if python else kernel(extension) as made:
        for text in setup:
            made.run(text)
        return min(made.run(cell) for _ in range(7))


def _gigabyte() -> Row:
    with kernel() as plain, kernel("mlmagic") as ours:
        peaks = [_peak(made) for made in (plain, ours)]
        seconds = ours.median(["n = large[0]"] * 5) - plain.median(["n = large[0]"] * 5)
    extra = (peaks[1] - peaks[0]) / 1024
    return Row(
        "1 GB array made and looked at: extra peak memory",
        f"{extra:.0f} MB, {1000 * seconds:.0f} ms a look",
        f"plain {peaks[0] / 1024:.0f} MB",
        f"{peaks[1] / peaks[0]:.2f}×",
        "no copy",
        "",
    )


def _peak(made: TimedKernel) -> int:
    made.run(GIGABYTE)
    made.run("n = large[0]")
    return int(made.value(PEAK))
