"""Shells: another object of the same kind with the very same parts, so that content travels without its identity."""

from __future__ import annotations

import collections
import random
from typing import Any

import numpy as np
import pytest

from mlmagic.cache.inplace import become
from mlmagic.cache.serializers import UnstorableError
from mlmagic.cache.shells import shell
from mlmagic.fingerprint import fingerprint

PART = [1]


class Plain:
    def __init__(self) -> None:
        self.part = PART


class Slotted:
    __slots__ = ("part", "unset")

    def __init__(self) -> None:
        self.part = PART


class Rows(list):  # type: ignore[type-arg]
    def append(self, value: object) -> None:
        raise AssertionError("nothing of the user's class is called")

    __init__ = append  # type: ignore[assignment]


def rows() -> Rows:
    made = Rows.__new__(Rows)
    list.extend(made, [PART, 2])
    made.note = PART  # type: ignore[attr-defined]
    return made


def values() -> list[Any]:
    return [
        [PART, 2],
        {"k": PART},
        {1, 2},
        bytearray(b"abc"),
        collections.deque([PART, 2], 5),
        collections.OrderedDict(b=PART, a=1),
        collections.Counter("aab"),
        collections.defaultdict(list, {"k": PART}),
        random.Random(3),
        np.arange(3.0),
        np.random.default_rng(3),
        np.random.RandomState(3),
        Plain(),
        Slotted(),
        rows(),
    ]


@pytest.mark.parametrize("obj", values(), ids=lambda obj: type(obj).__name__)
def test_a_shell_is_another_object_with_the_same_content(obj: Any) -> None:
    made = shell(obj)
    assert made is not obj
    assert type(made) is type(obj)
    assert fingerprint(made) == fingerprint(obj)


@pytest.mark.parametrize("obj", values(), ids=lambda obj: type(obj).__name__)
def test_the_content_of_a_shell_goes_back_into_an_object(obj: Any) -> None:
    expected = fingerprint(obj)
    become(obj, shell(obj))
    assert fingerprint(obj) == expected


def test_parts_are_the_same_objects() -> None:
    assert shell([PART])[0] is PART
    assert shell({"k": PART})["k"] is PART
    assert shell(Plain()).part is PART
    assert shell(Slotted()).part is PART
    assert shell(rows()).note is PART
    assert not hasattr(shell(Slotted()), "unset")


def test_a_container_of_a_shell_is_its_own() -> None:
    rows_ = [1]
    shell(rows_).append(2)
    assert rows_ == [1]
    assert shell(collections.deque([1], 5)).maxlen == 5
    assert shell(collections.defaultdict(list)).default_factory is list


def test_an_array_shares_its_memory_with_its_shell() -> None:
    array = np.zeros(3)
    assert np.shares_memory(shell(array), array)


def test_frames_and_series_have_shells() -> None:
    pd = pytest.importorskip("pandas")
    frame, series = pd.DataFrame({"a": [1, 2]}), pd.Series([1, 2], name="s")
    for obj in (frame, series):
        made = shell(obj)
        assert made is not obj
        assert fingerprint(made) == fingerprint(obj)


def test_tensors_and_parameters_have_shells() -> None:
    torch = pytest.importorskip("torch")
    tensor, parameter = torch.ones(2, requires_grad=True), torch.nn.Parameter(torch.ones(2), requires_grad=False)
    tensor.grad = torch.zeros(2)
    for obj in (tensor, parameter):
        made = shell(obj)
        assert made is not obj
        assert (type(made), made.requires_grad, made.is_leaf) == (type(obj), obj.requires_grad, True)
        assert fingerprint(made) == fingerprint(obj)
    assert shell(tensor).grad is tensor.grad
    with pytest.raises(UnstorableError, match="result of others"):
        shell(tensor * 2)


@pytest.mark.parametrize("obj", [1, (1,), "text", len, int, object(), iter([1])], ids=lambda obj: type(obj).__name__)
def test_what_holds_its_content_out_of_sight_has_none(obj: Any) -> None:
    with pytest.raises(UnstorableError, match="in place, whose content cannot be set from outside"):
        shell(obj)
