"""A notebook whose cells are reused is the notebook: random stories, lived with and without mlmagic.

A failure prints the shortest story that shows it. The judge itself is judged, too: lies like those a wrong cache
would tell are planted in a plain world, and must be found.
"""

from __future__ import annotations

import copy
import random
import types
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from tests.property.notebooks import written
from tests.property.worlds import NOTICE, Put, Reset, Restart, Run, Seen, Tracked, World, compare, failing, first_lie
from tests.property.worlds import shortest as shortest_story

pytestmark = [  # notebooks leave files open
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.usefixtures("open_files_end_here"),
]

STORIES_PER_SEED = 20
SEEDS = [*range(10), *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(100, 220))]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_notebook_shows_and_leaves_what_it_would_without_mlmagic(seed, tmp_path):
    for number in range(STORIES_PER_SEED):
        closely = number % 2 == 0  # looking at all values after each cell might itself put something right
        story, expected = written(1000 * seed + number, tmp_path / "project", closely)
        lie = compare(story, expected, tmp_path / "project", closely)
        if lie:
            pytest.fail(failing(story, tmp_path / "project", lie, closely=closely), pytrace=False)


# Reuse happens at all


def test_many_cells_of_random_notebooks_are_reused(tmp_path):
    statuses: list[str] = []
    for seed in range(20):
        story, _ = written(seed, tmp_path / "project")
        with Tracked(tmp_path / "project") as tracked:
            tracked.replay(story)
        statuses += tracked.statuses
    assert statuses.count("reused") > 0.15 * len(statuses)


@pytest.mark.parametrize("reset", [False, True])
def test_an_unchanged_notebook_is_reused_in_a_new_kernel(tmp_path, reset):
    cells = [
        "import json\nimport numpy as np\nimport pandas as pd\nimport helper",
        "table = pd.read_csv('data.csv')",
        "numbers = table['x'].to_numpy() * 2\nnumbers",
        "def scaled(v, by=3):\n    return v * by",
        "total = float(scaled(numbers).sum())\nprint('total', total)",
        "np.random.seed(3)\ndrawn = np.random.rand(3)",
        "worked = helper.work(int(total))",
        "json.dump(worked, open('made.json', 'w'))",
        "read = json.load(open('made.json'))\nread",
    ]
    story: list[Any] = [Put("data.csv", "x\n1\n2\n3\n"), Put("helper.py", "def work(v):\n    return [v, v + 1]\n")]
    runs = [Run(text, f"c{number}") for number, text in enumerate(cells)]
    story += [*runs, Restart(killed=False), *([Reset()] if reset else []), *runs]
    assert first_lie(story, tmp_path / "project") is None
    with Tracked(tmp_path / "project") as tracked:
        again = [seen.status for seen in tracked.replay(story)][-len(cells) - 1 : -1]
    assert again.count("reused") >= 6  # at least what computes, draws, reads files and calls functions


# The judge is just


class Liar(World):
    """A plain world that tells one kind of lie whenever a cell is run again, as a wrong cache would."""

    lie: ClassVar[str]

    def __enter__(self) -> World:
        self._ran: dict[str, dict[str, Any]] = {}
        return super().__enter__()

    def run(self, action: Run) -> Seen:
        earlier = self._ran.get(action.text)
        before = dict(self.namespace)
        state, files = (random.getstate(), np.random.get_state()), self._files()
        self._planned = None if earlier is None else (earlier, before, state, files)
        seen = super().run(action)
        now = self.namespace
        bound = {
            name for name in now if name[0] != "_" and name not in ("In", "Out") and now[name] is not before.get(name)
        }
        self._ran[action.text] = {name: now[name] for name in bound if not isinstance(now[name], types.ModuleType)}
        if earlier is not None and self.lie == "nothing printed":
            seen.events = [event for event in seen.events if event[0] != "stdout"]
        return seen

    def execute(self, action: Run) -> Any:
        result = super().execute(action)
        if self._planned is not None:
            getattr(self, self.lie.replace(" ", "_"))(*self._planned)
        return result

    def _files(self) -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in self.folder.glob("*") if path.is_file()}

    def nothing_printed(self, *planned: Any) -> None:
        pass

    def old_values(self, earlier: dict[str, Any], *more: Any) -> None:
        self.namespace.update(earlier)

    def values_without_their_aliases(self, earlier: dict[str, Any], before: dict[str, Any], *more: Any) -> None:
        for name in earlier.keys() & self.namespace.keys():
            if type(self.namespace[name]) in (list, dict, np.ndarray):
                self.namespace[name] = copy.copy(self.namespace[name])

    def functions_of_another_namespace(self, earlier: dict[str, Any], *more: Any) -> None:
        for name in earlier.keys() & self.namespace.keys():
            if isinstance(function := self.namespace[name], types.FunctionType):
                self.namespace[name] = types.FunctionType(
                    function.__code__, dict(self.namespace), name, function.__defaults__, function.__closure__
                )

    def other_numbers_of_the_same_value(self, earlier: dict[str, Any], *more: Any) -> None:
        for name in earlier.keys() & self.namespace.keys():
            if type(value := self.namespace[name]) is int:
                self.namespace[name] = float(value)

    def generators_where_they_were(self, earlier: Any, before: Any, state: Any, files: Any) -> None:
        random.setstate(state[0])
        np.random.set_state(state[1])

    def files_not_written(self, earlier: Any, before: Any, state: Any, files: dict[Path, bytes]) -> None:
        for path in self._files().keys() - files.keys():
            path.unlink()

    def nothing_in_out(self, *planned: Any) -> None:
        self.namespace["Out"].clear()


LIES = [name.replace("_", " ") for name in vars(Liar) if name[0] != "_" and name not in ("lie", "run", "execute")]


@pytest.mark.parametrize("lie", LIES)
def test_the_judge_finds_a_planted_lie(lie, tmp_path):
    world = type("Liar", (Liar,), {"lie": lie})
    for seed in range(60):
        story, expected = written(seed, tmp_path / "project")
        if found := compare(story, expected, tmp_path / "project", world=world):
            break
    else:
        pytest.fail(f"{lie}: believed in 60 stories")
    shortest = shortest_story(story, tmp_path / "project", world=world)
    assert len(shortest) <= 6, found
    assert first_lie(shortest, tmp_path / "project", world=world)


def test_the_judge_asks_for_new_clocks_and_entropy(tmp_path):
    class Clock(Liar):
        lie = "old values"

    story = [Run("import time"), *[Run("fresh_time = time.time_ns()")] * 2]
    assert "was not computed again" in (first_lie(story, tmp_path / "project", world=Clock) or "")
    assert first_lie(story, tmp_path / "project") is None


def test_the_judge_overlooks_the_notice_of_a_reuse_and_no_other_display(tmp_path):
    class Talkative(Tracked):
        def execute(self, action: Run) -> Any:
            self.shell.display_pub.publish({"text/plain": self.text})
            return super().execute(action)

    said = type("Talkative", (Talkative,), {"text": NOTICE + "2 s"})
    assert first_lie([Run("a = 1")], tmp_path / "project", world=said) is None
    more = type("Talkative", (Talkative,), {"text": "reused"})
    assert first_lie([Run("a = 1")], tmp_path / "project", world=more)


def test_a_plain_world_agrees_with_itself(tmp_path):
    for seed in range(20):
        story, expected = written(seed, tmp_path / "project")
        assert compare(story, expected, tmp_path / "project", world=World) is None
