"""A bundle, opened and ready to answer: the bundle's files come in, the routes of its endpoint go out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from time import time
from typing import Any, Protocol

from mlmagic import __version__
from mlmagic.bundles.folder import MODEL, TIMING, Bundle, open_bundle
from mlmagic.bundles.scorer import Scorer
from mlmagic.config import key_path
from mlmagic.serving.answered import Answered
from mlmagic.serving.assembly import Assembler
from mlmagic.serving.batching import Loop, Queue
from mlmagic.serving.heads import Handler, Head, Route
from mlmagic.serving.intake import Intake
from mlmagic.serving.limits import Limits
from mlmagic.serving.metadata import schema_of_v1, tensors_of_v2
from mlmagic.serving.metrics import Metrics, prometheus
from mlmagic.serving.options import Options
from mlmagic.serving.pace import pace_of
from mlmagic.serving.packages import orjson
from mlmagic.serving.requests import Request
from mlmagic.serving.scoring import Worker
from mlmagic.serving.v1 import Predict
from mlmagic.serving.v2 import Infer
from mlmagic.serving.writer import Writer
from mlmagic.signing import user_key


class Watcher(Protocol):
    """What is told of each batch, off the way of the answers; see `mlmagic.serving.watch`."""

    def tell(self, answered: Answered) -> None: ...
    def status(self) -> Mapping[str, Any]: ...
    def close(self, timeout: float) -> None: ...


def opened(options: Options) -> Bundle:
    """The bundle that is to be served, each of its files checked.

    Raises
    ------
    MlmagicError
        It is none, or was changed after its export.
    """
    path = key_path()
    bundle = open_bundle(Path(options.bundle), user_key(path) if path.exists() else None)  # never makes a key
    bundle.check()
    return bundle


class Endpoint:
    """A bundle behind routes.

    Attributes
    ----------
    watcher : Watcher or None
        Nobody watches where there is none.
    """

    def __init__(self, options: Options, bundle: Bundle, limits: Limits, loop: Loop) -> None:
        self.options, self.bundle = options, bundle
        self.watcher: Watcher | None = None
        schema = bundle.schema
        scorer = Scorer(bundle.read(MODEL), schema, options.threads)
        pace = pace_of(bundle.json(TIMING) if bundle.has(TIMING) else None, scorer, options.slo_ms)
        self.metrics, self.worker = Metrics(), Worker(scorer)
        self.queue = Queue(loop, Assembler(schema), self.worker, Writer(schema), pace, self.metrics, options.queue_rows)
        self._intake = Intake(self.queue, limits, options.deadline_ms / 1000)
        self._most, self._started = pace.most, time()
        self._about = self._facts(schema_of_v1(schema))
        self._tensors = tensors_of_v2(schema)
        self._dumps = orjson().dumps

    def watch(self, watcher: Watcher | None) -> None:
        """Have somebody told of each batch."""
        self.watcher = watcher
        self.queue.tell = None if watcher is None else watcher.tell

    # Routes

    def routes(self) -> dict[str, Route]:
        """Path -> who answers there. A model is known by its name and version only: no path is made of either."""
        bundle = self.bundle
        infer = Route({b"POST": Infer(bundle.schema, self._intake, bundle.name, bundle.version)})
        predict = Predict(bundle.schema, self._intake, bundle.name, bundle.version)
        found = {
            "/v2": _reading(self._server),
            "/v2/health/live": _reading(_says({"live": True}), open_=True),
            "/v2/health/ready": _reading(_says({"ready": True}), open_=True),
            f"/v1/models/{bundle.name}": _reading(self._status),
            f"/v1/models/{bundle.name}:predict": Route({b"POST": predict}),
            "/metrics": _reading(self._metrics),
        }
        for model in (f"/v2/models/{bundle.name}", f"/v2/models/{bundle.name}/versions/{bundle.version}"):
            found[model] = _reading(self._model)
            found[f"{model}/ready"] = _reading(_says({"name": bundle.name, "ready": True}))
            found[f"{model}/infer"] = infer
        return found

    def missing(self, path: str) -> str:
        """What to say about a path that does not exist."""
        bundle = self.bundle
        if path.startswith(("/v1/models/", "/v2/models/")):
            return f"no such model, version or question here; there is model {bundle.name}, version {bundle.version}"
        return f"no such path; the model is asked by POST /v1/models/{bundle.name}:predict"

    def _server(self, request: Request, body: bytes, head: Head) -> None:
        about = {"name": "mlmagic", "version": __version__, "extensions": ["binary_tensor_data"]}
        request.tell(self._dumps(about))

    def _model(self, request: Request, body: bytes, head: Head) -> None:
        bundle = self.bundle
        about = {"name": bundle.name, "versions": [bundle.version], "platform": "onnxruntime_onnx", **self._tensors}
        request.tell(self._dumps(about))

    def _status(self, request: Request, body: bytes, head: Head) -> None:
        request.tell(self._dumps({**self._about, "status": self.status()}, default=_plain))

    def _metrics(self, request: Request, body: bytes, head: Head) -> None:
        watched = {} if self.watcher is None else self.watcher.status()
        gauges = {"queue_rows": self.queue.rows, **watched_gauges(watched)}
        text = prometheus(self.metrics, gauges, watched_rules(watched))
        request.tell(text, b"text/plain; version=0.0.4; charset=utf-8")

    # What is told of it

    def status(self) -> dict[str, Any]:
        """How it does: counts since the start, times of the last seconds, and what the watcher saw."""
        return {
            **self.metrics.total(),
            **self.metrics.present(),
            "queue_rows": self.queue.rows,
            "largest_batch": self._most,
            "uptime_seconds": round(time() - self._started, 1),
            "watched": None if self.watcher is None else self.watcher.status(),
        }

    def _facts(self, schema: dict[str, Any]) -> dict[str, Any]:
        bundle, told = self.bundle, ("created_at", "model", "model_version", "framework", "model_type")
        return {
            "name": bundle.name,
            "version": bundle.version,
            "bundle_id": bundle.manifest.get("bundle_id"),
            "endpoint_id": self.options.endpoint_id,
            **{fact: bundle.manifest.get(fact) for fact in told},
            "signed": bundle.signed,
            **schema,
        }


def _reading(handle: Handler, open_: bool = False) -> Route:
    return Route({b"GET": handle}, open_)


def _says(about: Mapping[str, Any]) -> Handler:
    text: bytes = orjson().dumps(about)
    return lambda request, body, head: request.tell(text)


def watched_gauges(watched: Mapping[str, Any]) -> dict[str, float]:
    """What a watcher's status says in single numbers."""
    found = {f"{name}_rows": float(watched[name]) for name in ("logged", "unlogged") if name in watched}
    if "assertions" in watched:
        found["assertions_firing"] = float(sum(1 for rule in watched["assertions"] if rule.get("fired")))
    drift = watched.get("drift") or {}
    if "drifted" in drift:
        found["drifted_columns"] = float(len(drift["drifted"]))
    return found


def watched_rules(watched: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Rows on which each of the bundle's rules fired."""
    fired = {str(rule["name"]): float(rule.get("fired") or 0) for rule in watched.get("assertions", ())}
    return {"assertion_fired_rows:assertion": fired} if fired else {}


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(type(value).__name__)
