"""Random object graphs with shared parts, changed through one handle: exactly who can see it looks different."""

from __future__ import annotations

import copy
from collections import OrderedDict, deque
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mlmagic.capture.behind import code_reach
from mlmagic.fingerprint import Scope, Snapshot, snapshot


class Node:
    """Stands for a class of the user's."""


class Slotted:
    __slots__ = ("left", "right")


Node.__module__ = Slotted.__module__ = "__main__"

KINDS = (
    "list",
    "dict",
    "tuple",
    "node",
    "slots",
    "deque",
    "ordered",
    "array",
    "view",
    "bytes",
    "set",
    "objects",
    "cell",
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from([0.0, -0.0, 1.0, 1.5]),
    st.sampled_from(["", "a", "1", b"", b"a"]),
)  # fmt: skip


@st.composite
def recipes(draw: st.DrawFn) -> list[tuple[str, list[Any]]]:
    """How to build some objects, one after another: a kind, and parts that are scalars or numbers of earlier ones."""
    found: list[tuple[str, list[Any]]] = []
    for number in range(draw(st.integers(2, 9))):
        earlier = st.builds(lambda at: ("object", at), st.integers(0, number - 1)) if number else st.nothing()
        part = st.one_of(earlier, earlier, st.tuples(st.just("scalar"), SCALARS)) if number else st.tuples(
            st.just("scalar"), SCALARS
        )  # fmt: skip
        found.append((draw(st.sampled_from(KINDS)), draw(st.lists(part, max_size=40 if draw(st.booleans()) else 3))))
    return found


def build(recipe: list[tuple[str, list[Any]]]) -> list[Any]:
    objects: list[Any] = []
    for kind, parts in recipe:
        values = [objects[value] if what == "object" else value for what, value in parts]
        objects.append(make(kind, values, objects))
    return objects


def make(kind: str, values: list[Any], objects: list[Any]) -> Any:
    if kind in ("node", "slots"):
        node: Any = Node() if kind == "node" else Slotted()
        for name, value in zip(("left", "right"), values, strict=False):
            setattr(node, name, value)
        return node
    if kind == "array":
        return np.arange(4.0)
    if kind == "view":
        return next((found[1:] for found in objects if isinstance(found, np.ndarray) and len(found) > 1), np.zeros(2))
    if kind == "bytes":
        return bytearray(b"abc")
    if kind == "set":
        return {value for value in values if isinstance(value, (int, str))}
    if kind == "objects":
        return {value for value in values if isinstance(value, Node)}
    if kind == "cell":
        return (lambda value: lambda: value)(values)
    made = {"list": list, "tuple": tuple, "deque": deque}.get(kind)
    return made(values) if made else (dict if kind == "dict" else OrderedDict)(enumerate(values))


def content(obj: Any, seen: dict[int, int] | None = None) -> Any:
    """An independent idea of content: nested tuples, with a number where an object is met again."""
    seen = {} if seen is None else seen
    kind = type(obj).__name__
    if obj is None or isinstance(obj, (bool, int, float, str, bytes)):
        return (kind, repr(obj))
    if isinstance(obj, tuple):
        return (kind, *(content(part, seen) for part in obj))
    if id(obj) in seen:
        return ("again", seen[id(obj)])
    seen[id(obj)] = len(seen)
    if isinstance(obj, np.ndarray):
        return (kind, obj.shape, obj.tobytes())
    if isinstance(obj, bytearray):
        return (kind, bytes(obj))
    if isinstance(obj, set):  # told by what each element holds on its own: enough to see a change
        return (kind, *sorted(repr(content(part, dict(seen))) for part in obj))
    return (kind, *(content(part, seen) for part in held(obj)))


def held(obj: Any) -> list[Any]:
    if isinstance(obj, dict):
        return [part for pair in obj.items() for part in pair]
    if isinstance(obj, (Node, Slotted)):
        return [part for name in ("left", "right") if hasattr(obj, name) for part in (name, getattr(obj, name))]
    return [obj.__closure__[0].cell_contents] if callable(obj) else list(obj)


def change(obj: Any, value: Any) -> None:
    if isinstance(obj, (list, deque)):
        obj.append(value)
    elif isinstance(obj, dict):
        obj["new"] = value
    elif isinstance(obj, (Node, Slotted)):
        obj.left = value
    elif isinstance(obj, np.ndarray):
        obj[-1:] += 1
    elif isinstance(obj, bytearray):
        obj += b"!"
    elif isinstance(obj, set):
        obj.add(77)
    elif callable(obj):
        obj.__closure__[0].cell_contents = [value]


def look(obj: Any) -> Snapshot:
    return snapshot(obj, Scope({}, code_reach, lambda name: False))


@settings(max_examples=300)
@given(recipes(), st.data())
def test_exactly_those_who_see_a_change_look_different(
    recipe: list[tuple[str, list[Any]]], data: st.DataObject
) -> None:
    objects = build(recipe)
    before, contents = [look(obj) for obj in objects], [content(obj) for obj in objects]
    target = data.draw(st.integers(0, len(objects) - 1))
    other = data.draw(st.integers(0, len(objects) - 1))  # may close a cycle
    change(objects[target], objects[other] if data.draw(st.booleans()) else "new")
    for obj, was, old in zip(objects, before, contents, strict=True):
        seen = look(obj)
        assert was.fingerprint is not None
        assert (seen.fingerprint != was.fingerprint) == (content(obj) != old)
        if seen.fingerprint != was.fingerprint:
            assert was.overlaps(before[target])
            assert before[target].overlaps(was)


@settings(max_examples=200)
@given(recipes())
def test_digests_are_equal_just_where_contents_are(recipe: list[tuple[str, list[Any]]]) -> None:
    one, two = build(recipe), build(recipe)
    digests = [look(obj).fingerprint for obj in one]
    assert digests == [look(obj).fingerprint for obj in two]
    contents = [repr(content(obj)) for obj in one]
    plain = [number for number in range(len(one)) if "set" not in contents[number]]
    for a in plain:
        for b in plain:
            assert (digests[a] == digests[b]) == (contents[a] == contents[b])


@settings(max_examples=100)
@given(recipes())
def test_a_deep_copy_is_equal_and_shares_nothing_that_can_change(recipe: list[tuple[str, list[Any]]]) -> None:
    if any(kind in ("cell", "view") for kind, _ in recipe):
        return  # functions are copied by reference, views become arrays of their own
    for obj in build(recipe):
        twin = copy.deepcopy(obj)
        mine, its = look(obj), look(twin)
        assert mine.fingerprint == its.fingerprint
        users = {id(Node), id(Slotted), *map(id, vars(Node).values()), *map(id, vars(Slotted).values())}
        assert mine.ids & its.ids <= users
