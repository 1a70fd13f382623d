"""Functions, classes, modules: told by their code where the user wrote them, by name where a package did."""

from __future__ import annotations

import functools
import sys
import types
from typing import Any

from xxhash import xxh3_128

from mlmagic.fingerprint.walk import Walk, handles

# Names in a class that Python or the act of looking puts there; none is the user's content.
_CLASS_NOISE = frozenset(
    "__dict__ __weakref__ __module__ __qualname__ __slotnames__ __firstlineno__ __static_attributes__ "
    "_abc_impl __abstractmethods__ __annotate__ __annotations_cache__ __annotate_func__".split()
)


def is_users(module: str | None) -> bool:
    """Whether code of this module was written in the notebook or script itself."""
    return module == "__main__"


@handles(types.FunctionType)
def write_function(obj: types.FunctionType, walk: Walk) -> None:
    walk.changeable(obj)
    home = obj.__globals__.get("__name__")
    in_namespace = obj.__globals__ is walk.scope.namespace or is_users(home)
    local = isinstance(home, str) and walk.scope.is_local(home)
    if not in_namespace and not local and _found_by_name(obj, home):
        _by_name(obj, home, walk)
        return
    if local:
        walk.modules.add(str(home))
    if in_namespace:
        walk.code(obj.__code__)
    walk.token("function", obj.__name__, code_digest(obj.__code__))
    walk.children([obj.__defaults__, obj.__kwdefaults__, *_cells(obj), _attributes(obj)])


def _found_by_name(obj: types.FunctionType, home: object) -> bool:
    """A package's module-level function: the package's version vouches for it."""
    if "<locals>" in obj.__code__.co_qualname or obj.__code__.co_name == "<lambda>":
        return False
    return isinstance(home, str) and home in sys.modules


def _by_name(obj: types.FunctionType, home: object, walk: Walk) -> None:
    walk.packages.add(str(home).partition(".")[0])
    walk.ids.discard(id(obj))
    walk.token("named", str(home), obj.__code__.co_qualname)
    wrapped = getattr(obj, "__wrapped__", None)
    walk.children([*_cells(obj)] if wrapped is None else [wrapped, *_cells(obj)])


def _cells(obj: types.FunctionType) -> list[Any]:
    contents: list[Any] = []
    for cell in obj.__closure__ or ():
        try:
            contents.append(cell.cell_contents)
        except ValueError:  # not bound yet
            contents.append("<empty cell>")
    return contents


def _attributes(obj: types.FunctionType) -> dict[str, Any] | None:
    return dict(sorted(obj.__dict__.items())) or None


@functools.lru_cache(maxsize=10_000)
def _cached_digest(key: _CodeKey) -> str:
    digest = xxh3_128()
    _update(digest, key.code)
    return str(digest.hexdigest())


class _CodeKey:
    """A code object by identity: comparing code by value costs more than hashing it."""

    __slots__ = ("code",)

    def __init__(self, code: types.CodeType) -> None:
        self.code = code

    def __hash__(self) -> int:
        return id(self.code)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _CodeKey) and other.code is self.code


def code_digest(code: types.CodeType) -> str:
    """Digest of what code does: not of where it stands (file, line numbers)."""
    return _cached_digest(_CodeKey(code))


def _update(digest: Any, code: types.CodeType) -> None:
    signature = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    digest.update(repr((signature, names)).encode("utf-8", "surrogatepass"))
    digest.update(code.co_code)
    digest.update(getattr(code, "co_exceptiontable", b""))
    for constant in code.co_consts:
        _update_constant(digest, constant)


def _update_constant(digest: Any, constant: Any) -> None:
    if isinstance(constant, types.CodeType):
        _update(digest, constant)
    elif isinstance(constant, (tuple, frozenset)):
        digest.update(f"{type(constant).__name__}{len(constant)}".encode())
        parts = constant if isinstance(constant, tuple) else sorted(constant, key=repr)
        for part in parts:
            _update_constant(digest, part)
    else:
        digest.update(f"{type(constant).__name__}:{constant!r};".encode("utf-8", "surrogatepass"))


@handles(types.CodeType, value=True)
def write_code(obj: types.CodeType, walk: Walk) -> None:
    walk.code(obj)
    walk.token("code", code_digest(obj))


@handles(types.MethodType)
def write_method(obj: types.MethodType, walk: Walk) -> None:
    walk.token("method")
    walk.children([obj.__func__, obj.__self__])


@handles(types.BuiltinFunctionType)
def write_builtin(obj: types.BuiltinFunctionType, walk: Walk) -> None:
    owner = obj.__self__
    walk.token("builtin", obj.__module__, obj.__qualname__)
    if owner is not None and not isinstance(owner, types.ModuleType):
        walk.children([owner])


@handles(
    types.WrapperDescriptorType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
    "numpy.ufunc",
    value=True,
)
def write_named(obj: Any, walk: Walk) -> None:
    walk.token("named", type(obj).__name__, getattr(obj, "__qualname__", None) or obj.__name__)


@handles(types.MethodWrapperType)
def write_method_wrapper(obj: Any, walk: Walk) -> None:
    walk.token("method-wrapper", obj.__name__)
    walk.children([obj.__self__])


@handles(staticmethod, classmethod)
def write_wrapper(obj: Any, walk: Walk) -> None:
    walk.token(type(obj).__name__)
    walk.children([obj.__func__])


@handles(property)
def write_property(obj: property, walk: Walk) -> None:
    walk.token("property")
    walk.children([obj.fget, obj.fset, obj.fdel])


@handles("functools.partial")
def write_partial(obj: functools.partial[Any], walk: Walk) -> None:
    walk.changeable(obj)
    walk.token("partial")
    walk.children([obj.func, obj.args, obj.keywords])


@handles("functools._lru_cache_wrapper")
def write_cached(obj: Any, walk: Walk) -> None:
    """What the cache holds follows from the function: only the function is content."""
    walk.token("lru_cache")
    walk.children([obj.__wrapped__])


@handles(types.ModuleType)
def write_module(obj: types.ModuleType, walk: Walk) -> None:
    name = str(vars(obj).get("__name__"))
    walk.token("module", name)
    if walk.scope.is_local(name):
        walk.modules.add(name)
    else:
        walk.packages.add(name.partition(".")[0])


@handles(type)
def write_class(obj: type, walk: Walk) -> None:
    module = obj.__module__
    walk.token("class", obj.__qualname__)
    if not is_users(module):
        walk.token("of", module)
        if walk.scope.is_local(module):
            walk.modules.add(module)
        elif module != "builtins":
            walk.packages.add(module.partition(".")[0])
        return
    walk.changeable(obj)
    members = {name: value for name, value in vars(obj).items() if name not in _CLASS_NOISE}
    walk.token(sorted(members))
    walk.children([type(obj), *obj.__bases__, *(members[name] for name in sorted(members))])

