"""`make demo`: run the tour in a fresh kernel and show, in a terminal, what the notebook remembers."""

import os
import sys
import textwrap
import time
from pathlib import Path

import mlmagic

TOUR = Path(__file__).with_name("00_tour.ipynb")
QUERY = "SELECT execution_count AS cell, round(1000 * seconds) AS ms, left(source, 50) AS source FROM executions"


def title(text: str) -> None:
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}\n{'-' * len(text)}")


def progress(number: int, total: int, source: str) -> None:
    first = next((line for line in source.splitlines() if line.strip()), "")
    print(f"  [{number:>2}/{total}] {first[:72]}", flush=True)


def main() -> int:
    started = time.perf_counter()
    os.chdir(TOUR.parent)
    title(f"1. The tour, {TOUR.name}, in a fresh kernel")
    run = mlmagic.run(TOUR, on_cell=progress)
    if run.error:
        print(f"the tour stopped: {run.error}", file=sys.stderr)
        return 1
    per_cell, share = 1000 * run.tracking_seconds / run.cells, 100 * run.tracking_seconds / run.seconds
    print(
        f"\ncells tracked: {run.cells}; tracking cost {per_cell:.1f} ms per cell, {share:.1f} % of {run.seconds:.1f} s"
    )

    title("2. Where did the model come from?   %lineage model")
    print(mlmagic.lineage("model"))

    title("3. Does the shortest script make it again?   %slice model --run")
    found = mlmagic.slice("model")
    print(f"running {len(found.plan.executions)} of {run.cells} cells in a fresh process …", flush=True)
    verdict = found.run()
    print(verdict)

    title("4. Now you")
    store = Path(".mlmagic/lineage.duckdb").resolve()
    print(
        textwrap.dedent(f"""\
        the store:  {os.path.relpath(store, TOUR.parent.parent)}
        a query:    mlmagic lineage --sql "{QUERY}"   (in notebooks/, with .venv active)
        the tour:   make lab
        """)
    )
    print(f"done in {time.perf_counter() - started:.0f} s")
    return 0 if verdict.verdict == "same" else 1


if __name__ == "__main__":
    sys.exit(main())
