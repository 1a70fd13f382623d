"""Two worlds for one story: a notebook's user acts in a plain IPython shell, and acts the same under mlmagic.

A story is a list of actions: cells run, files changed from outside, kernels restarted. Both worlds live, one after
the other, at the same place on disk and in this process; whatever they do to the process is undone. What a user
could see after each action is kept as a `Seen`; the two worlds must have seen the same.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import importlib
import io
import os
import random
import re
import shutil
import sys
import types
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from traitlets import Type
from traitlets.config import Config

import mlmagic
from mlmagic.fingerprint import fingerprint
from mlmagic.session import active
from tests.property.contents import Line, account, first_difference, users_names, without_addresses

REUSE = {"MLMAGIC_REUSE": "on", "MLMAGIC_REUSE_MIN_SECONDS": "0"}
FRESH = "fresh_"  # names of values that no two runs share: clocks, entropy
NOTICE = "reused, saved "  # how the one display begins that a reused cell adds

Event = tuple[str, Any]  # stdout, stderr, display, result or error; what was shown


# What happens in a story


@dataclass(frozen=True)
class Run:
    """A cell is run."""

    text: str
    cell_id: str | None = None

    def __str__(self) -> str:
        return f"run {self.cell_id or ''}\n    " + self.text.replace("\n", "\n    ")


@dataclass(frozen=True)
class Put:
    """Somebody else writes a file; `quietly`: as large and as old as the one before, where there was one as large."""

    path: str
    content: str
    quietly: bool = False

    def __str__(self) -> str:
        return f"put {self.path}{' quietly' if self.quietly else ''}\n    " + self.content.replace("\n", "\n    ")


@dataclass(frozen=True)
class Remove:
    """Somebody else removes a file, if it is there."""

    path: str

    def __str__(self) -> str:
        return f"remove {self.path}"


@dataclass(frozen=True)
class Reset:
    """What the notebook made is removed: only files that `Put` made stay, as they were put."""

    def __str__(self) -> str:
        return "remove all that cells made"


@dataclass(frozen=True)
class Restart:
    """A new kernel, whose generators start from `seed`; `killed`: the old one had no time to end well."""

    seed: int = 0
    killed: bool = True

    def __str__(self) -> str:
        return f"{'kill the kernel and start' if self.killed else 'restart'}, seed {self.seed}"


Action = Run | Put | Remove | Reset | Restart
Story = Sequence[Action]


def told(story: Story) -> str:
    """The story as text for a failing test."""
    return "\n".join(f"[{number}] {action}" for number, action in enumerate(story))


# What is seen


@dataclass
class Seen:
    """What a user could know after an action."""

    events: list[Event] = field(default_factory=list)
    error: str | None = None
    variables: list[Line] | None = None  # None: nobody looked
    prints: dict[str, str | None] = field(default_factory=dict)  # fingerprints
    randomness: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    process: dict[str, Any] = field(default_factory=dict)
    fresh: dict[str, Any] = field(default_factory=dict)
    status: str | None = None  # of the execution that mlmagic recorded


def difference(plain: Seen, tracked: Seen) -> str | None:
    """What a user of mlmagic saw otherwise, in one line."""
    for part in ("events", "error", "randomness", "files", "process"):
        one, other = getattr(plain, part), getattr(tracked, part)
        if one != other:
            return f"{part}: {_apart(one, other)}"
    if plain.variables is not None and tracked.variables is not None:
        apart = first_difference(plain.variables, tracked.variables)
        if apart:
            return f"variables: {apart}"
        if plain.prints != tracked.prints:
            return f"fingerprints: {_apart(plain.prints, tracked.prints)}"
    return None


def _apart(one: Any, other: Any) -> str:
    if isinstance(one, dict) and isinstance(other, dict):
        parts = [name for name in {**one, **other} if one.get(name) != other.get(name)]
        return "; ".join(f"{name}: {one.get(name)!r} | {other.get(name)!r}" for name in parts[:3])
    return f"{one!r} | {other!r}"


# One world


class _Stream(io.TextIOBase):
    """Standard output or error of a cell."""

    encoding = "utf-8"

    def __init__(self, name: str, events: list[Event]) -> None:
        self.name = name
        self._events = events

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if text:
            self._events.append((self.name, str(text)))
        return len(text)


class _Publisher(DisplayPublisher):
    """Displays, as a front end would get them."""

    def publish(self, data: Any, metadata: Any = None, **more: Any) -> None:
        self.shell.events_seen.append(("display", dict(data)))

    def clear_output(self, wait: bool = False) -> None:
        self.shell.events_seen.append(("display", "cleared"))


class _Results(DisplayHook):
    """Results of cells, as a front end would get them."""

    def write_output_prompt(self) -> None:
        pass

    def write_format_data(self, format_dict: Any, md_dict: Any = None) -> None:
        self.shell.events_seen.append(("result", self.prompt_count, dict(format_dict)))

    def finish_displayhook(self) -> None:
        self._is_active = False


class Shell(InteractiveShell):
    """A shell that shows everything to a list."""

    display_pub_class = Type(_Publisher)
    displayhook_class = Type(_Results)
    events_seen: list[Event]

    def _showtraceback(self, etype: Any, evalue: Any, stb: Any) -> None:
        self.events_seen.append(("error", etype.__name__, without_addresses(str(evalue))))


class World:
    """A plain IPython shell in a folder; `with World(folder) as world: world.do(action)`.

    Parameters
    ----------
    folder : Path
        The project's folder; what it holds is removed first.
    closely : bool, default True
        Look at all variables after every cell, else only before a restart and when asked by `look`.
    """

    def __init__(self, folder: Path, closely: bool = True) -> None:
        self.folder = folder
        self.closely = closely
        self.seen: list[Seen] = []
        self.shell: Shell | None = None
        self._put: dict[str, str] = {}
        self._open = contextlib.ExitStack()

    def __enter__(self) -> World:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self._open.enter_context(process_kept(self.folder))
        os.chdir(self.folder)
        os.environ.update(REUSE)  # in both worlds: cells see the same variables
        self._environment = dict(os.environ)
        self.start(0)
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self.stop(killed=True)
        finally:
            self._open.close()

    @property
    def namespace(self) -> dict[str, Any]:
        assert self.shell is not None
        return self.shell.user_ns

    # -- actions -----------------------------------------------------------------------------

    def do(self, action: Action) -> Seen:
        """Let an action happen; returns, and keeps, what was seen."""
        seen = Seen()
        if isinstance(action, Run):
            seen = self.run(action)
        elif isinstance(action, Put):
            self.put(action)
        elif isinstance(action, Remove):
            (self.folder / action.path).unlink(missing_ok=True)
            self._put.pop(action.path, None)
        elif isinstance(action, Reset):
            self.reset()
        else:
            seen = self.look()  # at what the old kernel leaves
            self.stop(action.killed)
            self.start(action.seed)
        self.seen.append(seen)
        return seen

    def replay(self, story: Story) -> list[Seen]:
        for action in story:
            self.do(action)
        self.seen.append(self.look())
        return self.seen

    def put(self, action: Put) -> None:
        path = self.folder / action.path
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.stat() if path.exists() else None
        path.write_text(action.content)
        self._put[action.path] = action.content
        if action.quietly and before is not None and before.st_size == path.stat().st_size:
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        importlib.invalidate_caches()

    def reset(self) -> None:
        for place in self.folder.iterdir():
            if place.name == ".mlmagic":
                continue
            if place.is_dir() and not place.is_symlink():
                shutil.rmtree(place)
            else:
                place.unlink()
        for path, content in self._put.items():
            self.put(Put(path, content))

    # -- kernels -----------------------------------------------------------------------------

    def start(self, seed: int) -> None:
        os.environ.clear()
        os.environ.update(self._environment)
        os.chdir(self.folder)
        restore_packages()
        _forget_modules_of(self.folder)
        random.seed(seed)
        np.random.seed(seed)
        config = Config()
        config.HistoryManager.enabled = False
        config.HistoryManager.hist_file = ":memory:"
        config.InteractiveShell.colors = "nocolor"
        config.InteractiveShell.xmode = "Minimal"  # nobody reads tracebacks here, and they take most of the time
        self.shell = Shell(config=config, user_module=types.ModuleType("__main__"))
        self.shell.events_seen = []
        atexit.unregister(self.shell.atexit_operations)  # or it would live as long as this process
        for kind in Shell._walk_mro():
            kind._instance = self.shell

    def stop(self, killed: bool) -> None:
        if self.shell is not None:
            self.shell = None
            Shell.clear_instance()

    def run(self, action: Run) -> Seen:
        assert self.shell is not None
        events: list[Event] = []
        self.shell.events_seen = events
        with (
            contextlib.redirect_stdout(_Stream("stdout", events)),
            contextlib.redirect_stderr(_Stream("stderr", events)),
        ):
            result = self.execute(action)
        error = result.error_before_exec or result.error_in_exec
        seen = self.look() if self.closely else Seen()
        seen.events = plain_events(events)
        if error is not None:
            seen.error = without_addresses(f"{type(error).__qualname__}: {error.args!r}")
        seen.fresh = {name: value for name, value in self.namespace.items() if name.startswith(FRESH)}
        self.outside(seen)
        return seen

    def execute(self, action: Run) -> Any:
        assert self.shell is not None
        with warnings.catch_warnings():
            warnings.showwarning = _shown_warning  # not to the test runner
            warnings.simplefilter("always")  # whether one was shown before shall not matter
            warnings.simplefilter("ignore", ResourceWarning)  # collected who knows when
            return self.shell.run_cell(action.text, store_history=True, cell_id=action.cell_id)

    # -- looking -----------------------------------------------------------------------------

    def look(self) -> Seen:
        """Everything but what was shown."""
        seen = Seen()
        seen.variables = account(self.namespace, but=lambda name: name.startswith(FRESH))
        seen.prints = fingerprints(self.namespace, seen.variables)
        self.outside(seen)
        return seen

    def outside(self, seen: Seen) -> None:
        """Random state, files and what else belongs to the process."""
        state = np.random.get_state()
        numpys = repr([state[0], state[1].tobytes(), *state[2:]])
        seen.randomness = {"random": _short(repr(random.getstate())), "numpy": _short(numpys)}
        seen.files = files_below(self.folder)
        variables = {name: text for name, text in os.environ.items() if self._environment.get(name) != text}
        seen.process = {
            "environment": variables,
            "unset": sorted(self._environment.keys() - os.environ.keys()),
            "cwd": os.getcwd(),
            "path": list(sys.path),
            "numpy": np.get_printoptions(),
            "precision": pd.get_option("display.precision"),
            "count": self.shell.execution_count if self.shell else None,
        }


class Tracked(World):
    """The same under mlmagic, every cell reused where possible."""

    def __enter__(self) -> World:
        self.statuses: list[str] = []  # of all executions, in order
        return super().__enter__()

    def start(self, seed: int) -> None:
        super().start(seed)
        mlmagic.load_ipython_extension(self.shell)
        session = active()
        assert session is not None
        session.listeners.append(self._observed)

    def _observed(self, observation: Any) -> None:
        self.statuses.append(observation.execution.status)

    def stop(self, killed: bool) -> None:
        session = active()
        if self.shell is not None and session is not None:
            if killed:
                session.store.sync = lambda: None  # type: ignore[method-assign]
            mlmagic.unload_ipython_extension(self.shell)
        super().stop(killed)

    def run(self, action: Run) -> Seen:
        before = len(self.statuses)
        seen = super().run(action)
        seen.status = self.statuses[-1] if len(self.statuses) > before else None
        seen.events = [event for event in seen.events if not _is_notice(event)]
        return seen


def _is_notice(event: Event) -> bool:
    return event[0] == "display" and str(dict(event[1]).get("text/plain", "")).startswith(NOTICE)


def _shown_warning(message: Any, category: Any, filename: str, lineno: int, file: Any = None, line: Any = None) -> None:
    (file or sys.stderr).write(warnings.formatwarning(message, category, filename, lineno, line))


# Where a warning was given, which tells the cell's number and layout, and how long something took.
_NOISE = re.compile(r"^\S*:\d+: (?=\w*Warning: )|(?<=\n)  .*warn\(.*\n|^(CPU times|Wall time): .*$", re.MULTILINE)


def plain_events(events: list[Event]) -> list[Event]:
    """What was shown, without addresses and places of warnings, streams in one piece."""
    made: list[Event] = []
    for kind, *shown in events:
        if kind not in ("stdout", "stderr"):
            made.append((kind, *_without_addresses(shown)))
        elif made and made[-1][0] == kind:
            made[-1] = (kind, made[-1][1] + shown[0])
        else:
            made.append((kind, shown[0]))
    return [(event[0], _settled(event[1])) if event[0] in ("stdout", "stderr") else event for event in made]


def _settled(text: str) -> str:
    return _NOISE.sub("", without_addresses(text))


def _without_addresses(shown: Any) -> Any:
    if isinstance(shown, str):
        return without_addresses(shown)
    if isinstance(shown, dict):
        return {name: _without_addresses(part) for name, part in shown.items()}
    return [_without_addresses(part) for part in shown] if isinstance(shown, list) else shown


def fingerprints(namespace: dict[str, Any], lines: list[Line]) -> dict[str, str | None]:
    """Fingerprints by name, and one of all values that have one, which sees what they share.

    Tables stand for themselves: they share indexes without anybody seeing a change.
    """
    names = [name for name in users_names(namespace) if not name.startswith(("_", FRESH)) and name not in ("In", "Out")]
    made = {name: fingerprint(namespace[name]) for name in names}
    tabular = {re.split(r"[.\[]", path, maxsplit=1)[0] for path, text in lines if text.startswith("pandas.")}
    known = tuple(namespace[name] for name in names if made[name] is not None and name not in tabular)
    return {**made, "together": fingerprint(known)}


def files_below(folder: Path) -> dict[str, str]:
    """Path below the folder -> content; not what mlmagic keeps."""
    found = {}
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in (".mlmagic", "__pycache__")]
        for name in (*folders, *names):
            path = Path(place, name)
            found[str(path.relative_to(folder))] = _told_file(path)
    return found


def _told_file(path: Path) -> str:
    if path.is_symlink():
        return f"a link to {os.readlink(path)}"
    return "a folder" if path.is_dir() else path.read_bytes().decode("latin-1")[:2000]


def _short(text: str) -> str:
    return hashlib.sha1(text.encode()).hexdigest()[:12]


# The process around the worlds

_PRINT_OPTIONS = np.get_printoptions()


def restore_packages() -> None:
    """Settings of packages as a new process has them."""
    np.set_printoptions(**{name: value for name, value in _PRINT_OPTIONS.items() if name != "override_repr"})
    pd.set_option("display.precision", 6)


@contextlib.contextmanager
def process_kept(project: Path) -> Iterator[None]:
    """What worlds do to this process is undone."""
    names = "argv path stdout stderr displayhook excepthook dont_write_bytecode".split()
    system = {name: getattr(sys, name) for name in names}
    main, path, folder, environment = sys.modules["__main__"], list(sys.path), Path.cwd(), dict(os.environ)
    states, instances = (
        (random.getstate(), np.random.get_state()),
        [(kind, kind._instance) for kind in Shell._walk_mro()],
    )
    sys.dont_write_bytecode = True  # a module that is edited twice in one second would be taken for the older one
    sys.path[:] = ["", *path]
    try:
        yield
    finally:
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        for name, value in system.items():
            setattr(sys, name, value)
        sys.path[:] = path
        _forget_modules_of(project)
        sys.modules["__main__"] = main
        random.setstate(states[0])
        np.random.set_state(states[1])
        restore_packages()
        for kind, instance in instances:
            kind._instance = instance


def _forget_modules_of(folder: Path) -> None:
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]
    importlib.invalidate_caches()


# The judgement


def first_lie(story: Story, folder: Path, closely: bool = True, world: Callable[..., World] = Tracked) -> str | None:
    """The first thing that the world under test shows otherwise than a plain one; ``None``: there is none."""
    with World(folder, closely) as plain:
        expected = plain.replay(story)
    return compare(story, expected, folder, closely, world)


def compare(
    story: Story, expected: list[Seen], folder: Path, closely: bool = True, world: Callable[..., World] = Tracked
) -> str | None:
    """The same, where it is known what a plain world shows."""
    with world(folder, closely) as tracked:
        ever: dict[str, set[str]] = {}
        for number, action in enumerate(story):
            seen = tracked.do(action)
            lie = difference(expected[number], seen) or _stale(seen, action, ever)
            if lie:
                return f"after [{number}] {action}\n{lie}\n(plain | {world.__name__.lower()})"
        lie = difference(expected[len(story)], tracked.look())
        return f"at the end\n{lie}" if lie else None


def _stale(seen: Seen, action: Action, ever: dict[str, set[str]]) -> str | None:
    """A value that must be new with every run of its cell, and is not."""
    for name, value in seen.fresh.items():
        if isinstance(action, Run) and re.search(rf"^{name} =", action.text, re.MULTILINE) and seen.error is None:
            if repr(value) in ever.setdefault(name, set()):
                return f"{name} was not computed again"
            ever[name].add(repr(value))
    return None


def shortest(story: Story, folder: Path, tries: int = 400, **options: Any) -> list[Action]:
    """A story that still shows a lie, with as few actions and lines as simple dropping gets to."""
    story, left = list(story), tries
    size = max(1, len(story) // 2)
    while size and left > 0:
        start = 0
        while start < len(story) and left > 0:
            shorter = story[:start] + story[start + size :]
            left -= 1
            if first_lie(shorter, folder, **options):
                story = shorter
            else:
                start += size
        size //= 2
    return _fewest_lines(story, folder, left, options)


def _fewest_lines(story: list[Action], folder: Path, left: int, options: Mapping[str, Any]) -> list[Action]:
    """Drop lines of cells, in all runs of the same text at once."""
    for text in dict.fromkeys(action.text for action in story if isinstance(action, Run)):
        lines = text.split("\n")
        for number in reversed(range(len(lines))):
            shorter = "\n".join(lines[:number] + lines[number + 1 :])
            if left <= 0 or not shorter.strip() or not _is_python(shorter):
                continue
            changed = [_with_text(action, "\n".join(lines), shorter) for action in story]
            left -= 1
            if first_lie(changed, folder, **options):
                story, lines = changed, shorter.split("\n")
    return story


def _with_text(action: Action, old: str, new: str) -> Action:
    return Run(new, action.cell_id) if isinstance(action, Run) and action.text == old else action


def _is_python(text: str) -> bool:
    try:
        compile(text, "<cell>", "exec")
    except SyntaxError:
        return text.startswith("%%")
    return True


def failing(story: Story, folder: Path, lie: str, tries: int = 400, **options: Any) -> str:
    """The message of a failing test: the shortest story with a lie, and the lie."""
    story = shortest(story, folder, tries, **options)
    return f"{told(story)}\n\n{first_lie(story, folder, **options) or 'not always: ' + lie}"
