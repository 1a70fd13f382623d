"""Outputs pass as they are while they are recorded, and are shown again in their order."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any

import pytest

from mlmagic.session.outputs import Outputs


class Stream(io.StringIO):
    """Lets others put a `write` of their own on it, as ipykernel's streams do."""


class Closed:
    """Lets nobody."""

    __slots__ = ()

    def write(self, text: str) -> None:
        pass

    def flush(self) -> None:
        pass


class Publisher:
    def __init__(self) -> None:
        self.seen: list[Any] = []

    def publish(
        self, data: Any, metadata: Any = None, *, transient: Any = None, update: bool = False, **more: Any
    ) -> str:
        self.seen.append(("update" if update else "display", data, metadata, transient or {}))
        print("a publisher that prints")
        return "published"

    def clear_output(self, wait: bool = False) -> None:
        self.seen.append(("clear", wait))


class Hook:
    """IPython's display hook, as far as a result goes through it."""

    def __init__(self) -> None:
        self.seen: list[Any] = []

    def start_displayhook(self) -> None:
        self.seen.append("start")

    def write_output_prompt(self) -> None:
        print("Out[1]:")

    def write_format_data(self, data: Any, metadata: Any = None) -> None:
        self.seen.append((data, metadata))
        print(data["text/plain"])

    def update_user_ns(self, value: Any) -> None:
        self.seen.append(("Out", value))

    def fill_exec_result(self, value: Any) -> None:
        self.seen.append(("result", value))

    def log_output(self, data: Any) -> None:
        pass

    def finish_displayhook(self) -> None:
        self.seen.append("finish")

    def __call__(self, value: Any) -> None:
        self.start_displayhook()
        self.write_output_prompt()
        self.write_format_data({"text/plain": repr(value)}, {})
        self.finish_displayhook()


class Shell:
    def __init__(self) -> None:
        self.display_pub = Publisher()
        self.displayhook = Hook()
        self.out, self.err = Stream(), Stream()


@contextmanager
def streams(shell: Shell) -> Iterator[None]:
    """Printing goes to the shell's streams; pytest has its own between the phases of a test."""
    with redirect_stdout(shell.out), redirect_stderr(shell.err):
        yield


@contextmanager
def recording(shell: Shell) -> Iterator[Outputs]:
    with streams(shell):
        outputs = Outputs(shell)
        outputs.begin()
        yield outputs
        outputs.end()


@pytest.fixture
def shell() -> Shell:
    return Shell()


def test_what_is_printed_passes_and_is_recorded_in_order(shell: Shell) -> None:
    with recording(shell) as outputs:
        print("one", "two")
        print("three", end="", file=sys.stderr)
        print("four")
    assert shell.out.getvalue() == "one two\nfour\n"
    assert outputs.events == [
        {"kind": "stdout", "text": "one two\n"},
        {"kind": "stderr", "text": "three"},
        {"kind": "stdout", "text": "four\n"},
    ]


def test_writing_tells_how_much_was_written(shell: Shell) -> None:
    with recording(shell):
        assert sys.stdout.write("four") == 4


def test_what_is_shown_passes_with_its_id_and_is_recorded(shell: Shell) -> None:
    with recording(shell) as outputs:
        publish = shell.display_pub.publish
        assert publish({"text/plain": "a"}, {"m": 1}, transient={"display_id": "x"}) == "published"
        publish(data={"image/png": b"\x89"}, metadata=None, transient={"display_id": "x"}, update=True)
    assert [seen[0] for seen in shell.display_pub.seen] == ["display", "update"]
    assert [(event["kind"], event["update"], event["transient"]) for event in outputs.events] == [
        ("display", False, {"display_id": "x"}),
        ("display", True, {"display_id": "x"}),
    ]


def test_what_showing_prints_belongs_to_what_is_shown(shell: Shell) -> None:
    with recording(shell) as outputs:
        shell.display_pub.publish({"text/plain": "a"})
        shell.displayhook(5)
    assert "a publisher that prints" in shell.out.getvalue()
    assert [event["kind"] for event in outputs.events] == ["display", "result"]


def test_clearing_is_recorded(shell: Shell) -> None:
    with recording(shell) as outputs:
        shell.display_pub.clear_output(wait=True)
        shell.display_pub.clear_output()
    assert shell.display_pub.seen == [("clear", True), ("clear", False)]
    assert outputs.events == [{"kind": "clear", "wait": True}, {"kind": "clear", "wait": False}]


def test_everything_is_shown_again(shell: Shell) -> None:
    with recording(shell) as outputs:
        print("one")
        shell.display_pub.publish(
            {"text/plain": "a", "image/png": b"\x89\xff", "application/json": {"deep": [1, None, 2.5, True]}},
            {"image/png": {"width": 3}},
            transient={"display_id": "x"},
        )
        shell.display_pub.clear_output(wait=True)
        shell.display_pub.publish({"text/plain": "b"}, {}, transient={"display_id": "x"}, update=True)
        print("two", file=sys.stderr)
        shell.displayhook([5])
    again, value = Shell(), [5]
    with streams(again):
        Outputs(again).replay(tuple(outputs.events), (value,))
    assert again.out.getvalue() == shell.out.getvalue()
    assert again.err.getvalue() == "two\n"
    assert again.display_pub.seen == shell.display_pub.seen
    assert again.displayhook.seen == [
        "start", ({"text/plain": "[5]"}, {}), ("Out", value), ("result", value), "finish"
    ]  # fmt: skip
    assert again.displayhook.seen[2][1] is value


def test_recording_again_begins_with_nothing(shell: Shell) -> None:
    with recording(shell) as outputs:
        print("one")
        outputs.begin()
        print("two")
    assert outputs.events == [{"kind": "stdout", "text": "two\n"}]


def test_afterwards_everything_is_as_it_was(shell: Shell) -> None:
    before = [dict(vars(owner)) for owner in (shell.out, shell.err, shell.display_pub, shell.displayhook)]
    with recording(shell) as outputs:
        outputs.end()
    assert [vars(owner) for owner in (shell.out, shell.err, shell.display_pub, shell.displayhook)] == before


def test_a_wrapper_of_somebody_else_stays(shell: Shell) -> None:
    def theirs(text: str) -> int:
        return 0

    shell.out.write = theirs  # type: ignore[method-assign,assignment]
    with recording(shell):
        assert shell.out.write is not theirs
    assert shell.out.write is theirs


def test_a_print_that_fails_fails_and_is_not_recorded(shell: Shell) -> None:
    shell.out.close()
    with recording(shell) as outputs, pytest.raises(ValueError, match="closed file"):
        print("one")
    assert outputs.events == []


# What cannot be shown again


def test_a_stream_that_lets_nobody_listen_is_a_problem(shell: Shell) -> None:
    shell.out = Closed()  # type: ignore[assignment]
    with recording(shell) as outputs:
        print("unheard")
    assert outputs.problem == "what goes to write of a Closed cannot be recorded"


def test_a_widget_is_a_problem(shell: Shell) -> None:
    with recording(shell) as outputs:
        shell.display_pub.publish({"application/vnd.jupyter.widget-view+json": {"model_id": "m"}, "text/plain": "w"})
        assert outputs.problem == "it shows a widget, which is live"
        outputs.begin()
        assert outputs.problem is None


def test_what_json_cannot_hold_is_a_problem(shell: Shell) -> None:
    with recording(shell) as outputs:
        shell.display_pub.publish({"application/odd": object()})
    assert outputs.problem == "what it shows cannot be kept (object)"
    assert outputs.events == []


def test_an_odd_transient_part_is_a_problem_and_no_exception(shell: Shell) -> None:
    with recording(shell) as outputs:
        shell.display_pub.publish({"text/plain": "a"}, {}, transient={"odd": object()})
    assert "cannot be kept" in (outputs.problem or "")


def test_endless_output_is_a_problem_and_not_remembered(shell: Shell) -> None:
    with recording(shell) as outputs:
        for _ in range(100):
            print("x" * 100_000)
    assert outputs.problem == "its output is larger than 1 MB"
    assert sum(len(event["text"]) for event in outputs.events) < 5_000_000
    assert len(shell.out.getvalue()) == 100 * 100_001


@pytest.mark.parametrize("data", [{"__base64__": "aGk="}, {"part": {"__base64__": "no base64"}}])
def test_json_that_looks_like_our_own_bytes_comes_back_as_it_was(shell: Shell, data: Any) -> None:
    with recording(shell) as outputs:
        shell.display_pub.publish({"application/json": data})
    again = Shell()
    with streams(again):
        Outputs(again).replay(tuple(outputs.events), ())
    assert again.display_pub.seen[0][1] == {"application/json": data}
