"""What crosses from one room to the next: frozen rows, named as the store's public tables name them.

Every record here is written to the journal as JSON and read back by the store, so fields are plain
values: strings, numbers, booleans, ``None``, tuples and dicts of these.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["variable", "file", "random", "module", "environment"]
ReadHow = Literal["name", "closure", "dynamic"]
WriteHow = Literal["bind", "mutate", "delete"]
Status = Literal["ok", "error", "interrupted", "reused"]

BEFORE = "before"  # the name of the execution that adopts what was alive before the extension

_serial = itertools.count()


def new_id() -> str:
    """A fresh opaque id; ids made later sort later, also across processes of one machine."""
    return f"{time.time_ns():016x}{next(_serial) & 0xFFFF:04x}{os.urandom(4).hex()}"


@dataclass(frozen=True, slots=True)
class Session:
    """One kernel or script from the loading of the extension to its end."""

    session_id: str
    started_at: float  # seconds since the epoch, UTC
    ended_at: float | None
    notebook: str | None
    host: str
    python: str
    git_commit: str | None
    git_dirty: bool | None
    environment: Mapping[str, str]  # package name -> version


@dataclass(frozen=True, slots=True)
class Execution:
    """One cell sent by the front end (or one tracked block of a script)."""

    execution_id: str
    session_id: str
    cell_id: str
    execution_count: int | None
    name: str | None
    source: str
    source_hash: str
    started_at: float  # seconds since the epoch, UTC
    seconds: float
    cpu_seconds: float
    peak_bytes: int | None  # highest resident size of the process when the cell ended
    status: Status
    reused_from: str | None = None
    error: str | None = None  # "TypeError: ..." in one line
    error_line: int | None = None  # line of `source` whose statement raised, from 1
    tags: Mapping[str, str] = field(default_factory=dict)
    write_lines: tuple[int, ...] = ()  # lines of `source` (from 1) that opened files for writing
    tracking_seconds: float = 0.0  # what recording this execution cost
    code: str | None = None  # Python that leaves the same behind, where `source` is a command of ours that does


@dataclass(frozen=True, slots=True)
class Version:
    """The state of a name at the end of an execution that changed it."""

    version_id: str
    kind: Kind
    name: str
    execution_id: str | None  # None: came from outside the project's notebooks (an input file)
    fingerprint: str | None  # None: unknown, opaque or deleted; equal to nothing
    type: str | None = None
    shape: str | None = None
    nbytes: int | None = None
    preview: str | None = None
    artifact: str | None = None  # path below .mlmagic/artifacts


@dataclass(frozen=True, slots=True)
class Read:
    """An execution could load this version before binding the name itself."""

    execution_id: str
    version_id: str
    how: ReadHow


@dataclass(frozen=True, slots=True)
class Write:
    """An execution left this version behind."""

    execution_id: str
    version_id: str
    how: WriteHow


@dataclass(frozen=True, slots=True)
class Measure:
    """A parameter or a metric of an execution: a number in `value`, anything else in `text`."""

    execution_id: str
    name: str
    value: float | None = None
    text: str | None = None
    trial_id: str | None = None
    step: int | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything one execution left behind: the unit the journal writes and the store ingests."""

    execution: Execution
    versions: tuple[Version, ...] = ()
    reads: tuple[Read, ...] = ()
    writes: tuple[Write, ...] = ()
    params: tuple[Measure, ...] = ()
    metrics: tuple[Measure, ...] = ()


@dataclass(frozen=True, slots=True)
class Amendment:
    """Versions that an execution turned out to have written after it was recorded; replaces by id."""

    versions: tuple[Version, ...]
    writes: tuple[Write, ...]


@dataclass(frozen=True, slots=True)
class Reuse:
    """What the cache made of one execution.

    Attributes
    ----------
    decision : str
        ``reused``; ``kept``: it ran and can be reused; ``not kept``: it ran and cannot, or that would not pay.
    missed : str or None
        Why it was not reused: what changed, from what to what. ``None``: its code never ran before, or it was reused.
    unkept : str or None
        Why it was not kept.
    seconds : float
        What computing it takes: now, or in the run whose results were reused.
    saved, keep_seconds, load_seconds : float
        Seconds saved, spent on keeping, spent on loading.
    nbytes : int
        Of the values kept.
    """

    execution_id: str
    decision: Literal["reused", "kept", "not kept"]
    missed: str | None = None
    unkept: str | None = None
    seconds: float = 0.0
    saved: float = 0.0
    keep_seconds: float = 0.0
    load_seconds: float = 0.0
    nbytes: int = 0


@dataclass(frozen=True, slots=True)
class Sweep:
    """One search over the values of a cell's parameters.

    Attributes
    ----------
    execution_id : str or None
        The cell that ran it; ``None`` outside notebooks.
    space : mapping
        Parameter -> its range, as `mlmagic.tuning.space.Parameter.to_dict` tells it; grows as trials meet parameters.
    objective, direction
        Name of the metric; ``maximize`` or ``minimize``.
    status : str
        ``running``, ``finished``, ``stopped`` (by `%sweeps stop`), ``interrupted`` or ``failed``.
    options : mapping
        What it was started with: sampler, pruner, seed, trials, seconds, workers, devices.
    source : str
        The cell as typed.
    code_hash : str
        Digest of the body without its ranges.
    inputs : mapping
        Variable that the body could read -> fingerprint.
    plan : sequence of mapping
        One for each statement: `line`, `text`, `shared` (it ran once for all trials), `reason` (why not), `seconds`.
    """

    sweep_id: str
    execution_id: str | None
    name: str
    space: Mapping[str, Any]
    objective: str
    direction: Literal["maximize", "minimize"]
    status: str
    started_at: float  # seconds since the epoch, UTC
    seconds: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    code_hash: str = ""
    inputs: Mapping[str, str | None] = field(default_factory=dict)
    plan: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Trial:
    """One run of a sweep's body.

    Attributes
    ----------
    params : mapping
        Parameter -> number, or the label of the choice.
    status : str
        ``running``, ``complete``, ``pruned``, ``failed`` or ``interrupted``.
    value : float or None
        Of the objective; of a pruned trial, the last one it reported.
    worker, device
        Slot it ran in, from 0; ``cpu`` or ``cuda:1``.
    seed : int
        What the random generators were seeded with before it.
    error : str or None
        Why it failed, in one line.
    output : str
        The end of what it printed.
    artifact : str or None
        Digest of the file that holds its variables, where they are kept.
    kept_from : str or None
        The trial of an earlier sweep whose result this is.
    """

    trial_id: str
    sweep_id: str
    number: int
    params: Mapping[str, Any]
    status: Literal["running", "complete", "pruned", "failed", "interrupted"]
    started_at: float
    value: float | None = None
    seconds: float | None = None
    worker: int | None = None
    device: str | None = None
    seed: int | None = None
    error: str | None = None
    output: str = ""
    artifact: str | None = None
    kept_from: str | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One statistic of a model on data, with its interval.

    Attributes
    ----------
    evaluation_id : str
        The same for all statistics of one `%evaluate`.
    model, data, target : str
        As the user named them.
    model_version, data_version, target_version : str or None
        Versions of the variables behind these names; ``None`` where there is no such variable.
    kind : str
        ``binary``, ``multiclass`` or ``regression``.
    part : str
        ``test``, or ``train`` where that was asked for beside it.
    by, group : str or None
        Column and value of the rows it is about; ``None``: all rows.
    low, high : float or None
        95 % bootstrap interval.
    """

    evaluation_id: str
    at: float  # seconds since the epoch, UTC
    execution_id: str | None
    model: str
    data: str
    target: str
    model_version: str | None
    data_version: str | None
    target_version: str | None
    kind: str
    part: str
    rows: int
    metric: str
    value: float | None
    low: float | None = None
    high: float | None = None
    by: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Assertion:
    """A rule that a model's answers have to keep; defined again under its name, a new one.

    Attributes
    ----------
    model : str or None
        Name of the model that it belongs to; ``None``: any.
    model_version : str or None
        Version of that model when the rule was defined.
    source : str
        The function's text.
    imports, constants
        What the rule needs besides: modules it uses, and plain values of the notebook by name.
    portable : bool
        It can travel in a bundle; `obstacle` says why not.
    action : str
        ``monitor``, ``correct``, ``label`` or ``stop``.
    """

    assertion_id: str
    name: str
    model: str | None
    model_version: str | None
    source: str
    action: Literal["monitor", "correct", "label", "stop"]
    created_at: float
    execution_id: str | None = None
    imports: tuple[str, ...] = ()
    constants: Mapping[str, Any] = field(default_factory=dict)
    portable: bool = True
    obstacle: str | None = None


@dataclass(frozen=True, slots=True)
class AssertionResult:
    """What a rule said of some rows.

    Attributes
    ----------
    rows, fired : int
        Rows looked at; rows with a severity above 0.
    severity_max : float or None
    worst : sequence of mapping
        The worst rows: `row`, `severity`, `inputs`, `output`.
    error : str or None
        Why the rule gave no answer, in one line; then `fired` is 0 and `severity_max` ``None``.
    """

    assertion_id: str
    at: float
    model_version: str | None
    data_version: str | None
    endpoint_id: str | None
    rows: int
    fired: int
    severity_max: float | None
    worst: tuple[Mapping[str, Any], ...] = ()
    name: str = ""
    execution_id: str | None = None
    seconds: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Drift:
    """One statistic of one column, between a reference and current data.

    Attributes
    ----------
    drift_id : str
        The same for all rows of one comparison.
    reference, current : str
        As the user named them.
    column_name : str or None
        ``None``: all columns jointly.
    method : str
        ``psi``, ``ks``, ``wasserstein``, ``jensen_shannon``, ``chi_square``, ``nulls``, ``new_categories``, ``range``
        or ``domain_classifier``.
    statistic, threshold : float or None
        The effect, and from where on it counts.
    p_value, q_value : float or None
        Chance of such a statistic without drift; the same, corrected for the columns looked at.
    drifted : bool or None
        The verdict of this method; ``None``: it could not be asked.
    """

    drift_id: str
    at: float
    reference: str
    current: str
    column_name: str | None
    method: str
    statistic: float | None
    p_value: float | None
    threshold: float | None
    drifted: bool | None
    q_value: float | None = None
    reference_version: str | None = None
    current_version: str | None = None
    execution_id: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Bundle:
    """A model that left the notebook, as a folder.

    Attributes
    ----------
    path : str
        The folder of this version.
    model : str
        As the user named it.
    model_version : str or None
        Version of the variable that was exported.
    parity : mapping
        How close its answers are to the model's; see `mlmagic.bundles.parity`.
    version : str
        The first twelve letters of the hash of what it answers with.
    """

    bundle_id: str
    name: str
    path: str
    model_version: str | None
    created_at: float  # seconds since the epoch, UTC
    parity: Mapping[str, Any]
    model: str = ""
    version: str = ""
    execution_id: str | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server of a bundle, from its start to its end.

    Attributes
    ----------
    session_id : str or None
        The kernel that started it; ``None``: the command line.
    """

    endpoint_id: str
    bundle_id: str
    url: str
    started_at: float  # seconds since the epoch, UTC
    ended_at: float | None = None
    name: str = ""
    pid: int | None = None
    session_id: str | None = None


@dataclass(frozen=True, slots=True)
class Prediction:
    """One scored row.

    Attributes
    ----------
    row : int
        Within its request, from 0.
    inputs, outputs : mapping
        Column -> value; output -> value.
    seconds : float
        What scoring its batch took.
    feedback : str or None
        What turned out to be true, once somebody told.
    """

    endpoint_id: str
    bundle_id: str
    request_id: str
    row: int
    at: float  # seconds since the epoch, UTC
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]
    seconds: float
    batch_size: int
    feedback: str | None = None


@dataclass(frozen=True, slots=True)
class Predictions:
    """Rows that an endpoint scored, by column: how `Prediction` travels.

    Attributes
    ----------
    spans : tuple of (str, int, int, float, float, int)
        For rows that follow one another: id of their request, number of the first within it, how many, and `at`,
        `seconds` and `batch_size` of `Prediction`.
    inputs, outputs : mapping
        Column -> values; output -> values, the rows in the order of `spans`.
    """

    endpoint_id: str
    bundle_id: str
    spans: tuple[tuple[str, int, int, float, float, int], ...]
    inputs: Mapping[str, Sequence[Any]]
    outputs: Mapping[str, Sequence[Any]]


@dataclass(frozen=True, slots=True)
class History:
    """Rows of one or more sessions, as the graph room walks them. Order: by id, hence by time."""

    executions: tuple[Execution, ...]
    versions: tuple[Version, ...]
    reads: tuple[Read, ...]
    writes: tuple[Write, ...]


def as_json(record: Any) -> dict[str, Any]:
    """The record as a dict of plain values (no deep copy of strings or numbers)."""
    return {name: getattr(record, name) for name in record.__slots__}
