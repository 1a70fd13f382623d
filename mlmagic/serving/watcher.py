"""The watcher's process: frames of answered batches come in; journal lines, and words for the server, go out.

Started by `mlmagic.serving.watch` as ``python -m mlmagic.serving.watcher``. It ends with its server, also when that
is killed: then its input ends without the server's last word, and the endpoint's end stays unknown.
"""

from __future__ import annotations

import json
import os
import pickle
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, TypeAlias

from mlmagic.bundles.folder import Bundle
from mlmagic.journal.rotating import RotatingJournal
from mlmagic.records import Endpoint
from mlmagic.serving.options import Options
from mlmagic.serving.watch import HEAD
from mlmagic.serving.watch_drift import DriftWatch, drift_watch
from mlmagic.serving.watch_log import Batch, predictions_of
from mlmagic.serving.watch_rules import RuleWatch

Frame: TypeAlias = list[Batch] | float | None
"""Batches; when the endpoint ended; or that there is nothing more to come."""

_TICK = 0.25  # seconds after which it looks at its clocks
_QUEUED = 4  # frames that may wait here; beyond, the server sees that the watcher is behind
_NICE = 10  # scoring comes first


class Watching:
    """Everything that is done with an endpoint's answers, one frame after the other.

    Parameters
    ----------
    options : Options
    bundle : Bundle
    url : str
    pid : int
        Of the server.
    started_at : float
    """

    def __init__(self, options: Options, bundle: Bundle, url: str, pid: int, started_at: float) -> None:
        self._bundle = bundle
        self._endpoint = Endpoint(
            endpoint_id=options.endpoint_id,
            bundle_id=bundle.bundle_id,
            url=url,
            started_at=started_at,
            name=bundle.name,
            pid=pid,
            session_id=options.session_id,
        )
        self._logged = self._taken = 0
        self._log_error: str | None = None
        self._journals = options.journals
        self._journal: RotatingJournal | None = None
        self._write(lambda journal: None)  # which begins with the endpoint's own event
        self._rules = RuleWatch(bundle, options.endpoint_id, trusted=bundle.signed or options.trust)
        self._drift: DriftWatch | None = drift_watch(bundle, options.endpoint_id)

    def take(self, batches: list[Batch]) -> None:
        """Log some batches, and look at them."""
        if self._journals is not None:
            found = predictions_of(self._bundle.schema, batches, self._endpoint.endpoint_id, self._bundle.bundle_id)
            if self._write(lambda journal: journal.predicted(found)):
                self._logged += sum(span[2] for span in found.spans)
        for _, answered in batches:
            self._taken += sum(count for _, _, count in answered.requests)
            self._rules.take(answered)
            if self._drift is not None:
                self._drift.take(answered)

    def look(self, now: float, *, last: bool = False) -> None:
        """Run what is due at a time; `last`: everything that is left."""
        for result in self._rules.look(now, last=last):
            self._write(lambda journal, result=result: journal.checked(result))
        rows = self._drift.look(now, last=last) if self._drift is not None else ()
        if rows:
            self._write(lambda journal: journal.drifted(rows))

    def end(self, at: float | None) -> None:
        """Do what is left; `at`: when the endpoint ended, ``None`` where nobody said so."""
        self.look(time.time(), last=True)
        if at is not None:
            self._write(lambda journal: journal.served(replace(self._endpoint, ended_at=at)))
        if self._journal is not None:
            self._journal.close()

    def word(self) -> Mapping[str, Any]:
        """What there is to tell, as plain values."""
        return {
            "logged": self._logged,
            "seen": self._taken - self._rules.waiting,
            "log_error": self._log_error,
            "assertions": self._rules.told(),
            "not_run": self._rules.not_run,
            "drift": self._drift.told() if self._drift is not None else None,
        }

    def _write(self, event: Any) -> bool:
        """Append an event to the journal, where there is one; a full disk costs the log, not the watching."""
        if self._journals is None:
            return False
        try:
            if self._journal is None:
                self._journal = RotatingJournal(Path(self._journals), self._endpoint)
            self._journal.write(event)
        except OSError as error:
            self._log_error = f"the log cannot be written: {error.strerror or error}"
            return False
        self._log_error = None
        return True


def watching(about: Mapping[str, Any]) -> Watching:
    """Start watching what the server told about."""
    bundle = Bundle(Path(about["path"]), about["manifest"], about["signed"])
    return Watching(Options.from_dict(about["options"]), bundle, about["url"], about["pid"], about["started_at"])


def watch(frames: queue.Queue[Frame], about: Mapping[str, Any], words: IO[str]) -> None:
    """Take frames until the last one, and say after each how things stand."""
    watcher, told, at = watching(about), "", None
    while True:
        frame: Frame = []
        with suppress(queue.Empty):
            frame = frames.get(timeout=_TICK)
        if isinstance(frame, list):
            if frame:
                watcher.take(frame)
            watcher.look(time.time())
        elif frame is None:
            watcher.end(at)
        else:
            at = frame
        told = _say(words, watcher.word(), told)
        if frame is None:
            return


def _say(words: IO[str], word: Mapping[str, Any], told: str) -> str:
    text = json.dumps(word)
    if text != told:
        with suppress(OSError):  # the server was killed; what is here is still written down
            words.write(text + "\n")
            words.flush()
    return text


def _listen(pipe: IO[bytes], frames: queue.Queue[Frame]) -> None:
    """Frames into the queue; where that is full the pipe fills up, and the server sees it."""
    with suppress(EOFError):
        while True:
            frames.put(_received(pipe))
    frames.put(None)


def _received(pipe: IO[bytes]) -> Any:
    head = pipe.read(HEAD.size)
    content = pipe.read(HEAD.unpack(head)[0]) if len(head) == HEAD.size else b""
    if not content:
        raise EOFError
    try:
        return pickle.loads(content)
    except (pickle.UnpicklingError, EOFError):  # cut off: the server was killed while it wrote
        raise EOFError from None


def main() -> None:
    """Watch what comes on standard input; words go to what was standard output, where no rule can print."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(AttributeError, OSError):  # not on Windows
        os.nice(_NICE)
    pipe, words = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "w")
    nowhere = os.open(os.devnull, os.O_RDWR)
    os.dup2(nowhere, 0)
    os.dup2(nowhere, 1)
    try:
        about = _received(pipe)
    except EOFError:
        sys.exit(1)
    frames: queue.Queue[Frame] = queue.Queue(_QUEUED)
    threading.Thread(target=_listen, args=(pipe, frames), daemon=True).start()
    try:
        watch(frames, about, words)
    except Exception as error:  # a defect of ours; the server goes on, and says that nobody watches
        _say(words, {"died": "".join(traceback.format_exception_only(error)).strip().splitlines()[0]}, "")
        sys.exit(1)


if __name__ == "__main__":
    main()
