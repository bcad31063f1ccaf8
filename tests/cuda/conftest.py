"""A CUDA device on a machine without one: tensors that know their device, type and shape, and hold nothing.

Every operation is checked as a GPU's would be: tensors of two devices, of types that do not go together, on their way
to numpy without `.cpu()` or in bfloat16, and generators of another device raise. What would be read off a tensor is
answered with constants, so that the program goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from unittest import mock

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    DynamicOutputShapeException,
    FakeTensor,
    FakeTensorMode,
)
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

aten = torch.ops.aten
FREE_BYTES, ALL_BYTES, PEAK_BYTES = 120 * 2**30, 140 * 2**30, 7 * 2**20
PRODUCTS = frozenset({"addmm", "baddbmm", "bmm", "linear", "matmul", "mm"})


class CudaWithoutGpu:
    """`with machine:` there is a device "cuda", and whatever is made there or goes there is fake.

    seen: (kind, device, type) of every attention, convolution and matrix product.
    halved: shapes of the weights of every convolution in bfloat16.
    """

    def __init__(self) -> None:
        self.seen: set[tuple[str, str, torch.dtype]] = set()
        self.halved: set[torch.Size] = set()
        self._stack = ExitStack()

    def __enter__(self) -> CudaWithoutGpu:
        for place, name, value in (
            (FakeTensorMode, "avoid_device_init", True),
            (torch.cuda, "is_available", lambda: True),
            (torch.cuda, "device_count", lambda: 1),
            (torch.cuda, "is_bf16_supported", lambda *_: True),
            (torch.cuda, "mem_get_info", lambda *_: (FREE_BYTES, ALL_BYTES)),
            (torch.cuda, "max_memory_allocated", lambda *_: PEAK_BYTES),
            (torch.cuda, "reset_peak_memory_stats", lambda *_: None),
            (torch.cuda, "synchronize", lambda *_: None),
            (torch.cuda, "empty_cache", lambda: None),
            (torch.cuda.amp.common, "amp_definitely_not_available", lambda: False),
            (torch.nn.Module, "_apply", _apply),
            (torch.Tensor, "__deepcopy__", _deepcopy),
            (torch.nn.init, "trunc_normal_", lambda tensor, **_: tensor),  # which draws until all is within its bounds
            (torch.Tensor, "numpy", _to_numpy(torch.Tensor.numpy)),
        ):
            self._stack.enter_context(mock.patch.object(place, name, value))
        self._stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        self._stack.enter_context(_Answers(self.seen, self.halved))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()


class _Answers(TorchDispatchMode):
    """Sizes and values that depend on what a tensor holds: everything is chosen, and what is asked for is so."""

    def __init__(self, seen: set[tuple[str, str, torch.dtype]], halved: set[torch.Size]) -> None:
        super().__init__()
        self._seen, self._halved = seen, halved

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        packet = func.overloadpacket
        self._note(packet.__name__, args)
        if packet is aten._local_scalar_dense:
            return _value(args[0])
        if packet is aten.equal:
            return True
        if packet is aten.set_:  # a file of weights, mapped into memory
            return args[0].resize_(args[1].nbytes() // args[0].element_size())
        if packet is aten.nonzero:
            return args[0].new_empty((args[0].numel(), args[0].dim()), dtype=torch.long)
        if packet is aten.masked_select:
            return args[0].new_empty(args[1].numel())
        if func is aten.repeat_interleave.Tensor:
            return args[0].new_empty(args[0].numel(), dtype=torch.long)
        if packet is aten.bincount:
            least = kwargs.get("minlength", args[2] if len(args) > 2 else 0)
            return args[0].new_empty(max(1, least), dtype=torch.long)
        if packet in (aten.index, aten.index_put, aten.index_put_):
            args = (args[0], [place for index in args[1] for place in _places(index)], *args[2:])
        try:
            result = func(*args, **kwargs)
        except (DataDependentOutputException, DynamicOutputShapeException):
            with self:  # inference mode leaves whole what is elsewhere taken apart before it comes here
                return func.decompose(*args, **kwargs)
        _check_generator(packet.__name__, result, kwargs.get("generator"))
        passes_on = packet in (aten.any, aten.all) and getattr(args[0], "unlikely", False)
        if passes_on or packet in (aten.lt, aten.le) or func is aten.eq.Scalar:
            result.unlikely = True
        return result

    def _note(self, name: str, args: Any) -> None:
        """Raises RuntimeError where the operands are of several types, which only kernels look at."""
        kind = "attention" if "attention" in name else "convolution" if name.startswith("conv") else "product"
        if kind == "product" and name not in PRODUCTS:
            return
        operands = [arg for arg in args if isinstance(arg, torch.Tensor) and arg.is_floating_point()]
        types = {operand.dtype for operand in operands}
        if len(types) > 1:
            raise RuntimeError(f"{name}: expected operands of the same dtype, but got {sorted(map(str, types))}")
        self._seen.update((kind, operand.device.type, operand.dtype) for operand in operands[:1])
        if kind == "convolution" and types == {torch.bfloat16}:
            self._halved.add(operands[1].shape)


def _check_generator(name: str, result: Any, generator: torch.Generator | None) -> None:
    if generator is not None and generator.device.type != result.device.type:
        raise RuntimeError(
            f"{name}: Expected a '{result.device.type}' device type for generator but found '{generator.device.type}'"
        )


def _apply(module: torch.nn.Module, change: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> Any:
    """What `Module.to` and its like stand on, with new parameters in place of the old: fake ones cannot change."""
    for child in module.children() if recurse else ():
        child._apply(change)
    for name, value in module._parameters.items():
        if value is not None:
            module._parameters[name] = torch.nn.Parameter(change(value.detach()), value.requires_grad)
    for name, buffer in module._buffers.items():
        module._buffers[name] = None if buffer is None else change(buffer)
    return module


def _deepcopy(tensor: torch.Tensor, memo: dict[int, Any]) -> torch.Tensor:
    """What `copy.deepcopy` asks for; torch's own would copy memory that is not there."""
    if id(tensor) not in memo:
        copy = tensor.detach().clone()
        parameter = isinstance(tensor, torch.nn.Parameter)
        memo[id(tensor)] = torch.nn.Parameter(copy, tensor.requires_grad) if parameter else copy
    return memo[id(tensor)]


def _value(tensor: torch.Tensor) -> bool | int | float:
    """To be below a limit or equal to a number is false, all else is true, and every number is 1."""
    known = getattr(tensor, "constant", None)
    if known is not None:
        return known.item()
    if tensor.dtype == torch.bool:
        return not getattr(tensor, "unlikely", False)
    return 1.0 if tensor.dtype.is_floating_point else 1


def _places(index: torch.Tensor | None) -> list[torch.Tensor | None]:
    """Indices of all places of a mask; other indices as they are."""
    if index is None or index.dtype not in (torch.bool, torch.uint8):
        return [index]
    return [index.new_empty(index.numel(), dtype=torch.long) for _ in range(index.dim())]


def _to_numpy(real: Callable[..., Any]) -> Callable[..., NDArray[Any]]:
    """`Tensor.numpy`, whose errors are those of a GPU's tensors. What comes is true of nothing: identities where poses
    or intrinsics may be, false, ones."""

    def numpy(tensor: torch.Tensor, *, force: bool = False) -> NDArray[Any]:
        if not isinstance(tensor, FakeTensor):
            with _disable_current_modes():
                return real(tensor, force=force)
        if tensor.device.type != "cpu" and not force:
            raise TypeError(f"can't convert {tensor.device} device type tensor to numpy. Use Tensor.cpu() first")
        if tensor.requires_grad and not force:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead")
        if tensor.dtype == torch.bfloat16:
            raise TypeError("Got unsupported ScalarType BFloat16")
        dtype = np.dtype(str(tensor.dtype).removeprefix("torch."))
        if tensor.shape[-2:] in ((3, 3), (3, 4), (4, 4)) and tensor.dtype.is_floating_point:
            return np.broadcast_to(np.eye(*tensor.shape[-2:], dtype=dtype), tensor.shape).copy()
        return (np.zeros if tensor.dtype == torch.bool else np.ones)(tensor.shape, dtype)

    return numpy


@pytest.fixture
def cuda() -> CudaWithoutGpu:
    return CudaWithoutGpu()
