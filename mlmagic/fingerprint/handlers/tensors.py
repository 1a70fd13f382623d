"""torch: tensors by their storage, graphs by the leaves a backward pass would change."""

from __future__ import annotations

from typing import Any

from mlmagic.fingerprint.handlers.code import is_users
from mlmagic.fingerprint.handlers.instances import instance_dict
from mlmagic.fingerprint.walk import Walk, handles

_GRAPH_LIMIT = 100_000  # nodes of an autograd graph searched for leaves


@handles("torch.Tensor", "torch._tensor.Tensor")
def write_tensor(obj: Any, walk: Walk) -> None:
    walk.packages.add("torch")
    import torch

    walk.changeable(obj)
    plain = obj.detach()
    if plain.layout is not torch.strided or plain.is_quantized or plain.device.type == "meta":
        walk.opaque(obj)
        return
    kind = [type(obj)] if is_users(type(obj).__module__) else []
    walk.token("tensor", type(obj).__qualname__, str(plain.dtype), tuple(plain.shape), obj.requires_grad)
    walk.token(plain.device.type)
    _write_storage(plain, walk)
    leaves = _graph_leaves(obj.grad_fn, walk) if obj.grad_fn is not None else []
    gradient = obj.grad if obj.is_leaf else None
    walk.children([*kind, gradient, instance_dict(obj) or None, *leaves])


def _write_storage(plain: Any, walk: Walk) -> None:
    import torch

    storage = plain.untyped_storage()
    walk.span(storage.data_ptr(), storage.data_ptr() + storage.nbytes())
    if plain.numel():
        dense = plain.resolve_conj().resolve_neg().contiguous()
        flat = dense.to("cpu").reshape(-1).view(torch.uint8)
        walk.memory(flat.numpy(), flat.numel())


def _graph_leaves(root: Any, walk: Walk) -> list[Any]:
    """Tensors whose ``.grad`` a ``backward()`` from here would change: what is reachable, not content."""
    queue, seen, leaves = [root], {root}, []
    while queue:
        node = queue.pop()
        variable = getattr(node, "variable", None)
        if variable is not None:
            leaves.append(variable)
        for following, _ in node.next_functions:
            if following is not None and following not in seen:
                seen.add(following)
                queue.append(following)
        if len(seen) > _GRAPH_LIMIT:
            walk.complete = False
            break
    for leaf in leaves:
        walk.changeable(leaf)
    return []


@handles("torch._C.Generator", "torch.Generator")
def write_torch_generator(obj: Any, walk: Walk) -> None:
    walk.changeable(obj)
    walk.token("torch generator", str(obj.device))
    walk.children([obj.get_state()])


@handles("torch.dtype", "torch.device", "torch.Size", "torch.layout", "torch.memory_format", value=True)
def write_torch_value(obj: Any, walk: Walk) -> None:
    walk.token("torch value", type(obj).__name__, str(obj))
