"""The step that splits a sweep's body: statements in, run one after the other; what all trials can share comes out.

A statement is shared (loop-invariant code motion; Aho, Sethi and Ullman 1986, section 10.7) where no swept value flows
in, running it again would leave the same behind, and nothing it made is changed by the rest. Its text and what was
observed while it ran decide; in doubt it runs in each trial. This happens in a process of its own, with the recorder
that watches cells.
"""

from __future__ import annotations

import ast
import random
import sys
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass, replace
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, GetSetDescriptorType, MemberDescriptorType, ModuleType
from typing import Any

from mlmagic._optional import loaded
from mlmagic.analysis import CodeFacts
from mlmagic.capture import Cell, Outcome, Recorder, randomness
from mlmagic.capture.behind import code_behind, facts_of, module_codes
from mlmagic.capture.reach import Reach
from mlmagic.fingerprint import share
from mlmagic.records import Observation
from mlmagic.tuning.body import SWEEP, Statement, compiled
from mlmagic.tuning.state import maps

# Calls that change nothing they are given.
_PURE = frozenset(
    "abs all any bool bytes complex dict divmod enumerate float frozenset getattr hasattr hash id int isinstance "
    "issubclass len list max min pow print range repr reversed round set slice sorted str sum tuple type zip".split()
)
# Words by which code changes what no variable shows, and words by which it writes files.
_SETTING = frozenset(
    "set_option seterr set_printoptions set_default_dtype set_default_device set_num_threads rcParams set_config "
    "environ putenv chdir setlocale setattr simplefilter filterwarnings use set_float32_matmul_precision".split()
)
_WRITING = (
    "to_ tofile save dump write open mkdir makedirs remove unlink rename replace move copy touch rmdir rmtree truncate "
    "symlink link extract unpack download urlretrieve sink_ system Popen run check_call check_output log_".split()
)
# Moving the global generators is seen by itself.
_MOVES_GENERATORS = ("random.", "numpy.random.", "torch.manual_seed", "torch.cuda.manual_seed", "torch.random.")
_GENERATORS_STATE = frozenset("getstate get_state get_rng_state initial_seed _rand _inst".split())
_OF_ONE_WORKER = frozenset({"CUDA_VISIBLE_DEVICES"})  # environment variables in which workers differ
# What changes more than names without a call in sight.
_CHANGING = (
    ast.Await, ast.Yield, ast.YieldFrom, ast.With, ast.AsyncWith, ast.AugAssign, ast.ClassDef, ast.Import,
    ast.ImportFrom, ast.Match,
)  # fmt: skip
_DEFINITIONS = (ModuleType, FunctionType, BuiltinFunctionType, type)
_MEMBERS = (FunctionType, staticmethod, property, MemberDescriptorType, GetSetDescriptorType)
_PLAIN_MODULES = frozenset({"builtins", "numpy", "pandas", "datetime", "pathlib", "types", "collections"})


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
    held: dict[str, set[str]] = field(default_factory=dict)  # name -> names whose objects it may hold since
    modules: dict[str, int] = field(default_factory=dict)  # local modules whose functions they may call
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
        for name in sorted(found.reads):
            if name in left.touched:
                return f"line {left.touched[name]} may change {name} before"
            others = left.touched.items() if self._changeable(name) else ()
            for other, line in others:
                if self._share(name, other):
                    return f"line {line} may change {name} before"
        for module in sorted(found.modules & left.modules.keys()):
            return f"line {left.modules[module]} may change the module {module} before"
        if left.settings is not None:
            return f"line {left.settings} may change settings before"
        return ""

    def _changeable(self, name: str) -> bool:
        seen, value = self._recorder.snapshots().get(name), self._namespace.get(name)
        if seen is None or seen.constant:
            return False
        return not isinstance(value, _DEFINITIONS) or _has_state(value, seen.names, self._is_constant)

    def _is_constant(self, value: object) -> bool:
        return self._recorder.look(value).constant

    def _share(self, name: str, other: str) -> bool:
        known = self._recorder.snapshots()
        if name not in known or other not in known:
            return False
        one = known[name]
        return share(replace(one, ids=one.ids - maps()), known[other])

    def _leave(self, statement: Statement, found: Reach) -> None:
        """Note what a statement does that runs in each trial, before those that come after it."""
        facts, left, line = statement.facts, self._left, statement.line
        whole = self._behind(statement, found)
        read = whole.reads.keys() | whole.missing
        origins = {one.name for one in statement.swept if one.name}
        origins = origins.union(*(left.origins.get(name, {name}) for name in read if name in left.names))
        binds = facts.binds | facts.deletes | whole.stores
        for name in binds:
            left.names.setdefault(name, line)
            if origins:
                left.origins.setdefault(name, set()).update(origins)
        for name in read:
            left.reads.setdefault(name, line)
        changes = not self._is_harmless(statement, whole)
        stored = {name for name in changes_by_name(statement) if not isinstance(self._namespace.get(name), ModuleType)}
        for name in stored.union(filter(self._changeable, whole.reads if changes else ())):
            left.touched.setdefault(name, line)
        for name in binds | (read if changes else set()):
            left.held.setdefault(name, set()).update(read)
        if changes:
            left.modules |= dict.fromkeys(whole.modules - left.modules.keys(), line)
        self._note_effects(statement, whole)

    def _behind(self, statement: Statement, found: Reach) -> Reach:
        """What a statement can reach when it runs after the statements that were left, whose results are not here."""
        facts, held = statement.facts, self._left.held
        inside = [own.loads for own in facts.functions.values()]
        names = {*facts.loads, *facts.called, *found.reads, *found.missing}.union(*inside)
        names = names.union(*(held[name] for name in names if name in held))
        whole = self._recorder.reachable("\n".join(sorted(filter(str.isidentifier, names))))
        whole.missing |= names - whole.reads.keys()
        whole.stores |= found.stores.union(*(own.stores | own.deletes for own in facts.functions.values()))
        whole.dynamic |= found.dynamic or any(own.dynamic for own in facts.functions.values())
        return whole

    def _is_harmless(self, statement: Statement, found: Reach) -> bool:
        """Whether a statement changes nothing but names."""
        known = self._namespace.keys() | self._left.names.keys()
        calls = calls_only_pure(statement.node, known)
        values = [self._namespace.get(name) for name in found.reads if name not in self._left.names]
        return calls is not None and all(_is_plain(value) or (not calls and _is_definition(value)) for value in values)

    def _note_effects(self, statement: Statement, found: Reach) -> None:
        facts, left = statement.facts, self._left
        behind = code_behind(self._namespace.get(name) for name in found.reads)
        inside = CodeFacts.merged([behind, *module_facts(found.modules), *facts.functions.values()])
        words = facts.attributes | inside.attributes | inside.loads | facts.called.keys() | facts.loads.keys()
        unseen = any(map(self._acts_unseen, facts.effects | facts.last_effects))
        if (unseen or words & _SETTING or found.dynamic) and left.settings is None:
            left.settings = statement.line
        if any(word.startswith(tuple(_WRITING)) for word in words) and left.files is None:
            left.files = statement.line

    def _acts_unseen(self, path: str) -> bool:
        """Whether a call whose value is dropped, or a store, is one of a package, which may keep what it is told."""
        root, _, rest = path.partition(".")
        value = self._namespace.get(root)
        if isinstance(value, ModuleType):
            return not f"{value.__name__}.{rest}".startswith(_MOVES_GENERATORS)
        home = getattr(value, "__module__", None) if isinstance(value, _DEFINITIONS) else None
        return isinstance(home, str) and home not in ("__main__", "builtins", "random")

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
        printed = _printed()
        outcome = Outcome("ok")
        try:
            exec(compiled([statement.node]), self._namespace)
        except BaseException as error:  # also `raise SystemExit`: each trial shall meet it
            outcome = Outcome("error", error=type(error).__qualname__)
        return self._recorder.end(outcome, visible=_printed() != printed), outcome

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
        if self._keeps_generator(statement, observation):
            return "it takes hold of a global random generator, or of its state"
        if asked := sorted(_OF_ONE_WORKER & evidence.environment.keys()):
            return f"it reads {asked[0]}, which each worker has of its own"
        if evidence.written or evidence.removed or evidence.made:
            return "it writes files"
        if self._left.files is not None and (evidence.files or evidence.absent or evidence.folders):
            return f"it reads files, and line {self._left.files} may write some before"
        if not any(made.kind == "variable" for made in observation.versions):
            return "it leaves nothing to be shared"  # waiting and printing are each trial's
        return self._changes_what_was_read(observation)

    def _keeps_generator(self, statement: Statement, observation: Observation) -> bool:
        """Whether what is seeded for each trial came into a variable."""
        found = self._recorder.reachable(ast.unparse(statement.node))
        behind = code_behind(self._namespace.get(name) for name in found.reads)
        if _GENERATORS_STATE & (statement.facts.attributes | behind.attributes):
            return True
        known, generators = self._recorder.snapshots(), _global_generators()
        made = [made.name for made in observation.versions if made.kind == "variable" and made.name in known]
        return any(
            not generators.isdisjoint({*known[name].ids, id(getattr(self._namespace.get(name), "__self__", None))})
            for name in made
        )

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
        if evidence is None or evidence.lost or any("random" not in one.what for one in evidence.obstacles):
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


def _printed() -> int:
    """How much was printed so far; -1 where the statements have closed the stream, or put another in its place."""
    try:
        sys.stdout.flush()
        return sys.stdout.tell()
    except (AttributeError, OSError, ValueError):
        return -1


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


def calls_only_pure(node: ast.AST, known: Collection[str]) -> bool | None:
    """Whether a statement calls harmless functions of Python; ``None``: it may change more than names.

    Parameters
    ----------
    known : collection of str
        Variables: one of them that is called like a function of Python is not that function.
    """
    calls = False
    for part in ast.walk(node):
        if isinstance(part, _CHANGING) or getattr(part, "decorator_list", None):
            return None
        if isinstance(part, (ast.Attribute, ast.Subscript)) and not isinstance(part.ctx, ast.Load):
            return None
        if isinstance(part, ast.Call):
            match part.func:
                case ast.Name(id=name) if name in _PURE and name not in known:
                    calls = True
                case ast.Attribute(value=ast.Name(id="sweep")):
                    pass
                case _:
                    return None
    return calls


def _is_plain(value: object) -> bool:
    """Whether reading a value, or passing it to a function of Python, runs no code of the user's nor uses it up."""
    kind = type(value)
    home = str(kind.__module__).partition(".")[0]
    return (
        not isinstance(value, _DEFINITIONS)
        and not hasattr(kind, "__next__")
        and (home in _PLAIN_MODULES or is_dataclass(kind))
    )


def _is_definition(value: object) -> bool:
    return isinstance(value, _DEFINITIONS)


def _has_state(value: object, names: Collection[str], is_constant: Callable[[object], bool]) -> bool:
    """Whether a function or class holds what calling it may change.

    Parameters
    ----------
    names : collection of str
        Under which code inside could reach it.
    is_constant : callable
        Whether nothing in a value can change.
    """
    if isinstance(value, ModuleType):
        return False  # what is changed in one is settings, or a local module
    if isinstance(value, FunctionType):
        parts = [*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values(), *vars(value).values()]
        return value.__name__ in names or bool(value.__closure__) or not all(map(is_constant, parts))
    if isinstance(value, type):
        own = code_behind([value])
        parts = [part for name, part in vars(value).items() if not isinstance(part, _MEMBERS) and name[:2] != "__"]
        reaches_itself = value.__name__ in own.loads or "type" in own.loads or "__class__" in own.attributes
        return reaches_itself or not all(map(is_constant, parts))
    return not isinstance(getattr(value, "__self__", None), (ModuleType, type(None)))


def _global_generators() -> set[int]:
    """Identities of the generators that are seeded for each trial."""
    arrays = loaded("numpy.random.mtrand")
    return {id(one) for one in (getattr(random, "_inst", None), getattr(arrays, "_rand", None)) if one is not None}


def module_facts(modules: Iterable[str]) -> list[CodeFacts]:
    """What the code of local modules says."""
    return [facts_of(module_codes(modules))]
