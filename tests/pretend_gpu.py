"""A GPU made of the CPU: CUDA's rules on what may meet what, and true values, for tests without a GPU.

A tensor on "cuda" holds its values in a CPU tensor. As with CUDA, an operation on tensors of both sides is an
error, except for copies, scalars and indices; matrix products can be given other rounding errors. Not shown
are CUDA's kernels, and the backward pass, because autograd's engine asks the driver: gradients are constants.
tests/irm/training/test_waits.py runs the backward pass on shapes alone.
"""

import contextlib

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

aten = torch.ops.aten
COPIES = {aten._to_copy, aten.copy_}
INDEXING = {aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_}  # take the host's indices
PRODUCTS = {aten.mm, aten.bmm, aten.addmm, aten.baddbmm}
GRADIENT = 1e-4


class OnGpu(torch.Tensor):
    """A tensor that says it is on cuda:0; ``held`` has its values."""

    @staticmethod
    def __new__(cls, held):
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device="cuda:0",
        )
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return _run(func, args, kwargs or {}, rounding=0.0)

    def tolist(self):
        return self.held.tolist()

    def data_ptr(self):
        return self.held.data_ptr()

    def untyped_storage(self):
        return self.held.untyped_storage()

    def __deepcopy__(self, memo):
        copied = memo[id(self)] = OnGpu(self.held.clone())
        if isinstance(self, nn.Parameter):
            copied = memo[id(self)] = nn.Parameter(copied, requires_grad=self.requires_grad)
        return copied

    def __repr__(self, *, tensor_contents=None):
        return f"OnGpu({self.held})"

    def __reduce_ex__(self, protocol):  # in a file it is a CPU tensor, as after map_location="cpu"
        return self.held.__reduce_ex__(protocol)


class PretendGpu(TorchDispatchMode):
    """Runs what concerns cuda; ``rounding`` is the largest relative error added to its matrix products."""

    def __init__(self, rounding):
        super().__init__()
        self.rounding = rounding

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if any(isinstance(one, OnGpu) or _is_cuda(one) for one in tree_leaves((args, kwargs))):
            return _run(func, args, kwargs, self.rounding)
        return func(*args, **kwargs)


def _run(func, args, kwargs, rounding):
    kind = func.overloadpacket
    tensors = [one for one in tree_leaves((args, kwargs)) if isinstance(one, torch.Tensor)]
    ours = [one for one in tensors if isinstance(one, OnGpu)]
    of_host = [one for one in tensors if not isinstance(one, OnGpu) and one.dim() > 0]
    may_meet = kind in COPIES or (kind in INDEXING and isinstance(tensors[0], OnGpu))
    if ours and of_host and not may_meet:
        raise RuntimeError(f"Expected all tensors to be on the same device: {func} met cuda:0 and cpu")
    inner_args, inner_kwargs = tree_map(_inside, (args, kwargs))
    result = func(*inner_args, **inner_kwargs)
    if rounding and kind in PRODUCTS and result.is_floating_point():
        result.mul_(1 + rounding * (2 * torch.rand(result.shape, dtype=result.dtype) - 1))
    if result is None or "out" in kwargs:
        return kwargs.get("out")
    if func._schema.is_mutable and func._schema.name.endswith("_"):
        return args[0]
    device = kwargs.get("device")
    if device is not None and torch.device(device).type == "cpu":
        return result.clone() if ours and result.data_ptr() == ours[0].held.data_ptr() else result
    return tree_map(lambda one: OnGpu(one) if isinstance(one, torch.Tensor) else one, result)


def _is_cuda(value):
    return isinstance(value, torch.device) and value.type == "cuda"


def _inside(value):
    return value.held if isinstance(value, OnGpu) else torch.device("cpu") if _is_cuda(value) else value


class Event:
    """All work is done at once, so there is nothing to wait for."""

    def record(self):
        pass

    def synchronize(self):
        pass


def _apply(self, change, recurse=True):
    """Replace parameters instead of their data, which cannot change its class."""
    for module in self.modules():
        for name, one in module._parameters.items():
            if one is not None:
                module._parameters[name] = nn.Parameter(change(one.detach()), requires_grad=one.requires_grad)
        for name, one in module._buffers.items():
            if one is not None:
                module._buffers[name] = change(one)
    return self


def _differentiate(optimizers):
    def backward(total, *_, **__):
        assert total.requires_grad
        for group in (group for optimizer in optimizers for group in optimizer.param_groups):
            for one in group["params"]:
                one.grad = torch.full_like(one.detach(), GRADIENT)

    return backward


@contextlib.contextmanager
def pretend_gpu(patch, rounding=0.0):
    """Within it torch has one CUDA device."""
    torch._C._ensureCUDADeviceGuardSet()
    values = {"is_available": True, "device_count": 1, "current_device": 0, "is_bf16_supported": True}
    values["get_device_name"] = "a pretended GPU"
    for name, value in values.items():
        patch.setattr(torch.cuda, name, lambda *_, value=value, **__: value)
    patch.setattr(torch.cuda, "_lazy_init", lambda: None)
    patch.setattr(torch.cuda, "Event", Event)
    patch.setattr(torch.Tensor, "pin_memory", lambda self, *_: self)
    patch.setattr(nn.Module, "_apply", _apply)
    optimizers, begin = set(), torch.optim.Optimizer.zero_grad

    def noticed(self, *args, **kwargs):
        optimizers.add(self)
        return begin(self, *args, **kwargs)

    patch.setattr(torch.optim.Optimizer, "zero_grad", noticed)
    patch.setattr(torch.autograd, "backward", _differentiate(optimizers))
    lifts = torch._C._only_lift_cpu_tensors()
    torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(..., device="cuda") copies, which is seen here
    try:
        with torch.backends.cudnn.flags(enabled=False), PretendGpu(rounding):  # the CPU has no cuDNN
            yield
    finally:
        torch._C._set_only_lift_cpu_tensors(lifts)
