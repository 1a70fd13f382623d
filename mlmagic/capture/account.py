"""The account of one run for the cache: its inputs before it starts, the evidence when it is over.

Sees what the recorder's watches hold; writes nothing.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from xxhash import xxh3_128

from mlmagic._optional import loaded
from mlmagic.analysis.undetermined import compiled, imported_from, seeds_nothing, uses_sets, writes_descriptor
from mlmagic.capture import environment, native
from mlmagic.capture.behind import facts_of, module_codes, written_here
from mlmagic.capture.cell import Outcome, Running
from mlmagic.capture.environment import HASH_SEED, hash_seed
from mlmagic.capture.evidence import (
    Code,
    Evidence,
    Inputs,
    Obstacle,
    dropped_calls,
    obstacles_in_text,
    obstacles_outside,
)
from mlmagic.capture.modules import is_fixed
from mlmagic.capture.names import is_history
from mlmagic.capture.randomness import states
from mlmagic.config import is_secret
from mlmagic.fingerprint import share, signature
from mlmagic.records import WriteHow

if TYPE_CHECKING:
    from mlmagic.capture.files import FileWatch
    from mlmagic.capture.live import LiveWatch
    from mlmagic.capture.modules import ModuleWatch
    from mlmagic.capture.names import Names
    from mlmagic.capture.outside import Outside
    from mlmagic.capture.packages import PackageSettings
    from mlmagic.capture.randomness import RandomWatch

_NATIVE_READS = ("read_parquet", "read_feather", "read_orc", "read_hdf", "scan_", "read_table", "open_dataset")
_NATIVE_WRITES = ("to_parquet", "to_feather", "to_orc", "to_hdf", "sink_", "write_", "to_zarr", "savez")
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
_WHERE = frozenset({"getcwd", "cwd", "abspath", "absolute", "resolve", "realpath"})


@dataclass(frozen=True, slots=True)
class Accountant:
    """The watches of one recorder."""

    names: Names
    files: FileWatch
    random: RandomWatch
    outside: Outside
    settings: PackageSettings
    live: LiveWatch
    modules: ModuleWatch
    namespace: Mapping[str, Any]

    def inputs(self, run: Running) -> Inputs:
        """What identifies the run that is about to start."""
        entries = {name: run.entries[name] for name in run.reach.reads if name in run.entries}
        variables = {name: entry.snapshot.fingerprint for name, entry in entries.items()}
        sharing: str | None = None
        if None not in variables.values():
            values = {name: self.namespace[name] for name in entries}
            sharing = signature(values, {name: entry.snapshot for name, entry in entries.items()}, self.names.scope)
        return Inputs(run.facts.source_hash, variables, sharing)

    def origin(self, run: Running) -> str | None:
        """A digest of the code and everything it read, where the same would leave the same behind."""
        code = self._code(run)
        known = dict(self.outside.content_read)
        known |= {
            ("variable", name): run.entries[name].snapshot.fingerprint
            for name in run.reach.reads
            if name in run.entries
        }
        if None in known.values() or any(obstacles_in_text(code, self.namespace)) or self._reached_out(code):
            return None
        told = repr((run.facts.source_hash, sorted(known.items())))
        return xxh3_128(told.encode()).hexdigest()

    def evidence(self, run: Running, outcome: Outcome, inputs: Inputs, visible: bool, changed: set[str]) -> Evidence:
        """Everything the run depended on and left behind; `visible`: it printed or showed something."""
        read, written = self.outside.content_read, self.outside.content_written
        hows = self._hows(run, inputs)
        # IPython's own names have versions only where somebody reads them; bound by the cell, they are its results.
        own = {name for name in run.facts.binds if is_history(name) and name in self.namespace}
        again = self._bound_again(run, hows)
        hows |= dict.fromkeys((own | again & run.facts.sure_binds) - hows.keys(), "bind")
        packages = self._packages(run)
        obstacles = [
            *_ended(outcome),
            *self._process(changed),
            *self._values(run, inputs, hows, outcome.displayed),
            *self._followers(run, hows),
            *self._text(run, outcome, hows, visible, changed),
            *self._loaded_modules(run),
            *self._hidden(packages),
        ]
        return Evidence(
            also=self._also(run, inputs, hows, again),
            files=_of_kind(read, "file"),
            absent=tuple(sorted(map(self.outside.told, self.files.missed()))),
            folders={self.outside.told(folder): self.files.folders[folder] for folder in sorted(self.files.listed())},
            random={name: self.random.before[name] for name in self._drawn_from(run)},
            modules=_of_kind(read, "module"),
            packages=packages,
            loaded=frozenset(name for name in list(sys.modules) if "." not in name) - run.loaded,
            environment=self._environment(run, hows),
            folder=self._folder(self._code(run)),
            written={name: digest for name, digest in _of_kind(written, "file").items() if digest is not None},
            removed=tuple(name for name, digest in _of_kind(written, "file").items() if digest is None),
            made=tuple(sorted(map(self.outside.told, self.files.made))),
            random_after=self._generators_after(run),
            hows=hows,
            lost=self._lost(run, inputs, hows),
            obstacles=tuple({str(found): found for found in obstacles}.values()),
        )

    def _hows(self, run: Running, inputs: Inputs) -> dict[str, WriteHow]:
        """Variables that the cell wrote, and how.

        Not those that only hold a part of what it changed: they change with it, whichever they are next time.
        """
        mine = run.ledger.execution_id
        made = [seen for seen in run.ledger.versions.values() if seen.execution_id == mine and seen.kind == "variable"]
        hows = {seen.name: run.ledger.how(seen.version_id) for seen in made}
        return {name: how for name, how in hows.items() if how != "mutate" or name in inputs.variables}

    def _lost(self, run: Running, inputs: Inputs, hows: Mapping[str, WriteHow]) -> tuple[str, ...]:
        left = [entry.snapshot for name, entry in self.names.entries.items() if name not in hows]
        gone = [name for name, how in hows.items() if how != "mutate" and name in inputs.variables]
        before = {name: run.entries[name] for name in gone if name in run.entries}
        return tuple(
            sorted(
                name
                for name, entry in before.items()
                if not entry.snapshot.constant and not any(entry.identity in seen.ids for seen in left)
            )
        )

    def _followers(self, run: Running, hows: Mapping[str, WriteHow]) -> Iterator[Obstacle]:
        """Variables that changed with a part of theirs which is no variable any more, or never was one."""
        entries = self.names.entries
        changed = [name for name, how in hows.items() if how == "mutate" and name in entries]
        roots = {entries[name].identity for name in changed}
        for made in run.ledger.versions.values():
            mine = made.execution_id == run.ledger.execution_id and made.kind == "variable"
            if not mine or made.name in hows or made.name not in entries:
                continue
            seen = entries[made.name].snapshot
            follows = not roots.isdisjoint(seen.ids) or any(share(seen, entries[name].snapshot) for name in changed)
            if not follows:
                yield Obstacle(f"it changes {made.name} through a name that refers to something else afterwards")

    def setting(self, package: str) -> str | None:
        """What stands for a package's settings now; ``None``: nobody knows."""
        hidden, shown = self.outside.hidden_state(package), self.settings.digest(package)
        return None if hidden is None or shown is None else hidden + shown

    # -- what was read -----------------------------------------------------------------------

    def _code(self, run: Running) -> Code:
        """The cell's code and all that it could call of the notebook and of local modules; read once in a run."""
        if run.code is None:
            values = (self.namespace.get(name) for name in run.reach.reads)
            own, behind = compiled(run.cell.code), [*written_here(values), *module_codes(run.reach.modules)]
            codes = [own, *behind]
            run.code = Code(
                run.facts,
                facts_of(behind),
                unseeded=any(map(seeds_nothing, codes)),
                writes_unseen=any(map(writes_descriptor, codes)),
                uses_sets=any(map(uses_sets, codes)),
                imported=frozenset[str]().union(*map(imported_from, codes)),
            )
        return run.code

    def _uses_sets(self, run: Running, hows: Mapping[str, str]) -> bool:
        """Whether the order of a set, which differs from process to process, may have come into the results."""
        kept = (self.names.entries[name].snapshot.hashed for name in hows if name in self.names.entries)
        return any(kept) or self._code(run).uses_sets

    def _generators_after(self, run: Running) -> dict[str, str]:
        """Generators that were advanced or seeded, also those seeded to the state in which they were.

        Not those that nobody ever seeded and a package drew from while it was imported: each kernel has its own.
        """
        found = {name: digest or "" for name, digest in _of_kind(self.outside.content_written, "random").items()}
        now = states() if self.random.seeded else {}
        found = {**{name: now[name] for name in self.random.seeded if name in now}, **found}
        moved = self.random.before.keys() | self.random.seeded | self.random.drawn
        found = {name: digest for name, digest in found.items() if name in moved}  # not those that came with a package
        return {name: found[name] for name in found if name not in run.drawn_by_import or name in self.random.seeds}

    def _environment(self, run: Running, hows: Mapping[str, str]) -> dict[str, str | None]:
        """Environment variables that strings in reach may name, there or not; the seed of hashes where sets matter."""
        found = {HASH_SEED: hash_seed()} if self._uses_sets(run, hows) else {}
        asked = self._asked(run) if run.reach.environment else ()
        return {**found, **{name: self.outside.found_setting(name) for name in asked}}

    def _asked(self, run: Running) -> set[str]:
        values = (self.namespace.get(name) for name in run.reach.reads)
        texts = (*run.facts.strings, *run.behind.strings, *(value for value in values if type(value) is str))
        return {text for text in texts if _IDENTIFIER.fullmatch(text)}

    def _folder(self, code: Code) -> str | None:
        """The working folder where paths depended on it: in full where the code can see it."""
        if _WHERE & code.attributes:
            return os.getcwd()
        return os.path.relpath(os.getcwd(), self.outside.root) if self.files.relative else None

    def _packages(self, run: Running) -> frozenset[str]:
        made = (self.names.entries[name].snapshot.packages for name in self._made(run))
        imported = {name.partition(".")[0] for name in run.facts.imports | run.behind.imports}
        found = run.reach.packages.union(imported, *made) - sys.stdlib_module_names
        return frozenset(name for name in found if name and not self.names.scope.is_local(name))

    def _made(self, run: Running) -> list[str]:
        return [
            made.name
            for made in run.ledger.versions.values()
            if made.kind == "variable" and made.name in self.names.entries
        ]

    def _bound_again(self, run: Running, hows: Mapping[str, str]) -> set[str]:
        """Names that the cell may have bound to the very object to which they referred: no change, and yet a result."""
        return {name for name in run.facts.binds | run.reach.stores if name in run.entries and name not in hows}

    def _also(self, run: Running, inputs: Inputs, hows: Mapping[str, str], again: set[str]) -> dict[str, str | None]:
        """Variables whose objects turned up in what the cell made, beside those its text names.

        And those that it may have bound to what they were: where they are that again, it makes no difference.
        """
        found = (run.unexplained | again) - inputs.variables.keys() - hows.keys()
        return {name: run.entries[name].snapshot.fingerprint for name in sorted(found) if name in run.entries}

    def _drawn_from(self, run: Running) -> list[str]:
        changed = {name for kind, name in self.outside.content_written if kind == "random"}
        drawn = [name for name in sorted(changed | self.random.drawn) if self.random.was_read(name, name in changed)]
        # What a package drew while it was imported matters only where somebody seeded the generator.
        return [name for name in drawn if not (name in run.drawn_by_import and name not in self.random.seeds)]

    # -- what speaks against it --------------------------------------------------------------

    def _values(self, run: Running, inputs: Inputs, hows: Mapping[str, str], shown: bool) -> Iterator[Obstacle]:
        if run.reach.dynamic:
            yield Obstacle("it runs code made at run time (exec, eval, globals)")
        for name in sorted(filter(is_history, {*run.facts.loads, *inputs.variables})):
            yield Obstacle(f"it reads IPython's {name}", "give the value a name")
        for name, digest in inputs.variables.items():
            if digest is None:
                yield _opaque("reads", name, self.namespace.get(name))
            elif run.entries[name].snapshot.fickle:
                yield Obstacle(f"it reads {name}, which {_FICKLE}")
        if inputs.sharing is None and None not in inputs.variables.values():
            yield Obstacle("what its inputs share cannot be told")
        for name, how in hows.items():
            if how != "delete" and not is_history(name):
                yield from self._result(name)
        own = sorted(filter(is_history, hows))
        if shown and own:
            yield Obstacle(f"it binds IPython's {own[0]} and shows a value", "use another name")
        if run.reach.environment and not self._asked(run):
            yield Obstacle("it asks for environment variables by names that are not in its text")

    def _result(self, name: str) -> Iterator[Obstacle]:
        """What speaks against keeping a variable that the cell wrote."""
        entry = self.names.entries.get(name)
        if is_secret(name):
            yield Obstacle(f"it writes {name}, whose name says that it is secret", "write it in a cell of its own")
        elif entry is None or entry.snapshot.opaque:
            yield _opaque("writes", name, self.namespace.get(name))
        elif entry.snapshot.fickle:
            yield Obstacle(f"it writes {name}, which {_FICKLE}")
        elif not issubclass(type(self.namespace.get(name)), _BY_NAME):
            module = self.modules.sharing_with(entry.snapshot)
            if module is not None:
                yield Obstacle(f"it writes {name}, a part of which the local module {module} holds")

    def _text(
        self, run: Running, outcome: Outcome, hows: Mapping[str, str], visible: bool, changed: set[str]
    ) -> Iterator[Obstacle]:
        code = self._code(run)
        yield from obstacles_in_text(code, self.namespace)
        yield from self._reached_out(code)
        yield from self._files(run, code)
        seen = visible or bool(hows or self.outside.content_written)
        settled = self.settings.known() - changed
        yield from dropped_calls(code, outcome.displayed, self.namespace, set(hows), seen, settled, changed)

    def _reached_out(self, code: Code) -> list[Obstacle]:
        found = obstacles_outside(self.files.processes, self.files.outside, self.random.entropy, code)
        return list(found)

    def _files(self, run: Running, code: Code) -> Iterator[Obstacle]:
        read, written = _of_kind(self.outside.content_read, "file"), _of_kind(self.outside.content_written, "file")
        for name, digest in read.items():
            if digest is None:
                yield Obstacle(f"the content of {name}, which it reads, is not known")
        for name, digest in written.items():
            if digest is None and os.path.exists(os.path.join(self.outside.root, name)):
                yield Obstacle(f"the content of {name}, which it writes, is not known")
        if run.native_files is not None:
            if not read and _uses(code.attributes, _NATIVE_READS):
                yield Obstacle("it reads a file that could not be seen", "name the file in the cell")
            if (
                not written
                and _uses(code.attributes, _NATIVE_WRITES)
                and native.reaches(run.reach.packages, code.attributes)
            ):
                yield Obstacle("it may write a file that could not be seen", "name the file in the cell")

    def _loaded_modules(self, run: Running) -> Iterator[Obstacle]:
        """Local modules that the cell loaded: whether it also changed them cannot be told where it could have."""
        code = self._code(run)
        reaching = {"setattr", "delattr", "vars"} & code.names or {"reload", "__dict__"} & code.attributes
        stores = {path.partition(".")[0] for path in run.facts.effects | run.facts.last_effects}
        for name, look in self.modules.looks.items():
            module = loaded(name)
            if look.new and (reaching or stores & run.facts.binds or module is None or not is_fixed(module)):
                yield Obstacle(f"it loads the local module {name}, which can change", "import it in a cell of its own")

    def _process(self, changed: set[str]) -> Iterator[Obstacle]:
        for kind, name in self.outside.content_written:
            if kind == "environment" and name not in self.files.set_by_import:
                what = {environment.CWD: "the working folder", environment.IMPORT_PATH: "sys.path"}
                yield Obstacle(f"it changes {what.get(name, f'the environment variable {name}')}")
            elif kind == "module" and name not in changed:
                yield Obstacle(f"it changes or loads the local module {name} anew", "import it in a cell of its own")
        for name in sorted(changed):
            yield Obstacle(f"it changes settings of {name}", "put that into a cell of its own")
        if self.live.running():
            yield Obstacle("threads or tasks that a cell started are still at work")
        for (kind, name), digest in self.outside.content_written.items():
            if kind == "random" and digest is None:
                yield Obstacle(f"the state of the generator {name} is not known")
        changed_states = {name for kind, name in self.outside.content_written if kind == "random"}
        for name in sorted(changed_states | self.random.drawn):
            drew = self.random.was_read(name, name in changed_states)
            if drew and name not in self.random.seeds and name not in self.random.by_import:
                cure = f"seed it first: {_SEEDING.get(name, '')}"
                yield Obstacle(f"unseeded randomness (the generator of {name})", cure)

    def _hidden(self, packages: frozenset[str]) -> Iterator[Obstacle]:
        for package in sorted(packages):
            if self.setting(package) is None:
                yield Obstacle(f"settings of {package} were changed by a call nobody could see into")
        figures = loaded("matplotlib._pylab_helpers")
        if "matplotlib" in packages and figures is not None and figures.Gcf.figs:
            yield Obstacle("it leaves a figure open", "end the cell with plt.close()")


_BY_NAME = (FunctionType, ModuleType, type)  # found again where they were defined
_FICKLE = "holds a weak reference or a function's cache of results (lru_cache)"
_SEEDING = {
    "random": "random.seed(0)",
    "numpy": "np.random.seed(0), or pass random_state=0",
    "torch.cpu": "torch.manual_seed(0)",
    "torch.cuda": "torch.manual_seed(0)",
}


def _ended(outcome: Outcome) -> Iterator[Obstacle]:
    if outcome.status == "error":
        yield Obstacle(f"it raised {(outcome.error or 'an exception').partition(':')[0]}")
    elif outcome.status == "interrupted":
        yield Obstacle("it was interrupted")


def _of_kind(contents: Mapping[tuple[Any, str], str | None], kind: str) -> dict[str, str | None]:
    return {name: digest for (found, name), digest in contents.items() if found == kind}


def _uses(attributes: frozenset[str], words: tuple[str, ...]) -> bool:
    return any(name.startswith(words) for name in attributes)


def _opaque(does: str, name: str, value: object) -> Obstacle:
    kind = type(value).__qualname__
    cure = "make a list of it" if kind in ("generator", "map", "filter", "zip") else "keep it in a cell of its own"
    return Obstacle(f"it {does} {name}, a live or opaque value ({kind})", cure)
