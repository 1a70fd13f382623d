"""The step that splits a sweep's body: statements in, run one after the other; what all trials can share comes out.

A statement is shared (loop-invariant code motion; Aho, Sethi and Ullman 1986, section 10.7) where no swept value flows
in, running it again would leave the same behind, and nothing it made is changed by the rest. Its text and what was
observed while it ran decide; in doubt it runs in each trial. This happens in a process of its own, with the recorder
that watches cells.
"""

from __future__ import annotations

import ast
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

from mlmagic.capture import Cell, Outcome, Recorder, randomness
from mlmagic.capture.behind import code_behind
from mlmagic.capture.reach import Reach
from mlmagic.fingerprint import share
from mlmagic.records import Observation
from mlmagic.tuning.body import SWEEP, Statement

# Calls that change nothing they are given.
_PURE = frozenset(
    "abs all any bool bytes complex dict divmod enumerate float frozenset getattr hasattr hash id int isinstance "
    "issubclass len list max min pow print range repr reversed round set slice sorted str sum tuple type zip".split()
)
# Words by which code changes what no variable shows, and words by which it writes files.
_SETTING = frozenset(
    "set_option seterr set_printoptions set_default_dtype set_default_device set_num_threads rcParams set_config "
    "environ putenv chdir setlocale setattr simplefilter filterwarnings manual_seed seed set_state use".split()
)
_WRITING = ("to_", "save", "dump", "write", "open", "mkdir", "remove", "unlink", "rename", "copy", "touch", "rmtree")
_DEFINITIONS = (ModuleType, FunctionType, BuiltinFunctionType, type)


@dataclass(slots=True)
class Row:
    """What was decided of one statement."""

    number: int
    line: int
    text: str
    shared: bool
    reason: str = ""
    seconds: float | None = None


@dataclass(slots=True)
class Split:
    """The outcome of one pass.

    Attributes
    ----------
    rows : list of Row
    made : dict
        Variable that a shared statement wrote -> number of the statement that did so last.
    spoilt : dict
        Statement that has to run in each trial and left its traces here -> why: another pass has to start from fresh
        variables, without it. Empty where this pass counts.
    """

    rows: list[Row] = field(default_factory=list)
    made: dict[str, int] = field(default_factory=dict)
    spoilt: dict[int, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Left:
    """What the statements left to the trials do, as far as the text says."""

    names: dict[str, int] = field(default_factory=dict)  # bound or deleted by them -> line
    origins: dict[str, set[str]] = field(default_factory=dict)  # such a name -> the swept values behind it
    reads: dict[str, int] = field(default_factory=dict)
    touched: dict[str, int] = field(default_factory=dict)  # what they may change
    settings: int | None = None  # line that may change settings or the world
    files: int | None = None  # line that may write files


class Splitter:
    """Goes through a body once.

    Parameters
    ----------
    statements : sequence of Statement
    namespace : dict
        The variables that the body starts from; shared statements run in it.
    root : Path
        The project's folder.
    forced : mapping
        Statement that is known to belong to the trials -> why.
    """

    def __init__(
        self, statements: Sequence[Statement], namespace: dict[str, Any], root: Path, forced: Mapping[int, str]
    ) -> None:
        self._statements = statements
        self._namespace = namespace
        self._forced = {**foreseen(statements), **forced}
        self._recorder = Recorder(namespace, root, "sweep")
        self._left = _Left()
        self._split = Split()

    @property
    def recorder(self) -> Recorder:
        """What watched; it knows the fingerprints of all variables."""
        return self._recorder

    def run(self) -> Split:
        """Decide about every statement, running those that are shared."""
        self._recorder.start()
        self._recorder.adopt("")
        try:
            for statement in self._statements:
                self._decide(statement)
        finally:
            self._recorder.stop()
        self._check_later_changes()
        return self._split

    def _decide(self, statement: Statement) -> None:
        found = self._recorder.reachable(ast.unparse(statement.node))
        reason = self._flows(statement, found) or self._forced.get(statement.number) or self._order(statement, found)
        seconds = None
        if not reason:
            reason, seconds = self._try(statement)
        self._split.rows.append(Row(statement.number, statement.line, statement.text, not reason, reason, seconds))
        if reason:
            self._leave(statement, found)

    # -- by the text -------------------------------------------------------------------------

    def _flows(self, statement: Statement, found: Reach) -> str:
        """Which swept value comes in; empty where none does."""
        if statement.swept:
            names = ", ".join(dict.fromkeys(one.name or "a value" for one in statement.swept))
            return f"{names} is chosen here"
        read = statement.facts.loads.keys() | statement.facts.called.keys() | found.reads.keys() | found.missing
        if SWEEP in read:
            return "it reports, or asks for a value"
        if found.dynamic:
            return "it runs code made at run time"
        through = sorted(name for name in read if name in self._left.names)
        if not through:
            return ""
        origins = sorted(set().union(*(self._left.origins.get(name, {name}) for name in through)))
        if origins == through:
            return f"{', '.join(origins)} {'flow' if len(origins) > 1 else 'flows'} in"
        return f"{', '.join(origins)} {'flow' if len(origins) > 1 else 'flows'} in through {', '.join(through)}"

    def _order(self, statement: Statement, found: Reach) -> str:
        """Which earlier statement that is left to the trials has to run before this one."""
        left = self._left
        writes = statement.facts.binds | statement.facts.deletes | found.stores
        for name in sorted(writes):
            line = left.names.get(name) or left.reads.get(name)
            if line is not None:
                return f"line {line} uses {name} before"
        for name in sorted(filter(self._changeable, found.reads)):
            for other, line in left.touched.items():
                if name == other or self._share(name, other):
                    return f"line {line} may change {name} before"
        if left.settings is not None:
            return f"line {left.settings} may change settings before"
        return ""

    def _changeable(self, name: str) -> bool:
        seen = self._recorder.snapshots().get(name)
        return seen is not None and not seen.constant and not isinstance(self._namespace.get(name), _DEFINITIONS)

    def _share(self, name: str, other: str) -> bool:
        known = self._recorder.snapshots()
        return name in known and other in known and share(known[name], known[other])

    def _leave(self, statement: Statement, found: Reach) -> None:
        """Note what a statement does that runs in each trial, before those that come after it."""
        facts, left, line = statement.facts, self._left, statement.line
        read = facts.loads.keys() | facts.called.keys() | found.reads.keys()
        origins = {one.name for one in statement.swept if one.name}
        origins = origins.union(*(left.origins.get(name, {name}) for name in read if name in left.names))
        for name in facts.binds | facts.deletes | found.stores:
            left.names.setdefault(name, line)
            if origins:
                left.origins.setdefault(name, set()).update(origins)
        for name in read:
            left.reads.setdefault(name, line)
        if not _calls_only_pure(statement.node):
            for name in filter(self._changeable, found.reads):
                left.touched.setdefault(name, line)
        self._note_effects(statement, found)

    def _note_effects(self, statement: Statement, found: Reach) -> None:
        behind = code_behind(self._namespace.get(name) for name in found.reads)
        words = statement.facts.attributes | behind.attributes | statement.facts.called.keys()
        roots = {path.partition(".")[0] for path in statement.facts.effects | statement.facts.last_effects}
        modules = any(isinstance(self._namespace.get(root), ModuleType) for root in roots)
        if (modules or words & _SETTING or found.dynamic) and self._left.settings is None:
            self._left.settings = statement.line
        if any(word.startswith(_WRITING) for word in words) and self._left.files is None:
            self._left.files = statement.line

    # -- by running it -----------------------------------------------------------------------

    def _try(self, statement: Statement) -> tuple[str, float]:
        """Run a statement that looks shared; why it is not, if anything it did says so."""
        put_back, before = randomness.hold(), dict(self._namespace)
        started = time.perf_counter()
        observation, outcome = self._run(statement)
        seconds = time.perf_counter() - started
        reason = self._speaks_against(statement, observation, outcome)
        if not reason:
            made = [made.name for made in observation.versions if made.kind == "variable"]
            self._split.made |= dict.fromkeys(made, statement.number)
        elif self._only_drew(observation):
            self._undo(observation, before, put_back)
        else:
            self._split.spoilt[statement.number] = reason
        return reason, seconds

    def _run(self, statement: Statement) -> tuple[Observation, Outcome]:
        code = ast.unparse(statement.node)
        self._recorder.begin(Cell(code, code))
        self._recorder.inputs()
        printed = sys.stdout.tell() if sys.stdout.seekable() else 0
        outcome = Outcome("ok")
        try:
            exec(compile(ast.Module([statement.node], []), "<sweep>", "exec"), self._namespace)
        except Exception as error:
            outcome = Outcome("error", error=type(error).__qualname__)
        sys.stdout.flush()
        visible = sys.stdout.seekable() and sys.stdout.tell() > printed
        return self._recorder.end(outcome, visible), outcome

    def _speaks_against(self, statement: Statement, observation: Observation, outcome: Outcome) -> str:
        evidence = self._recorder.evidence
        if outcome.error is not None:
            return f"it raises {outcome.error}"
        if evidence is None:
            return "what it does could not be seen"
        if drawn := sorted({*evidence.random, *evidence.random_after}):
            return f"it draws random numbers ({drawn[0]})"
        if evidence.obstacles:
            return evidence.obstacles[0].what
        if evidence.written or evidence.removed or evidence.made:
            return "it writes files"
        if self._left.files is not None and (evidence.files or evidence.absent or evidence.folders):
            return f"it reads files, and line {self._left.files} may write some before"
        return self._changes_what_was_read(observation)

    def _changes_what_was_read(self, observation: Observation) -> str:
        changed = {made.name for made in observation.versions if made.kind == "variable"}
        for name in sorted(changed):
            for other, line in self._left.reads.items():
                if name == other or (self._changeable(other) and self._share(name, other)):
                    return f"line {line} uses {name} before"
        return ""

    def _only_drew(self, observation: Observation) -> bool:
        """Whether nothing but random states and newly bound names would have to be put back."""
        evidence = self._recorder.evidence
        if evidence is None or any("random" not in one.what for one in evidence.obstacles):
            return False
        kinds = {made.version_id: made.kind for made in observation.versions}
        binds = all(write.how == "bind" for write in observation.writes if kinds.get(write.version_id) == "variable")
        return (
            binds
            and set(kinds.values()) <= {"variable", "random"}
            and set(evidence.random_after) <= {"random", "numpy"}
        )

    def _undo(self, observation: Observation, before: Mapping[str, Any], put_back: Any) -> None:
        self._recorder.begin(Cell("", ""))
        for made in observation.versions:
            if made.kind == "variable":
                self._namespace.pop(made.name, None)
                if made.name in before:
                    self._namespace[made.name] = before[made.name]
        put_back()
        self._recorder.end(Outcome("ok"))

    def _check_later_changes(self) -> None:
        """Shared statements whose results a statement of the trials changes by name."""
        shared = {row.number for row in self._split.rows if row.shared}
        for name, number in self._split.made.items():
            for later in self._statements[number + 1 :]:
                if later.number not in shared and name in changes_by_name(later):
                    self._split.spoilt.setdefault(number, f"line {later.line} changes {name}")


def foreseen(statements: Sequence[Statement]) -> dict[int, str]:
    """Statements whose results are changed later by statements into which a swept value flows by name, and how."""
    varying: set[str] = set()
    in_trials: list[Statement] = []
    for statement in statements:
        if statement.swept or varying & (statement.facts.loads.keys() | statement.facts.called.keys()):
            varying |= statement.facts.binds
            in_trials.append(statement)
    found: dict[int, str] = {}
    for later in in_trials:
        for name in changes_by_name(later):
            makers = [one for one in statements[: later.number] if name in one.facts.binds]
            for maker in makers:
                found.setdefault(maker.number, f"line {later.line} changes {name}")
    return {number: why for number, why in found.items() if not statements[number].swept}


def changes_by_name(statement: Statement) -> set[str]:
    """Variables that a statement changes in place, by its text: `net.fit(…)` alone, `x[0] = …`, `x += …`."""
    paths = statement.facts.effects | statement.facts.last_effects
    found = {path.partition(".")[0] for path in paths}
    found |= {
        node.target.id
        for node in ast.walk(statement.node)
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name)
    }
    return found - _called_alone(statement.node)


def _called_alone(node: ast.AST) -> set[str]:
    """`f` of ``f(x)``: calling a function changes what it is given, not its name."""
    return {call.func.id for call in ast.walk(node) if isinstance(call, ast.Call) and isinstance(call.func, ast.Name)}


def _calls_only_pure(node: ast.AST) -> bool:
    """Whether a statement can change nothing but names: no calls but harmless ones, no stores into objects."""
    for part in ast.walk(node):
        if isinstance(part, (ast.Await, ast.Yield, ast.YieldFrom, ast.With, ast.AugAssign)):
            return False
        if isinstance(part, (ast.Attribute, ast.Subscript)) and not isinstance(part.ctx, ast.Load):
            return False
        if isinstance(part, ast.Call) and not _is_pure(part.func):
            return False
    return True


def _is_pure(function: ast.expr) -> bool:
    match function:
        case ast.Name(id=name):
            return name in _PURE
        case ast.Attribute(value=ast.Name(id="sweep")):
            return True
    return False
