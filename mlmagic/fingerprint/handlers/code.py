"""Functions, classes, modules: told by their code where the user wrote them, by name where a package did."""

from __future__ import annotations

import functools
import sys
import types
from typing import Any

from xxhash import xxh3_128

from mlmagic._optional import loaded
from mlmagic.fingerprint.classes import bases_of, members_of, module_of, qualname_of
from mlmagic.fingerprint.registry import handles
from mlmagic.fingerprint.walk import Parts, Walk, fields

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
    home = obj.__globals__.get("__name__")
    in_namespace = obj.__globals__ is walk.scope.namespace or is_users(home)
    local = isinstance(home, str) and walk.scope.is_local(home)
    if not in_namespace and not local and _found_by_name(obj, home):
        _by_name(obj, home, walk)
        return
    walk.changeable(obj)
    walk.changeable(obj.__dict__)
    if local:
        walk.modules.add(str(home))
    if in_namespace:
        walk.code(obj.__code__)
    walk.token("function", obj.__name__, code_digest(obj.__code__))
    walk.children([obj.__defaults__, obj.__kwdefaults__, obj.__closure__, _annotations(obj), _attributes(obj)])


def _found_by_name(obj: types.FunctionType, home: object) -> bool:
    """A package's module-level function: the package's version vouches for it."""
    if "<locals>" in obj.__code__.co_qualname or obj.__code__.co_name == "<lambda>":
        return False
    return isinstance(home, str) and home in sys.modules


def _by_name(obj: types.FunctionType, home: object, walk: Walk) -> None:
    walk.packages.add(str(home).partition(".")[0])
    walk.token("named", str(home), obj.__code__.co_qualname)
    walk.children([obj.__dict__.get("__wrapped__"), obj.__closure__])


def _annotations(obj: types.FunctionType) -> Any:
    """From Python 3.14 on, computing them runs the user's code; what computes them stands for them."""
    return getattr(obj, "__annotate__", None) if sys.version_info >= (3, 14) else obj.__annotations__


def _attributes(obj: Any) -> Parts:
    """Documentation and what was set on the function; its own dict has an order that means nothing."""
    attributes = vars(obj)
    return Parts([obj.__doc__, fields({name: attributes[name] for name in sorted(attributes)})])


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
    names = (code.co_name, code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    head = repr((signature, names, len(code.co_code), len(code.co_consts)))
    digest.update(head.encode("utf-8", "surrogatepass"))
    digest.update(code.co_code)
    digest.update(getattr(code, "co_exceptiontable", b""))
    for constant in code.co_consts:
        digest.update(_constant(constant))


def _constant(constant: Any) -> bytes:
    """One constant, in full: equal only for equal type and value, whatever the order of a set."""
    kind = type(constant).__name__
    if isinstance(constant, types.CodeType):
        content = code_digest(constant)
    elif isinstance(constant, tuple):
        content = repr(list(map(_constant, constant)))
    elif isinstance(constant, frozenset):
        content = repr(sorted(map(_constant, constant)))
    elif type(constant) is int:
        content = hex(constant)  # the decimal form of a very long one is refused
    else:
        content = repr(constant)
    return f"{kind}:{content};".encode("utf-8", "surrogatepass")


@handles(types.CodeType, value=True)
def write_code(obj: types.CodeType, walk: Walk) -> None:
    walk.code(obj)
    walk.token("code", code_digest(obj))


@handles(types.MethodType, value=True)
def write_method(obj: types.MethodType, walk: Walk) -> None:
    """Made anew at each access, so equal ones are told alike; a variable that holds one may be held by others, too."""
    walk.held(obj)
    walk.token("method")
    walk.children([obj.__func__, *_bound_to(obj.__self__, walk)])


@handles(types.BuiltinFunctionType, value=True)
def write_builtin(obj: types.BuiltinFunctionType, walk: Walk) -> None:
    owner = obj.__self__
    bound = [] if owner is None or issubclass(type(owner), types.ModuleType) else [owner]
    if bound:
        walk.held(obj)
    walk.token("builtin", obj.__module__, obj.__name__, len(bound))
    walk.children([part for owner in bound for part in _bound_to(owner, walk)])


# Behind the functions of these modules stands one generator each, whose state is a version of its own.
_GENERATORS = (("random", "_inst"), ("numpy.random.mtrand", "_rand"))


def _bound_to(owner: Any, walk: Walk) -> list[Any]:
    """What a method is bound to, as content: nothing where it is a global generator (`from random import shuffle`)."""
    for module, name in _GENERATORS:
        home = loaded(module)
        if home is not None and vars(home).get(name) is owner:
            walk.packages.add(module.partition(".")[0])
            walk.token("global generator", module)
            return []
    return [owner]


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


@handles(types.MethodWrapperType, value=True)
def write_method_wrapper(obj: Any, walk: Walk) -> None:
    walk.token("method-wrapper", obj.__name__)
    walk.children([obj.__self__])


@handles(staticmethod, classmethod)
def write_wrapper(obj: Any, walk: Walk) -> None:
    walk.changeable(obj)
    walk.token(type(obj).__name__)
    walk.children([obj.__func__])


@handles(property)
def write_property(obj: property, walk: Walk) -> None:
    walk.changeable(obj)
    walk.token("property")
    walk.children([obj.fget, obj.fset, obj.fdel])


@handles("functools.cached_property")
def write_cached_property(obj: functools.cached_property[Any], walk: Walk) -> None:
    """By its function: before Python 3.12 it also holds a lock."""
    walk.changeable(obj)
    attributes = vars(obj)
    walk.token("cached property", attributes.get("attrname"))
    walk.children([attributes.get("func"), attributes.get("__doc__")])


@handles("functools.partial")
def write_partial(obj: functools.partial[Any], walk: Walk) -> None:
    walk.changeable(obj)
    own = functools.partial.__dict__
    attributes = own["__dict__"].__get__(obj)
    walk.changeable(attributes)
    walk.token("partial")
    parts = [own[name].__get__(obj) for name in ("func", "args", "keywords")]
    walk.children([type(obj), *parts, fields(attributes)])


@handles("functools._lru_cache_wrapper")
def write_cached(obj: Any, walk: Walk) -> None:
    """What the cache holds follows from the function: only the function is content."""
    walk.changeable(obj)
    walk.fickle = True
    walk.token("lru_cache")
    walk.children([obj.__wrapped__, _attributes(obj)])


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
    module = module_of(obj)
    if is_users(module):
        _write_users_class(obj, walk)
        return
    walk.token("class", qualname_of(obj), module)
    if walk.scope.is_local(module):
        walk.modules.add(module)
    elif module != "builtins":
        walk.packages.add(module.partition(".")[0])


def _write_users_class(obj: type, walk: Walk) -> None:
    walk.changeable(obj)
    members = members_of(obj)
    names = sorted(name for name in members if name not in _CLASS_NOISE)
    walk.token("users class", qualname_of(obj), names, len(bases_of(obj)))
    walk.children([type(obj), *bases_of(obj), *(members[name] for name in names)])
