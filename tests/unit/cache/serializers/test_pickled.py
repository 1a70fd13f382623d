"""A group of values goes through a file and comes back: equal, sharing what it shared, not touching the file."""

from __future__ import annotations

import errno
import functools
import mmap
import textwrap
import types
import warnings
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlmagic.cache.artifacts import ArtifactStore
from mlmagic.cache.serializers import Links, UnstorableError
from mlmagic.cache.serializers.pickled import PickleSerializer
from mlmagic.fingerprint import CodeReach, Scope, fingerprint, snapshot

PICKLE = PickleSerializer()
NOTHING = Links()


def dumped(group: Mapping[str, object], links: Links = NOTHING) -> bytes:
    file = BytesIO()
    PICKLE.dump(group, file, links)
    return file.getvalue()


def loaded(content: bytes, links: Links = NOTHING) -> dict[str, Any]:
    return PICKLE.load(memoryview(bytearray(content)), links)


def trip(group: Mapping[str, object]) -> dict[str, Any]:
    """The group after a round trip; each value and all together have the fingerprints they had."""
    found = loaded(dumped(group))
    assert list(found) == list(group)
    for name in group:
        assert fingerprint(found[name]) == fingerprint(group[name]) is not None, name
    assert fingerprint(tuple(found.values())) == fingerprint(tuple(group.values()))
    return found


class Notebook:
    """Cells of a notebook, and the same variables in another one that loads them."""

    def __init__(self, text: str) -> None:
        self.names: dict[str, Any] = {"__name__": "__main__"}
        exec(compile(textwrap.dedent(text), "<cells>", "exec", dont_inherit=True), self.names)

    def trip(self, names: str, **others: object) -> Any:
        found, space = self.trip_to({"__name__": "__main__", **others}, names)
        return types.SimpleNamespace(**found, space=space)

    def trip_to(self, space: dict[str, Any], names: str) -> tuple[dict[str, Any], dict[str, Any]]:
        group = {name: self.names[name] for name in names.split()}
        found = loaded(dumped(group, Links(self.names)), Links(space))
        for name, value in group.items():
            assert digest(found[name], space) == digest(value, self.names) is not None, name
        return found, space


def digest(value: object, space: dict[str, Any]) -> str | None:
    nothing = CodeReach(frozenset(), frozenset(), False, False)
    return snapshot(value, Scope(space, lambda code: nothing, lambda name: False)).fingerprint


# -- arrays --------------------------------------------------------------------------------------


ARRAYS = {
    "numbers": np.arange(12.0).reshape(3, 4),
    "Fortran order": np.asfortranarray(np.arange(12).reshape(3, 4)),
    "transposed": np.arange(12).reshape(3, 4).T,
    "reversed": np.arange(5)[::-1],
    "strided": np.arange(1000)[::100],
    "no dimension": np.array(3.5),
    "no element": np.empty((0, 3), "f4"),
    "booleans": np.array([True, False]),
    "complex": np.array([1 + 2j]),
    "half": np.ones(3, "f2"),
    "other byte order": np.arange(3, dtype=">i4"),
    "long double": np.ones(3, np.longdouble),
    "text": np.array(["a", "bcd"]),
    "bytes": np.array([b"a", b"bcd"]),
    "times": np.array(["2020-01-01", "NaT"], "M8[D]"),
    "structure": np.array([(1, 2.5)], [("a", "i2"), ("b", "f8")]),
    "aligned structure": np.zeros(2, np.dtype([("a", "i1"), ("b", "f8")], align=True)),
    "repeated": np.broadcast_to(np.arange(3), (4, 3)),
    "objects": np.array([1, "a", None], object),
    "variable text": np.array(["a", "b" * 100], np.dtypes.StringDType()),
    "masked": np.ma.array([1, 2], mask=[0, 1]),
    "records": np.rec.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")]),
    "over bytes": np.frombuffer(b"abcd", np.uint8),
}


@pytest.mark.parametrize("kind", list(ARRAYS))
def test_an_array_of_each_kind_comes_back(kind: str) -> None:
    value: Any = ARRAYS[kind]
    found = trip({"a": value})["a"]
    assert type(found) is type(value)
    assert (found.dtype, found.shape) == (value.dtype, value.shape)
    if type(value) is np.ndarray and value.size > 1:
        assert found.flags.writeable == value.flags.writeable
        assert (found.flags.c_contiguous or found.flags.f_contiguous) >= value.flags.c_contiguous


def test_views_are_views_of_the_same_memory_again() -> None:
    a = np.arange(20.0).reshape(4, 5)
    found = trip({"a": a, "tail": a[2:], "turned": a.T, "back": a[::-1, ::2], "bits": a.view("i8"), "one": a[1, 1:2]})
    for name in ("tail", "turned", "back", "bits", "one"):
        assert np.shares_memory(found["a"], found[name]), name
    found["tail"][0, 0] = 99
    assert found["a"][2, 0] == found["turned"][0, 2] == found["back"][1, 0] == 99


def test_arrays_that_share_nothing_share_nothing_afterwards() -> None:
    whole = np.arange(10)
    found = trip({"a": whole[:5], "b": whole[5:], "c": np.arange(5)})
    found["a"][:] = -1
    assert found["b"].tolist() == [5, 6, 7, 8, 9]
    assert found["c"].tolist() == [0, 1, 2, 3, 4]


def test_halves_of_one_array_keep_their_relation_through_a_third() -> None:
    a = np.arange(10)
    found = trip({"left": a[:6], "right": a[4:]})
    found["left"][5] = 99
    assert found["right"][1] == 99


def test_the_same_array_twice_is_one_array() -> None:
    a = np.arange(3)
    found = trip({"a": a, "list": [a, {"a": a}]})
    assert found["list"][0] is found["a"] is found["list"][1]["a"]


def test_a_small_part_of_a_large_array_is_stored_alone() -> None:
    part = np.zeros((1000, 1000))[:, 5]
    assert len(dumped({"part": part})) < 10_000


def test_only_the_part_in_sight_of_an_array_is_written() -> None:
    secret = np.frombuffer(bytearray(b"secret public secret"), np.uint8)
    assert b"secret" not in dumped({"part": secret[7:13]})


def test_the_same_content_gives_the_same_bytes() -> None:
    def group() -> dict[str, object]:
        a = np.arange(100.0)
        return {"b": np.ones(1000, "f4"), "a": a, "v": a[3:], "df": pd.DataFrame({"x": [1, 2], "y": ["a", "b"]})}

    filler = [np.zeros(1000) for _ in range(3)]
    assert dumped(group()) == dumped(group())
    del filler


def test_an_array_that_another_class_pickles_may_not_share_with_a_plain_one() -> None:
    masked = np.ma.array([1, 2, 3])
    with pytest.raises(UnstorableError, match="`m` and `plain` share memory"):
        dumped({"m": masked, "plain": np.asarray(masked)})


def test_object_arrays_may_not_share() -> None:
    a = np.array([1, "x", None], object)
    with pytest.raises(UnstorableError, match="`a` and `b` share memory"):
        dumped({"a": a, "b": a[1:]})


def test_an_array_over_a_bytearray_may_not_come_with_it() -> None:
    owner = bytearray(8)
    view = np.frombuffer(owner, np.uint8)
    trip({"view": view})
    with pytest.raises(UnstorableError, match="shares"):
        dumped({"owner": owner, "view": view})


# -- the file ------------------------------------------------------------------------------------


@pytest.fixture
def keep(tmp_path: Path) -> Callable[[Mapping[str, object]], Callable[[], dict[str, Any]]]:
    store = ArtifactStore(tmp_path)

    def dump(group: Mapping[str, object]) -> Callable[[], dict[str, Any]]:
        artifact = store.put(lambda file: PICKLE.dump(group, file, NOTHING))
        return lambda: PICKLE.load(ArtifactStore(tmp_path).map(artifact.digest), NOTHING)

    return dump


def test_what_is_done_to_loaded_values_never_reaches_the_file(keep: Any) -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": [1.5, 2.5], "c": ["x", "y"], "d": pd.date_range("2020", periods=2)})
    group = {"a": np.arange(5), "frame": frame, "parts": [bytearray(b"ab"), {"k": np.ones(2)}]}
    load = keep(group)
    found = load()
    found["a"][:] = 0
    found["frame"].iloc[0, 0] = 9
    found["frame"]["b"] += 1
    found["frame"].loc[0, "c"] = "new"
    found["frame"].loc[0, "d"] = pd.Timestamp("1999")
    found["parts"][0][0] = 0
    found["parts"][1]["k"] *= 2
    again = load()
    assert [fingerprint(again[name]) for name in group] == [fingerprint(value) for value in group.values()]


def test_300_megabytes_are_mapped_and_not_copied(keep: Any) -> None:
    big = np.arange(37_500_000, dtype="f8")
    load = keep({"big": big, "frame": pd.DataFrame({"x": big[:1000]})})
    del big
    found = load()
    values = [found["big"], *(block.values for block in found["frame"]._mgr.blocks)]
    for value in values:
        assert isinstance(owner_of(value), mmap.mmap)
    found["big"][0] = -1
    assert load()["big"][0] == 0


def owner_of(value: Any) -> Any:
    while isinstance(value, np.ndarray):
        assert not value.flags.owndata
        value = value.base
    return value


def test_values_keep_the_map_alive(keep: Any) -> None:
    def load_and_let_go() -> Any:
        return keep({"a": np.arange(1000), "b": pd.Series(["x"] * 100)})()

    found = load_and_let_go()
    assert found["a"].sum() == 499_500
    assert found["b"].eq("x").all()


def test_elements_are_aligned_as_they_were() -> None:
    group = {"odd": np.arange(3, dtype="i1"), "a": np.arange(3.0), "c": np.ones(2, np.clongdouble)}
    for value in trip(group).values():
        assert value.flags.aligned


def test_bytes_of_another_version_are_refused() -> None:
    content = dumped({"a": 1})
    with pytest.raises(ValueError, match="not written by this version"):
        loaded(content.replace(b"mlmagicP", b"mlmagicX"))


def test_a_full_disk_is_told_as_such() -> None:
    class Full:
        left = 1000

        def write(self, data: Any) -> int:
            self.left -= memoryview(data).nbytes
            if self.left < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            return memoryview(data).nbytes

    for group in ({"a": np.zeros(1000)}, {"text": "x" * 100_000}):
        with pytest.raises(OSError, match="No space"):
            PICKLE.dump(group, Full(), NOTHING)  # type: ignore[arg-type]


def test_an_os_error_of_the_users_own_is_no_full_disk() -> None:
    class Failing:
        def __reduce__(self) -> Any:
            raise OSError("mine")

    with pytest.raises(UnstorableError, match="OSError: mine"):
        dumped({"x": Failing()})


# -- pandas --------------------------------------------------------------------------------------


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "int": [1, 2],
            "float": [1.5, None],
            "more": [2.5, 3.5],
            "text": ["a", None],
            "object": pd.Series([1, "x"], dtype=object),
            "nullable": pd.array([1, None]),
            "category": pd.Categorical(["a", "b"], ["b", "a"], ordered=True),
            "zone": pd.date_range("2020", periods=2, tz="UTC"),
            "period": pd.period_range("2020", periods=2, freq="M"),
            "interval": pd.interval_range(0, 2),
            "sparse": pd.arrays.SparseArray([0, 1]),
            "arrow": pd.array([1, None], dtype="int64[pyarrow]"),
        }
    )


def with_attrs(value: pd.DataFrame) -> pd.DataFrame:
    value.attrs["unit"] = {"int": "m"}
    return value


@pytest.mark.parametrize(
    "value",
    [
        frame(),
        frame().set_index(["text", "int"]),
        frame().set_index(pd.date_range("2020", periods=2, freq="D", name="day")),
        frame()["category"],
        with_attrs(frame()),
        frame().set_flags(allows_duplicate_labels=False),
        frame().iloc[:0],
        pd.DataFrame(np.arange(6.0).reshape(2, 3), columns=pd.MultiIndex.from_product([["a"], [1, 2, 3]])),
        pd.Index(["b", "a"], name="n"),
        pd.RangeIndex(2, 9, 3),
        pd.Series([1, 2], name=("a", 1)),
    ],
)
def test_a_pandas_object_comes_back(value: Any) -> None:
    found = trip({"x": value})["x"]
    assert getattr(getattr(found, "index", None), "freq", None) == getattr(getattr(value, "index", None), "freq", None)


def test_frames_that_share_memory_by_copy_on_write_do_not_share_writes() -> None:
    df = frame()
    group = {"df": df, "same": df.copy(deep=False), "part": df[["int", "float"]], "column": df["int"], "half": df[1:]}
    found = trip(group)
    for column in range(len(df.columns)):
        if df.columns[column] == "sparse":  # cannot be changed at all
            continue
        found["df"].iloc[1, column] = found["df"].iloc[0, column]
    found["df"].iloc[0, 0] = 99
    for name in ("same", "part", "column", "half"):
        assert fingerprint(found[name]) == fingerprint(group[name]), name


def test_an_index_made_of_a_column_does_not_see_its_writes() -> None:
    column = pd.Series([1, 2, 3])
    labels = pd.Index(column)
    for group in ({"column": column, "labels": labels}, {"labels": labels, "column": column}):
        found = trip(group)
        found["column"].iloc[0] = 99
        assert found["labels"].tolist() == [1, 2, 3]


def test_the_same_frame_twice_is_one_frame() -> None:
    df = frame()
    found = trip({"a": df, "b": [df]})
    assert found["b"][0] is found["a"]


def test_an_array_that_views_a_frame_goes_on_to() -> None:
    df = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    found = trip({"df": df, "y": df["b"].to_numpy(), "all": df.to_numpy()})
    assert not found["y"].flags.writeable
    found["df"].iloc[0, 1] = 99
    assert found["y"][0] == found["all"][0, 1] == 99
    df.iloc[0, 1] = 99  # as pandas has it
    assert fingerprint(found["df"]) == fingerprint(df)


def test_an_array_that_views_two_frames_cannot_be_kept() -> None:
    df = pd.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})
    with pytest.raises(UnstorableError, match="`df` and `other` and `y` share memory"):
        dumped({"df": df, "other": df.copy(deep=False), "y": df["b"].to_numpy()})


# -- PyTorch -------------------------------------------------------------------------------------


def test_tensors_of_each_kind_come_back() -> None:
    torch = pytest.importorskip("torch")
    dtypes = [torch.float32, torch.bfloat16, torch.int8, torch.bool, torch.complex64, torch.float8_e5m2]
    group = {str(dtype): torch.ones(2, 3).to(dtype) for dtype in dtypes}
    group |= {"none": torch.empty(0, 3), "one": torch.tensor(2.5), "turned": torch.arange(6).reshape(2, 3).T}
    group |= {"strided": torch.arange(1000)[::100], "repeated": torch.ones(1).expand(3)}
    found = trip(group)
    assert all(found[name].dtype == value.dtype for name, value in group.items())


def test_tensors_share_storage_as_they_did_also_with_arrays() -> None:
    torch = pytest.importorskip("torch")
    t = torch.arange(10.0)
    found = trip({"t": t, "tail": t[2:], "array": t.numpy(), "bits": t.view(torch.int32)})
    assert found["t"].untyped_storage().data_ptr() == found["tail"].untyped_storage().data_ptr()
    found["tail"][0] = 99
    assert found["t"][2] == found["array"][2] == 99
    found["array"][0] = 7
    assert found["t"][0] == 7


def test_a_model_in_training_comes_back_with_its_optimizer() -> None:
    torch = pytest.importorskip("torch")
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.arange(12.0).reshape(4, 3) ** 2).pow(3).sum().backward()
    optimizer.step()
    found = trip({"model": model, "optimizer": optimizer, "weight": model[0].weight})
    assert found["weight"] is found["model"][0].weight is found["optimizer"].param_groups[0]["params"][0]
    assert found["weight"].requires_grad
    assert torch.equal(found["weight"].grad, model[0].weight.grad)
    found["optimizer"].step()
    assert not torch.equal(found["weight"], model[0].weight)


def test_what_loaded_tensors_go_through_never_reaches_the_file(keep: Any) -> None:
    torch = pytest.importorskip("torch")
    load = keep({"t": torch.ones(1000)})
    load()["t"].mul_(2)
    assert load()["t"].sum() == 1000


def test_an_inference_tensor_goes_on_to_be_one() -> None:
    torch = pytest.importorskip("torch")
    with torch.inference_mode():
        value = torch.ones(2)
    assert loaded(dumped({"t": value}))["t"].is_inference()


def test_tensors_that_are_more_than_their_bytes_are_refused_with_the_reason() -> None:
    torch = pytest.importorskip("torch")
    leaf = torch.ones(2, requires_grad=True)
    hooked = torch.ones(2, requires_grad=True)
    hooked.register_hook(lambda gradient: gradient)
    cases = {
        "computation": leaf * 2,
        "not dense": torch.ones(2).to_sparse(),
        "device meta": torch.ones(2, device="meta"),
        "hooks": hooked,
        "conjugated": torch.ones(2, dtype=torch.complex64).conj(),
        "UntypedStorage": torch.ones(2).untyped_storage(),
    }
    for words, value in cases.items():
        with pytest.raises(UnstorableError, match=words):
            dumped({"t": [value]})


# -- functions and classes -----------------------------------------------------------------------


def test_a_function_runs_on_the_globals_of_the_notebook_that_loads_it() -> None:
    book = Notebook(
        """
        K = 10
        def f(x, y=2, *, z: int = 3) -> int:
            "adds"
            return x + y + z + K
        f.tag = [1]
        """
    )
    found = book.trip("f", K=100)
    assert found.f(1) == 106
    assert found.f.__globals__ is found.space
    assert (found.f.__name__, found.f.__qualname__, found.f.__module__) == ("f", "f", "__main__")
    assert (found.f.__defaults__, found.f.__kwdefaults__) == ((2,), {"z": 3})
    assert (found.f.__doc__, found.f.tag) == ("adds", [1])
    assert found.f.__annotations__ == {"z": int, "return": int}


def test_closures_share_their_cells_and_may_be_recursive() -> None:
    book = Notebook(
        """
        def counter():
            n = 0
            def up():
                nonlocal n
                n += 1
                return n
            return up, lambda: n
        up, now = counter()
        def parity():
            def even(k): return k == 0 or odd(k - 1)
            def odd(k): return k != 0 and even(k - 1)
            return even, odd
        even, odd = parity()
        def unset():
            def f(): return later
            return f
            later = 1
        empty = unset()
        """
    )
    found = book.trip("up now even odd empty")
    assert [found.up(), found.up(), found.now()] == [1, 2, 2]
    assert book.names["now"]() == 0
    assert found.even(10)
    assert not found.odd(10)
    assert found.even.__closure__[0].cell_contents is found.odd
    with pytest.raises(NameError, match="later"):
        found.empty()


def test_classes_come_back_as_new_classes_with_their_instances() -> None:
    book = Notebook(
        """
        import abc, collections, dataclasses, enum, typing
        K = 1
        class Base(abc.ABC):
            count = 0
            @abc.abstractmethod
            def who(self): ...
        class Sub(Base):
            __slots__ = ("q", "__hidden")
            def __init__(self): self.q, self.__hidden = 4, 5
            def who(self): return "sub", super().who(), self.__hidden
            @property
            def p(self): return self.q + K
            @classmethod
            def make(cls): return cls()
        @dataclasses.dataclass
        class Data:
            a: int
            b: list = dataclasses.field(default_factory=list)
        @dataclasses.dataclass(frozen=True, slots=True)
        class Frozen:
            a: int
        class Color(enum.Enum):
            RED = 1
            def twice(self): return self.value * 2
        Pair = collections.namedtuple("Pair", "x y")
        class Typed(typing.NamedTuple):
            a: int
            b: str = "b"
        sub, data, frozen, red, pair, typed = Sub(), Data(1, [2]), Frozen(3), Color.RED, Pair(1, 2), Typed(1)
        method = sub.who
        """
    )
    names = "Base Sub Data Frozen Color Pair Typed sub data frozen red pair typed method"
    found = book.trip(names, K=100)
    assert found.Sub is not book.names["Sub"]
    assert type(found.sub) is found.Sub
    assert found.method() == found.sub.who() == found.Sub.make().who() == ("sub", None, 5)
    assert found.sub.p == 104
    assert found.data == found.Data(1, [2]) != found.Data(1)
    assert found.frozen == found.Frozen(3)
    assert found.red is found.Color.RED
    assert found.red.twice() == 2
    assert (found.pair, found.typed) == (found.Pair(1, 2), found.Typed(1))


def test_a_class_that_still_lives_is_not_set_back_by_loading_an_older_one() -> None:
    book = Notebook("class A:\n    count = 0")
    content = dumped({"A": book.names["A"]}, Links(book.names))
    book.names["A"].count = 5
    found = loaded(content, Links(book.names))["A"]
    assert book.names["A"].count == 5
    assert found.count == 0


def test_things_that_hold_functions_come_back() -> None:
    book = Notebook(
        """
        import collections, functools
        import numpy as np
        def f(a, b=2): return a, b
        lookup = collections.defaultdict(lambda: "none", a="one")
        part = functools.partial(f, 1, b=3)
        cached = functools.lru_cache(maxsize=5)(f)
        ufunc, builtin, np_function = np.add, len, np.mean
        module = np
        settings = {"a": 1}
        keys, items = settings.keys(), settings.items()
        """
    )
    found = book.trip("lookup part cached ufunc builtin np_function module settings keys items")
    assert (found.lookup["b"], found.part()) == ("none", (1, 3))
    assert (found.cached(1), found.cached.cache_parameters()["maxsize"]) == ((1, 2), 5)
    assert found.ufunc is np.add
    assert found.np_function is np.mean
    assert found.module is np
    found.settings["b"] = 2
    assert list(found.keys) == ["a", "b"]
    assert ("b", 2) in found.items


def test_functions_that_were_made_by_exec_share_their_globals_again() -> None:
    book = Notebook("own = {}; exec('def f(): return g()\\ndef g(): return 7', own); f, g = own['f'], own['g']")
    found = book.trip("f g")
    assert found.f() == 7
    assert found.f.__globals__ is found.g.__globals__
    with pytest.raises(UnstorableError, match="shares"):
        dumped({name: book.names[name] for name in ("f", "own")}, Links(book.names))


def test_a_function_of_a_module_comes_back_as_that_function() -> None:
    assert trip({"f": textwrap.dedent, "g": functools.reduce})["f"] is textwrap.dedent


def test_objects_that_are_referred_to_are_not_copied() -> None:
    book = Notebook(
        """
        class A: pass
        kept = [1]
        a = A(); a.kept = kept
        def f(): return kept
        """
    )
    names = book.names
    tokens = {id(names["A"]): "A", id(names["kept"]): "kept"}
    group = {name: names[name] for name in ("a", "f")} | {"everything": names}
    content = dumped(group, Links(names, lambda obj: tokens.get(id(obj))))
    found = loaded(content, Links(names, None, names.__getitem__))
    assert type(found["a"]) is names["A"]
    assert found["a"].kept is names["kept"]
    assert found["everything"] is names
    assert found["f"]() is names["kept"]


# -- other values --------------------------------------------------------------------------------


def test_estimators_and_sparse_matrices_come_back() -> None:
    ensemble = pytest.importorskip("sklearn.ensemble")
    pipeline = pytest.importorskip("sklearn.pipeline")
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    sparse = pytest.importorskip("scipy.sparse")
    X = np.random.default_rng(0).random((100, 3))
    y = (X[:, 0] > 0.5).astype(int)
    forest = ensemble.RandomForestClassifier(3, random_state=0)
    model = pipeline.make_pipeline(preprocessing.StandardScaler(), forest).fit(X, y)
    boosted = ensemble.HistGradientBoostingClassifier(max_iter=2).fit(X, y)
    found = trip({"model": model, "boosted": boosted, "X": X, "eye": sparse.csr_array(np.eye(3))})
    assert (found["model"].predict(found["X"]) == model.predict(X)).all()
    assert found["eye"].sum() == 3


def test_tables_of_other_libraries_come_back() -> None:
    pl, pa = pytest.importorskip("polars"), pytest.importorskip("pyarrow")
    table = pa.table({"a": [1, 2], "b": ["x", None]})
    trip({"frame": pl.DataFrame({"a": [1, None]}), "column": pl.Series(["x"]), "table": table, "again": [table]})


def test_an_array_in_arrows_hands_shares_with_the_plain_one() -> None:
    pa = pytest.importorskip("pyarrow")
    plain = np.arange(1000.0)
    found = trip({"plain": plain, "arrow": pa.array(plain)})
    found["plain"][0] = 99
    assert found["arrow"][0].as_py() == 99


def test_generators_of_random_numbers_come_back() -> None:
    rng, legacy = np.random.default_rng(1), np.random.RandomState(2)
    rng.random(3)
    found = trip({"rng": rng, "legacy": legacy, "shared": [rng]})
    assert found["rng"].random() == rng.random()
    assert found["shared"][0] is found["rng"]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ((number for number in []), "generator"),
        (memoryview(b"x"), "memoryview"),
        (types.ModuleType("made_by_hand"), "module made_by_hand cannot be imported"),
        (__import__("threading").Lock(), "lock"),
    ],
)
def test_what_cannot_be_kept_says_so_in_one_line(value: object, words: str) -> None:
    with pytest.raises(UnstorableError, match=words) as caught:
        dumped({"x": [value]})
    assert "\n" not in str(caught.value)


def test_an_open_file_is_not_turned_into_its_text(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    with (tmp_path / "file").open() as file, pytest.raises(UnstorableError, match="TextIOWrapper"):
        dumped({"file": file})


def test_whatever_the_users_own_pickling_raises_is_a_reason() -> None:
    class Failing:
        def __reduce__(self) -> Any:
            raise ZeroDivisionError("first line\nsecond line")

    with pytest.raises(UnstorableError, match=r"^ZeroDivisionError: first line$"):
        dumped({"x": Failing()})


def test_very_deep_values_are_refused_and_not_fatal() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(UnstorableError, match="recursion"):
        dumped({"deep": deep})


def test_no_warning_comes_of_matrices() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)
        trip({"m": np.matrix([[1, 2]])})


# -- random groups -------------------------------------------------------------------------------

BASES = [np.arange(24.0).reshape(4, 6), np.arange(40, dtype="i2"), np.asfortranarray(np.ones((3, 5), "c8"))]


@st.composite
def groups(draw: st.DrawFn) -> dict[str, Any]:
    """Containers nested in each other, with parts that occur more than once, and views of a few arrays."""
    bases = [base.copy(order="K") for base in BASES]
    pool: list[Any] = [1, "text", 2.5, None, (1, 2), b"raw", bytearray(b"mutable")]
    pool += [view for base in bases for view in draw(st.lists(views(base), max_size=3))]
    for _ in range(draw(st.integers(1, 6))):
        parts = [pool[number] for number in draw(st.lists(st.integers(0, len(pool) - 1), max_size=4))]
        pool.append(draw(st.sampled_from([list, tuple, lambda p: dict(enumerate(p)), make_object]))(parts))
    for value in pool:
        if type(value) is list and draw(st.booleans()):
            value.append(value)  # a cycle
    chosen = draw(st.lists(st.integers(0, len(pool) - 1), min_size=1, max_size=6, unique=True))
    return {f"x{number}": pool[number] for number in chosen}


def make_object(parts: list[Any]) -> Any:
    return types.SimpleNamespace(parts=parts)


@st.composite
def views(draw: st.DrawFn, base: Any) -> Any:
    view = base
    for _ in range(draw(st.integers(0, 3))):
        start, step = draw(st.integers(0, 2)), draw(st.sampled_from([1, 2, -1]))
        view = draw(st.sampled_from([view.T, view[start::step], view[..., ::step], view[:2]]))
    if draw(st.booleans()):
        view = view.view()
        view.flags.writeable = False
    return view


def arrays_in(value: Any, seen: dict[int, Any]) -> list[Any]:
    """Every array inside, in a fixed order."""
    if id(value) in seen:
        return []
    seen[id(value)] = value
    if isinstance(value, np.ndarray):
        return [value]
    if isinstance(value, types.SimpleNamespace):
        return arrays_in(value.parts, seen)
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else []
    return [found for part in parts for found in arrays_in(part, seen)]


@given(groups())
def test_any_group_comes_back_with_what_it_shares(group: dict[str, Any]) -> None:
    found = trip(group)
    before, after = arrays_in(list(group.values()), {}), arrays_in(list(found.values()), {})
    assert [value.shape for value in before] == [value.shape for value in after]
    assert [value.flags.writeable for value in before] == [value.flags.writeable for value in after]
    for one in range(len(before)):
        for other in range(one):
            shared = np.shares_memory(before[one], before[other])
            assert np.shares_memory(after[one], after[other]) == shared
