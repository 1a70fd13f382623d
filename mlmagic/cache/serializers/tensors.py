"""PyTorch's tensors for the pickle: a tensor in, its piece of memory out, and tensors over such memory again."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from mlmagic._optional import loaded
from mlmagic.cache.serializers.base import UnstorableError
from mlmagic.cache.serializers.memory import PLAIN, Piece, Row
from mlmagic.fingerprint.classes import lineage_of, qualname_of


def is_tensor_class(cls: type) -> bool:
    """Whether instances are tensors, or what tensors lie in."""
    torch = loaded("torch")
    if torch is None:
        return False
    return any(base in (torch.Tensor, torch.UntypedStorage, torch.TypedStorage) for base in lineage_of(cls))


def is_generator_class(cls: type) -> bool:
    """Whether instances are torch's random generators."""
    torch = loaded("torch")
    return torch is not None and torch.Generator in lineage_of(cls)


def reduce_generator(generator: Any) -> Any:
    """The process's own generator is found again; any other is more than the state that Python sees."""
    if generator is loaded("torch").default_generator:  # type: ignore[union-attr]
        return _default_generator, ()
    raise UnstorableError("it holds a random generator of torch")


def _default_generator() -> Any:
    import torch

    return torch.default_generator


def check_tensor(tensor: Any) -> None:
    """Raise `UnstorableError` for anything but a dense tensor in main memory without a computation behind it."""
    if (reason := obstacle(tensor)) is not None:
        raise UnstorableError(f"it holds a tensor that cannot be kept: {reason}")


def obstacle(tensor: Any) -> str | None:
    """Why a tensor is more than its bytes, in words; ``None`` where it is not."""
    torch: Any = loaded("torch")
    if type(tensor) not in (torch.Tensor, torch.nn.Parameter):
        return f"its class is {qualname_of(type(tensor))}"
    if tensor.device.type != "cpu":
        return f"it is on the device {tensor.device.type}"
    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.is_nested:
        return "it is not dense"
    if tensor.grad_fn is not None:
        return "it knows the computation it came from (detach() forgets it)"
    if tensor.is_conj() or tensor.is_neg():
        return "it is a conjugated or negated view"
    names, hooks = getattr(tensor, "names", ()), getattr(tensor, "_post_accumulate_grad_hooks", None)
    if any(names) or hooks or tensor._backward_hooks:
        return "it has hooks or named dimensions"
    return None


def piece_of(tensor: Any) -> Piece:
    """The memory of a tensor that is not empty."""
    low = tensor.data_ptr()
    reach = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    high = low + (reach + 1) * tensor.element_size()
    gaps = high - low > tensor.numel() * tensor.element_size()
    packed = (lambda: piece_of(tensor.contiguous())) if gaps else None
    return Piece(low, high, low, tuple(tensor.stride()), PLAIN, tensor, packed)


def recipe_of(tensor: Any) -> tuple[Any, ...]:
    """What tells a tensor apart from others over the same memory."""
    torch: Any = loaded("torch")
    kind = str(tensor.dtype).removeprefix("torch.")
    flags = (type(tensor) is torch.nn.Parameter, tensor.requires_grad, tensor.is_inference())
    return (kind, tuple(tensor.shape), *flags)


def rest_of(tensor: Any) -> tuple[Any, dict[str, Any]] | None:
    """Gradient and attributes, where there are any."""
    return (tensor.grad, tensor.__dict__) if tensor.grad is not None or tensor.__dict__ else None


def fill_tensor(tensor: Any, rest: tuple[Any, dict[str, Any]]) -> None:
    """Give a new tensor its gradient and attributes."""
    tensor.grad, attributes = rest
    tensor.__dict__.update(attributes)


class Storages:
    """Tensors over one segment get one storage, as they had before."""

    def __init__(self, buffer: memoryview) -> None:
        self._buffer = buffer
        self._storages: dict[tuple[int, int], Any] = {}

    def tensor(
        self, row: Row | None, kind: str, shape: tuple[int, ...], parameter: bool, requires_grad: bool, inference: bool
    ) -> Any:
        """A tensor over the piece that a row tells of; ``None`` stands for no elements."""
        import torch

        dtype = getattr(torch, kind)
        with torch.inference_mode() if inference else nullcontext():
            found = torch.empty(shape if row is None else 0, dtype=dtype)
            if row is not None:
                place, strides, start, end = row
                # Counted in elements, so a storage has to start a whole number of them before the tensor.
                start += (place - start) % dtype.itemsize
                found.set_(self._storage(start, end), (place - start) // dtype.itemsize, shape, strides)
            if parameter:
                return torch.nn.Parameter(found, requires_grad=requires_grad)
            return found.requires_grad_(requires_grad) if requires_grad else found

    def _storage(self, start: int, end: int) -> Any:
        import torch

        if (start, end) not in self._storages:
            whole = torch.frombuffer(self._buffer[start:end], dtype=torch.uint8)
            self._storages[start, end] = whole.untyped_storage()
        return self._storages[start, end]
