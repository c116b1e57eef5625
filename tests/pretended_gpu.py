"""A GPU that is none: tensors that call themselves ``cuda`` and compute on the CPU, for machines without one.

What a GPU refuses is refused: tensors of two devices in one operation, a view as NumPy, a generator of the
CPU. What makes its queue wait is counted. What it computes otherwise (order of sums, TF32, streams, memory)
is not there: the tests marked ``gpu`` are for that.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from types import SimpleNamespace
from typing import ClassVar

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

GPU = torch.device("cuda", 0)
MOVES = {"aten::_to_copy", "aten::to"}
COPIES = {*MOVES, "aten::copy_"}
"""Which may see tensors of two devices."""
INDEXING = {"aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_"}
"""Whose indices may lie on the CPU."""
ASKS = {"aten::_local_scalar_dense", "aten::nonzero", "aten::equal", "aten::is_nonzero"}
"""Whose answer the CPU waits for."""


class OnGPU(torch.Tensor):
    """A tensor of the pretended device; ``held`` has its values."""

    asked: ClassVar[Counter[str]] = Counter()
    """How often the device was waited for, by operation."""

    @staticmethod
    def __new__(cls, held):
        return torch.Tensor._make_wrapper_subclass(
            cls, held.shape, strides=held.stride(), storage_offset=held.storage_offset(),
            dtype=held.dtype, layout=held.layout, device=GPU, requires_grad=held.requires_grad,
        )  # fmt: skip

    def __init__(self, held):
        self.held = held.detach()

    def __repr__(self):
        return f"OnGPU({self.held!r})"

    @classmethod
    def __torch_dispatch__(cls, function, types, arguments=(), named=None):
        name = function.name().partition(".")[0]
        leaves, shape = tree_flatten((arguments, named or {}))
        wanted = next((each for each in leaves if isinstance(each, torch.device)), None)
        to_gpu = wanted is not None and wanted.type == "cuda"
        to_cpu = wanted is not None and not to_gpu
        leaves = [torch.device("cpu") if isinstance(each, torch.device) else each for each in leaves]
        ours = any(isinstance(each, OnGPU) for each in leaves)
        if ours and name not in COPIES:
            _refuse_two_devices(name, leaves, arguments)
        if name in ASKS or (name in MOVES and to_cpu and ours) or _brings_down(name, arguments):
            cls.asked[name] += 1
        held = [each.held if isinstance(each, OnGPU) else each for each in leaves]
        inner_arguments, inner_named = tree_unflatten(held, shape)
        # Views that conjugate or negate when they are read are read below what does so.
        function = {"aten::_conj": torch.ops.aten._conj_physical, "aten::_neg_view": torch.ops.aten.neg}.get(
            name, function
        )
        out = function(*inner_arguments, **inner_named)
        if to_cpu or (name == "aten::copy_" and not isinstance(arguments[0], OnGPU)):
            return out
        if not (ours or to_gpu):
            return out
        given = {id(each.held): each for each in leaves if isinstance(each, OnGPU)}
        with torch.inference_mode(False):  # views of what was made outside must not become its tensors
            wrapped = tree_map(
                lambda each: given.get(id(each), OnGPU(each)) if isinstance(each, torch.Tensor) else each, out
            )
        if torch.is_inference_mode_enabled():
            return wrapped
        return return_and_correct_aliasing(function, arguments, dict(named or {}), wrapped)


def _brings_down(name, arguments):
    return name == "aten::copy_" and isinstance(arguments[1], OnGPU) and not isinstance(arguments[0], OnGPU)


def _refuse_two_devices(name, leaves, arguments):
    allowed = {id(each) for each in arguments[1] if each is not None} if name in INDEXING else set()
    for each in leaves:
        is_here = isinstance(each, torch.Tensor) and not isinstance(each, OnGPU)
        if is_here and each.dim() and id(each) not in allowed:
            raise RuntimeError(f"{name}: a tensor of {tuple(each.shape)} is on the CPU, another on cuda:0")
        if isinstance(each, torch._C.Generator) and each.device.type != "cuda":
            raise RuntimeError(f"{name}: expected a 'cuda' generator, found 'cpu'")


class _Moves(TorchFunctionMode):
    """What PyTorch without CUDA refuses before any tensor is asked."""

    def __torch_function__(self, function, types, arguments=(), named=None):
        named = dict(named or {})
        name = getattr(function, "__name__", "")
        first = arguments[0] if arguments else None
        if name == "to" and isinstance(first, torch.Tensor):
            return _moved(*arguments, **named)
        if name == "cuda" and isinstance(first, torch.Tensor):
            return _moved(first, GPU)
        if name.startswith("new_") and isinstance(first, OnGPU):
            return OnGPU(getattr(first.held, name)(*arguments[1:], **_without_device(named)))
        if name in INSTEAD and isinstance(first, OnGPU):
            return INSTEAD[name](*arguments, **named)
        if name == "_has_compatible_shallow_copy_type":
            return False
        if name == "pin_memory":
            return first.clone()
        if named.get("device") is not None and torch.device(named["device"]).type == "cuda":
            named = _without_device(named)  # of another tensor's kind, as ``zeros_like``
        try:
            return function(*arguments, **named)
        except RuntimeError as error:
            if "not linked with support" not in str(error):
                raise
            if name in ("__int__", "__float__", "__bool__"):
                return {"__int__": int, "__float__": float, "__bool__": bool}[name](first.item())
            plain = {"__invert__": "bitwise_not"}.get(name, name)
            return getattr(torch.ops.aten, plain)(*arguments, **named)  # which asks no driver for the device


def _made(create):
    """A function that makes tensors from nothing, on any device."""

    def made(*arguments, pin_memory=False, device=None, **named):
        on_gpu = device is not None and torch.device(device).type == "cuda"
        if isinstance(arguments[0], torch.Tensor):  # as_tensor
            return _moved(arguments[0], device=device, **named) if device or named else arguments[0]
        if not on_gpu:
            return create(*arguments, device=device, **named)
        generator = named.get("generator")
        if generator is not None and generator.device.type != "cuda":
            raise RuntimeError(f"{create.__name__}: expected a 'cuda' generator, found 'cpu'")
        return OnGPU(create(*arguments, **named))

    return made


MAKERS = [
    "arange",
    "as_tensor",
    "bartlett_window",
    "blackman_window",
    "empty",
    "empty_strided",
    "eye",
    "full",
    "hamming_window",
    "hann_window",
    "kaiser_window",
    "linspace",
    "logspace",
    "ones",
    "rand",
    "randint",
    "randn",
    "randperm",
    "tensor",
    "zeros",
]


def _refused(tensor):
    if isinstance(tensor, OnGPU):
        raise TypeError("can't convert cuda:0 device type tensor to numpy")
    return torch.Tensor.numpy(tensor)


def _read(tensor, index):
    """As ``tensor[index]``, by operations that ask no driver for a device."""
    viewed, indices = _viewed(tensor, index)
    return torch.ops.aten.index(viewed, indices) if indices else viewed


def _write(tensor, index, value):
    viewed, indices = _viewed(tensor, index)
    if indices:
        value = value if isinstance(value, torch.Tensor) else torch.tensor(value, dtype=tensor.dtype)
        torch.ops.aten.index_put_(viewed, indices, value)
    elif isinstance(value, torch.Tensor):
        torch.ops.aten.copy_(viewed, value)
    else:
        viewed.fill_(value)


def _viewed(tensor, index):
    """Places and ranges taken, and the tensors of indices that are left, by axis."""
    given = index if isinstance(index, tuple) else (index,)
    axes = sum(
        each.dim() if isinstance(each, torch.Tensor) and each.dtype == torch.bool else 1
        for each in given
        if each is not None and each is not Ellipsis
    )
    indices, axis, skipped = [], 0, tensor.dim() - axes
    for each in given:
        if each is Ellipsis:
            axis += skipped
        elif each is None:
            tensor, axis = tensor.unsqueeze(axis), axis + 1
        elif isinstance(each, slice):
            tensor = torch.ops.aten.slice(tensor, axis, each.start, each.stop, each.step or 1)
            axis += 1
        elif isinstance(each, (torch.Tensor, list)):
            chosen = each if isinstance(each, torch.Tensor) else torch.tensor(each)
            indices += [None] * (axis - len(indices)) + [chosen]
            axis += chosen.dim() if chosen.dtype == torch.bool else 1
        else:
            tensor = tensor.select(axis, int(each))
    return tensor, indices


def _list(tensor):
    OnGPU.asked["tolist"] += 1
    return tensor.held.tolist()


def _contiguous(tensor, memory_format=torch.contiguous_format):
    if tensor.held.is_contiguous(memory_format=memory_format):
        return tensor
    return torch.ops.aten.clone(tensor, memory_format=memory_format)


def _places(tensor, as_tuple=False):
    found = torch.ops.aten.nonzero(tensor)
    return found.unbind(1) if as_tuple else found


def _repeated(tensor, *arguments, **named):
    assert not tensor.requires_grad, "of this no gradient is pretended"
    leaves, shape = tree_flatten((arguments, named))
    arguments, named = tree_unflatten(
        [each.held if isinstance(each, OnGPU) else each for each in leaves], shape
    )
    return OnGPU(tensor.held.repeat_interleave(*arguments, **named))


INSTEAD = {
    "nonzero": _places,
    "repeat_interleave": _repeated,
    "contiguous": _contiguous,
    "tolist": _list,
    "__getitem__": _read,
    "__setitem__": _write,
    "numpy": _refused,
    "is_pinned": lambda tensor: False,
}
"""Of tensors: what is done in place of it."""


def _without_device(named):
    return {key: value for key, value in named.items() if key not in ("device", "pin_memory")}


def _moved(tensor, *arguments, **named):
    """As ``Tensor.to``."""
    copy = named.pop("copy", False)
    if arguments and isinstance(arguments[0], torch.Tensor):
        arguments = (arguments[0].device, arguments[0].dtype, *arguments[1:])
    device, dtype, _, layout = torch._C._nn._parse_to(*arguments, **named)
    rest = {
        key: value for key, value in {"dtype": dtype, "memory_format": layout}.items() if value is not None
    }
    if device is not None and device.type != "cuda":
        rest["device"] = device
    moved = tensor.to(**rest, copy=copy) if rest or copy else tensor
    up = device is not None and device.type == "cuda" and not isinstance(tensor, OnGPU)
    return _Up.apply(moved) if up else moved


class _Generator(torch._C.Generator):
    """Draws on the CPU, whatever its device is."""

    def __new__(cls, device="cpu"):
        made = super().__new__(cls, "cpu")
        made.pretended = torch.device(device)
        return made

    @property
    def device(self):
        return self.pretended


class _Up(torch.autograd.Function):
    @staticmethod
    def forward(context, held):
        return OnGPU(held.detach().clone(memory_format=torch.preserve_format))

    @staticmethod
    def backward(context, gradient):
        return gradient.held if isinstance(gradient, OnGPU) else gradient


def _has_ours(tree):
    return any(isinstance(each, OnGPU) for each in tree_flatten(tree)[0])


class _Stream:
    """Whose work is done as soon as it is asked for."""

    def __init__(self, *_, **__): ...

    def wait_stream(self, other): ...
    def synchronize(self): ...
    def record(self, stream=None): ...
    def wait_event(self, event): ...
    def query(self):
        return True


@contextlib.contextmanager
def pretended_gpu(monkeypatch):
    """Inside, ``cuda`` is a device of this machine."""
    changes = {
        "is_available": lambda: True, "device_count": lambda: 1, "current_device": lambda: 0,
        "get_device_name": lambda *_: "pretended", "empty_cache": lambda: None,
        "synchronize": lambda *_: None,
        "get_device_properties": lambda *_: SimpleNamespace(name="pretended", total_memory=1 << 36),
        "mem_get_info": lambda *_: (1 << 36, 1 << 36), "max_memory_allocated": lambda *_: 0,
        "Stream": _Stream, "Event": _Stream, "stream": lambda _: contextlib.nullcontext(),
        "current_stream": lambda *_: _Stream(), "default_stream": lambda *_: _Stream(),
        "is_bf16_supported": lambda *_: True,
    }  # fmt: skip
    for name, change in changes.items():
        monkeypatch.setattr(torch.cuda, name, change)
    for name in MAKERS:
        monkeypatch.setattr(torch, name, _made(getattr(torch, name)))
    for name in ("fftfreq", "rfftfreq"):
        monkeypatch.setattr(torch.fft, name, _made(getattr(torch.fft, name)))
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda tensor, stream: None)
    monkeypatch.setattr(torch, "Generator", _Generator)
    OnGPU.asked.clear()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        with _Moves():
            yield OnGPU.asked
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(False)
