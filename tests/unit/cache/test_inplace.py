"""An object becomes another and stays the same object: all kinds that can, what cannot, and whose code does not run."""

from __future__ import annotations

import collections
import copy
import dataclasses
import random
from typing import Any

import numpy as np
import pytest

from mlmagic.cache.inplace import become, obstacle
from mlmagic.fingerprint import fingerprint


def check(old: Any, new: Any) -> None:
    """`old` becomes an equal of `new`, for those who knew it before too."""
    known_by = [old]
    expected, kind = fingerprint(copy.deepcopy(new)), type(old)
    assert fingerprint(old) != expected
    assert obstacle(old, new) is None
    become(old, new)
    assert fingerprint(known_by[0]) == expected
    assert type(old) is kind


# -- containers ----------------------------------------------------------------------------------


class Rows(list):  # type: ignore[type-arg]
    pass


class Table(dict):  # type: ignore[type-arg]
    pass


def with_attribute(value: Any, **attributes: Any) -> Any:
    vars(value).update(attributes)
    return value


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ([1, 2], [3]),
        ([1], []),
        ({"a": 1}, {"b": 2, "c": 3}),
        ({1}, {2, 3}),
        (bytearray(b"ab"), bytearray(b"cde")),
        (collections.deque([1], 3), collections.deque([2, 3], 3)),
        (collections.OrderedDict(a=1, b=2), collections.OrderedDict(b=2, a=1)),
        (collections.defaultdict(list, a=[1]), collections.defaultdict(set, b={1})),
        (collections.Counter("aab"), collections.Counter("c")),
        (with_attribute(Rows([1]), tag=1), with_attribute(Rows([1]), tag=2)),
        (with_attribute(Table(a=1), tag=1), with_attribute(Table(b=1), other=2)),
        (random.Random(1), random.Random(2)),
    ],
)
def test_a_container_becomes_another(old: Any, new: Any) -> None:
    check(old, new)


def test_a_dict_takes_over_the_order_of_its_keys() -> None:
    old = {"a": 1, "b": 2}
    become(old, {"b": 2, "a": 1})
    assert list(old) == ["b", "a"]


def test_what_a_list_held_by_itself_stays_the_same_object() -> None:
    inner = [1]
    old: list[Any] = []
    become(old, [inner])
    assert old[0] is inner


def test_random_goes_on_as_the_other_would_have() -> None:
    old, new = random.Random(1), random.Random(2)
    new.gauss(0, 1)  # keeps a second number for the next call
    expected = copy.deepcopy(new)
    become(old, new)
    assert [old.gauss(0, 1), old.random()] == [expected.gauss(0, 1), expected.random()]


# -- instances -----------------------------------------------------------------------------------


class Plain:
    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)


class Slotted:
    __slots__ = ("a", "b")


class SlottedMore(Slotted):
    __slots__ = ("__dict__", "c")


@dataclasses.dataclass(frozen=True)
class Point:
    x: int
    y: int


class Hostile:
    """Every way of noticing raises."""

    def __init__(self, value: int) -> None:
        self.__dict__["value"] = value

    def refuse(self, *args: Any) -> Any:
        raise AssertionError("the user's code ran")

    __eq__ = __hash__ = __repr__ = __setattr__ = __delattr__ = __getattr__ = __copy__ = __reduce_ex__ = refuse  # type: ignore[assignment]


def test_an_instance_gets_the_attributes_of_the_other_in_the_same_dict() -> None:
    old, new = Plain(a=1, b=2), Plain(b=3, c=[4])
    attributes = vars(old)
    become(old, new)
    assert vars(old) is attributes
    assert attributes == {"b": 3, "c": [4]}


def test_slots_are_set_and_unset() -> None:
    old, new = SlottedMore(), SlottedMore()
    old.a, old.b = 1, 2
    new.b, new.c, new.d = 3, 4, 5  # type: ignore[attr-defined]
    become(old, new)
    assert not hasattr(old, "a")
    assert (old.b, old.c, old.d) == (3, 4, 5)  # type: ignore[attr-defined]


def test_a_frozen_dataclass_becomes_another() -> None:
    check(Point(1, 2), Point(3, 4))


def test_no_code_of_the_users_class_runs() -> None:
    old, new = Hostile(1), Hostile(2)
    assert obstacle(old, new) is None
    become(old, new)
    assert vars(old) == {"value": 2}


def test_no_code_of_keys_that_are_compared_runs() -> None:
    class Key:
        def __eq__(self, other: object) -> bool:
            raise AssertionError("the user's code ran")

        def __hash__(self) -> int:
            return 7

    one, other = Key(), Key.__new__(Key)
    for old, new in (({one: 1}, {other: 2}), ({one}, {other})):
        become(old, new)
        assert next(iter(old)) is other


def test_an_estimator_becomes_a_fitted_one() -> None:
    linear = pytest.importorskip("sklearn.linear_model")
    fitted = linear.LinearRegression().fit([[1.0], [2.0]], [2.0, 4.0])
    model = linear.LinearRegression()
    check(model, fitted)
    assert model.predict([[3.0]])[0] == pytest.approx(6)


# -- NumPy ---------------------------------------------------------------------------------------


def test_an_array_changes_in_place_so_that_views_see_it() -> None:
    old = np.zeros((2, 3))
    row = old[1]
    become(old, np.ones((2, 3)))
    assert row.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (np.zeros(2), np.zeros(3), "shape"),
        (np.zeros(2), np.zeros(2, "f4"), "dtype"),
        (np.broadcast_to(0.0, (2,)), np.ones(2), "read-only"),
        (np.ma.array([1]), np.ma.array([2]), "MaskedArray cannot be changed"),
    ],
)
def test_an_array_that_cannot_become_another_says_why(old: Any, new: Any, words: str) -> None:
    assert words in (obstacle(old, new) or "")


def test_a_generator_goes_on_as_the_other_would_have() -> None:
    old, new = np.random.default_rng(1), np.random.default_rng(1)
    new.random(5)
    new.spawn(2)
    expected = copy.deepcopy(new)
    become(old, new)
    assert old.random() == expected.random()
    assert old.spawn(1)[0].random() == expected.spawn(1)[0].random()


def test_a_generator_keeps_seed_and_kind() -> None:
    assert "seed" in (obstacle(np.random.default_rng(1), np.random.default_rng(2)) or "")
    other = np.random.Generator(np.random.MT19937(1))
    assert "kind of bits" in (obstacle(np.random.default_rng(1), other) or "")


def test_a_legacy_generator_goes_on_as_the_other_would_have() -> None:
    old, new = np.random.RandomState(1), np.random.RandomState(2)
    new.standard_normal()
    expected = copy.deepcopy(new)
    become(old, new)
    assert old.standard_normal(3).tolist() == expected.standard_normal(3).tolist()


def test_a_bit_generator_goes_on_as_the_other_would_have() -> None:
    old, new = np.random.PCG64(1), np.random.PCG64(1)
    new.advance(10)
    become(old, new)
    assert old.random_raw() == np.random.PCG64(1).advance(10).random_raw()


# -- pandas --------------------------------------------------------------------------------------


def test_a_frame_becomes_another_with_its_attrs_and_flags() -> None:
    pd = pytest.importorskip("pandas")
    old = pd.DataFrame({"a": [1, 2]})
    new = pd.DataFrame({"b": [1.5], "c": ["x"]}, index=pd.Index(["k"], name="i"))
    new.attrs["unit"] = "m"
    new.flags.allows_duplicate_labels = False
    attrs, flags = old.attrs, old.flags
    check(old, new)
    assert old.attrs is attrs
    assert old.flags is flags
    assert old.columns.tolist() == ["b", "c"]
    with pytest.raises(pd.errors.DuplicateLabelError):
        old.rename(columns={"c": "b"})


def test_a_frame_that_became_another_can_be_changed_alone() -> None:
    pd = pytest.importorskip("pandas")
    old, other = pd.DataFrame({"a": [1, 2]}), pd.DataFrame({"a": [1, 2]})
    column = old["a"]
    become(old, pd.DataFrame({"a": [3, 4]}))
    old.iloc[0, 0] = 9
    old["b"] = old["a"] + 1
    assert old.to_dict("list") == {"a": [9, 4], "b": [10, 5]}
    assert column.tolist() == other["a"].tolist() == [1, 2]


def test_a_series_becomes_another_with_its_name() -> None:
    pd = pytest.importorskip("pandas")
    old = pd.Series([1], name="a")
    check(old, pd.Series([2, 3], name="b", index=["x", "y"]))
    assert old.name == "b"


# -- PyTorch -------------------------------------------------------------------------------------


def test_a_tensor_changes_in_place_with_its_gradient() -> None:
    torch = pytest.importorskip("torch")
    old, new = torch.zeros(3, requires_grad=True), torch.ones(3, requires_grad=True)
    view = old.detach()[1:]
    (new * 2).sum().backward()
    become(old, new)
    assert view.tolist() == [1, 1]
    assert old.grad.tolist() == [2, 2, 2]
    assert old.is_leaf


def test_a_parameter_stays_the_one_that_its_optimizer_knows() -> None:
    torch = pytest.importorskip("torch")
    layer, other = torch.nn.Linear(2, 1), torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(layer.parameters())
    become(layer.weight, other.weight)
    assert optimizer.param_groups[0]["params"][0] is layer.weight
    assert torch.equal(layer.weight, other.weight)


def test_a_module_becomes_another() -> None:
    torch = pytest.importorskip("torch")
    check(torch.nn.Linear(2, 1), torch.nn.Linear(2, 1).eval())


def test_a_tensor_that_cannot_become_another_says_why() -> None:
    torch = pytest.importorskip("torch")
    leaf = torch.ones(2, requires_grad=True)
    assert "shape (2,)" in (obstacle(torch.ones(2), torch.ones(3)) or "")
    assert "dtype" in (obstacle(torch.ones(2), torch.ones(2, dtype=torch.int8)) or "")
    assert "computation" in (obstacle(leaf * 1, torch.ones(2)) or "")
    assert "share memory" in (obstacle(torch.ones(1).expand(2), torch.ones(2)) or "")


# -- what cannot ---------------------------------------------------------------------------------


class Hidden:
    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]
        return {}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ([1], (1,), "a list cannot become a tuple"),
        ([1], Rows([1]), "a list cannot become a Rows"),
        ((1,), (2,), "a tuple cannot be changed in place"),
        (1, 2, "a int cannot be changed in place"),
        (len, print, "cannot be changed in place"),
        (lambda: 1, lambda: 2, "a function cannot be changed in place"),
        (Plain, Point, "a type cannot be changed in place"),
        (np, random, "a module cannot be changed in place"),
        (ValueError(1), ValueError(2), "cannot be changed in place"),
        (collections.deque([1], 2), collections.deque([1], 3), "maxlen"),
        (Hidden(), Hidden(), "hides the dict"),
    ],
)
def test_what_cannot_become_another_says_why_and_stays(old: Any, new: Any, words: str) -> None:
    before = fingerprint(old)
    assert words in (obstacle(old, new) or "")
    with pytest.raises(TypeError, match=r"."):
        become(old, new)
    assert fingerprint(old) == before


def test_a_bytearray_that_is_viewed_keeps_its_size() -> None:
    old = bytearray(b"ab")
    with memoryview(old) as view:
        assert "size" in (obstacle(old, bytearray(b"abc")) or "")
        become(old, bytearray(b"xy"))
        assert bytes(view) == b"xy"


def test_an_object_is_itself_already() -> None:
    value = (1, 2)
    assert obstacle(value, value) is None
    become(value, value)
