"""A notebook shows the same with us as without us, cell by cell."""

from __future__ import annotations

import re

CELLS = [
    "print('one'); 1 + 1",
    "import sys\nprint('to stderr', file=sys.stderr)",
    "from IPython.display import HTML, display\ndisplay(HTML('<b>x</b>')); display({'a': [1, 2]})",
    "import warnings\nwarnings.warn('be careful')",
    "import pandas as pd\ndf = pd.DataFrame({'a': [1, 2]}); df",
    "df.loc[0, 'a'] = 5\ndf.a.sum()",
    "%matplotlib inline\nimport matplotlib.pyplot as plt\nfig, ax = plt.subplots(figsize=(2, 1)); ax.plot([1, 2]);",
    "fig.axes[0].lines[0].get_ydata()",
    "1 / 0",
    "def broken(:",
    "def f(n):\n    return [f(n - 1)] if n else undefined_name\nf(2)",
    "import random, numpy as np\nrandom.seed(3); np.random.seed(3)\nrandom.random(), np.random.rand(2)",
    "_",
    "Out[1], In[2][:10]",
    "%%capture caught\nprint('hidden')",
    "caught.stdout",
    "for i in range(3):\n    print(i, end=' ', flush=True)",
    "class Loud:\n    def __repr__(self):\n        print('asked')\n        return 'Loud'\nloud = Loud()",
    "loud",
    "display(1, display_id='same'); from IPython.display import update_display; update_display(2, display_id='same')",
    "import inspect\nprint(inspect.getsource(f))",
    "random.seed.__name__, np.random.seed.__name__, callable(random.setstate)",
    "sorted(name for name in globals() if not name.startswith('_'))",
    "!echo from the shell",
    "?f",
    "help(f)",
    "raise KeyboardInterrupt",
    "await __import__('asyncio').sleep(0)",
    "x = 5;",
    "x;",
    "%who_ls int",
    "import time\ntime.sleep(0.001)\n'end'",
]


def shown(book, skip: int) -> list[list[dict]]:
    """The outputs of each cell, without what differs between any two runs: addresses, file names of cells."""
    found = []
    for cell in book.cells[skip:]:
        outputs = []
        for output in cell.outputs:
            plain = _plain({key: value for key, value in output.items() if key != "metadata"})
            last = outputs[-1] if outputs else {}
            if plain.get("name") == last.get("name", ""):  # when a stream is flushed is chance
                last["text"] += plain["text"]
            else:
                outputs.append(plain)
        found.append(outputs)
    return found


def _plain(value):
    if isinstance(value, str):
        return re.sub(r"0x[0-9a-f]+|ipykernel_\d+/\d+\.py|/tmp/\S+|\b\d{6,}\.py|\bIn *\[\d+\]", "…", value)
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return value


def test_outputs_are_the_same_with_and_without_us(run_cells):
    without = run_cells(["pass", *CELLS], allow_errors=True)
    tracked = run_cells(["%load_ext mlmagic", *CELLS], allow_errors=True)
    assert tracked.cells[0].outputs == []
    for text, mine, theirs in zip(CELLS, shown(tracked, 1), shown(without, 1), strict=True):
        assert mine == theirs, text
    counts = [[cell.execution_count for cell in book.cells] for book in (tracked, without)]
    assert counts[0] == counts[1]


def test_seeding_functions_travel_to_workers_as_before(run_cells):
    text = (
        "import pickle, random, numpy\nseeders = random.seed, numpy.random.seed\n"
        "[pickle.loads(pickle.dumps(seed)).__name__ for seed in seeders]"
    )
    book = run_cells(["%load_ext mlmagic", text])
    assert book.cells[1].outputs[0]["data"]["text/plain"] == "['seed', 'seed']"
