"""torch: tensors by their storage, graphs by the leaves a backward pass would change."""

from __future__ import annotations

from typing import Any

from mlmagic.fingerprint.classes import lineage_of, members_of, module_of, qualname_of
from mlmagic.fingerprint.handlers.arrays import write_plain
from mlmagic.fingerprint.handlers.code import is_users
from mlmagic.fingerprint.handlers.instances import instance_dict
from mlmagic.fingerprint.registry import handles
from mlmagic.fingerprint.walk import Walk, fields

_GRAPH_LIMIT = 100_000  # nodes of an autograd graph searched for leaves


@handles("torch.Tensor", "torch._tensor.Tensor")
def write_tensor(obj: Any, walk: Walk) -> None:
    import torch

    walk.packages.add("torch")
    walk.changeable(obj)
    added = (base for base in lineage_of(type(obj)) if not issubclass(torch.Tensor, base))
    if any("__torch_dispatch__" in members_of(base) for base in added):
        walk.opaque(obj)  # its operations are Python code of somebody's
        return
    with torch._C.DisableTorchFunctionSubclass():
        _write_tensor(obj, walk)


def _write_tensor(obj: Any, walk: Walk) -> None:
    import torch

    def get(name: str) -> Any:
        """An attribute as torch defines it, whatever the tensor's own class says."""
        return getattr(torch.Tensor, name).__get__(obj)

    plain = torch.Tensor.detach(obj)
    users = [type(obj)] if is_users(module_of(type(obj))) else []
    gradient = get("grad") if get("is_leaf") or get("retains_grad") else None  # reading it elsewhere warns
    hooks = get("_backward_hooks") or None
    walk.token("tensor", qualname_of(type(obj)), str(plain.dtype), tuple(plain.shape), plain.device.type, len(users))
    walk.token(get("requires_grad"), get("is_leaf"))
    if get("grad_fn") is not None:
        _note_leaves(get("grad_fn"), walk)
    attributes = instance_dict(obj)
    walk.children([*users, gradient, hooks, fields(attributes), *_content(plain, obj, walk)])


def _content(plain: Any, obj: Any, walk: Walk) -> list[Any]:
    """Write a dense tensor's bytes, or name the parts of a sparse one."""
    import torch

    if plain.device.type == "meta" or plain.is_quantized:
        walk.opaque(obj)
    elif plain.layout is torch.strided:
        _write_storage(plain, walk)
    elif plain.layout is torch.sparse_coo:
        walk.token("coo", plain.is_coalesced())
        return [plain._indices(), plain._values()]
    elif plain.layout is torch.sparse_csr:
        walk.token("csr")
        return [plain.crow_indices(), plain.col_indices(), plain.values()]
    else:
        walk.opaque(obj)
    return []


def _write_storage(plain: Any, walk: Walk) -> None:
    storage = plain.untyped_storage()
    walk.span(storage.data_ptr(), storage.data_ptr() + storage.nbytes(), plain=True)
    dense = plain.resolve_conj().resolve_neg().cpu()
    write_plain(dense.view(_integer(dense)).numpy(), walk)


def _integer(plain: Any) -> Any:
    """A dtype of the same width that NumPy has too: it knows neither bfloat16 nor the 8-bit floats."""
    import torch

    widths = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    return widths.get(plain.element_size(), plain.dtype)


def _note_leaves(root: Any, walk: Walk) -> None:
    """Tensors whose ``.grad`` a ``backward()`` from here would change: what is reachable, not content."""
    queue, seen = [root], {root}
    while queue:
        node = queue.pop()
        variable = getattr(node, "variable", None)
        if variable is not None:
            walk.changeable(variable)
        for following, _ in node.next_functions:
            if following is not None and following not in seen:
                seen.add(following)
                queue.append(following)
        if len(seen) > _GRAPH_LIMIT:
            walk.complete = False
            return


@handles("torch._C.Generator", "torch.Generator")
def write_torch_generator(obj: Any, walk: Walk) -> None:
    walk.packages.add("torch")
    walk.changeable(obj)
    walk.token("torch generator", str(obj.device))
    walk.copied(obj.get_state())


@handles("torch.dtype", "torch.device", "torch.Size", "torch.layout", "torch.memory_format", value=True)
def write_torch_value(obj: Any, walk: Walk) -> None:
    walk.packages.add("torch")
    walk.token("torch value", type(obj).__name__, str(obj))
