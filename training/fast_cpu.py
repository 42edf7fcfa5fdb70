"""Optional: the kernels of fast_cpu.c and fused_cpu.c as PyTorch operations. Compiled with the system's C compiler at first use.

`available()` is False, and everything falls back to plain PyTorch, where there is no compiler or where
RESTORMER_PLAIN=1 is set. The kernels want channels_last maps on a CPU in float32 or bfloat16.
"""
import ctypes
import functools
import hashlib
import os
import subprocess
import sys
import tempfile

import torch

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCES = [os.path.join(HERE, name) for name in ("fast_cpu.c", "fused_cpu.c")]
READ = SOURCES + [os.path.join(HERE, "rows_cpu.h")]
FLAGS = ["-O3", "-march=native", "-mprefer-vector-width=512", "-ffast-math", "-fopenmp", "-fPIC", "-shared", "-Wall", "-Wextra"]


@functools.lru_cache(None)
def library():
    """The loaded library, or None. The compiled file is kept under the user's cache, named by source and flags."""
    if os.environ.get("RESTORMER_PLAIN") == "1":
        return None
    text = " ".join(FLAGS).encode()
    for name in READ:
        with open(name, "rb") as file:
            text += file.read()
    key = hashlib.sha256(text).hexdigest()[:16]
    folder = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "restormer-training")
    path = os.path.join(folder, f"fast_cpu-{key}.so")
    if not os.path.exists(path):
        try:
            os.makedirs(folder, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder) as scratch:
                built = os.path.join(scratch, "fast_cpu.so")
                subprocess.run([os.environ.get("CC", "cc"), *FLAGS, *SOURCES, "-o", built, "-lm"], check=True)
                os.replace(built, path)
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"the CPU kernels were not compiled ({error}); training in plain PyTorch, slower", file=sys.stderr)
            return None
    return ctypes.CDLL(path)


def available():
    return library() is not None


def usable(x):
    """Whether the kernels can take this map: on the CPU, of a known type, with its channels side by side."""
    return (x.device.type == "cpu" and x.dtype in (torch.float32, torch.bfloat16) and not torch.onnx.is_in_onnx_export()
            and x.is_contiguous(memory_format=torch.channels_last) and available())


def pointer(tensor):
    return ctypes.c_void_p(tensor.data_ptr() if tensor is not None else None)


def size_of(x):
    """(pixels, channels, is bfloat16) as the kernels want them."""
    return ctypes.c_int64(x.shape[0] * x.shape[2] * x.shape[3]), ctypes.c_int(x.shape[1]), ctypes.c_int(x.dtype == torch.bfloat16)


class LayerNormFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias):
        y = torch.empty_like(x)
        rows, channels, bf16 = size_of(x)
        library().layer_norm_forward(pointer(x), pointer(y), pointer(weight), pointer(bias), rows, channels, bf16)
        ctx.save_for_backward(x, weight)
        ctx.with_bias = bias is not None
        return y

    @staticmethod
    def backward(ctx, dy):
        x, weight = ctx.saved_tensors
        dy = dy.to(x.dtype).contiguous(memory_format=torch.channels_last)
        dx = torch.empty_like(x)
        rows, channels, bf16 = size_of(x)
        partial = torch.zeros(torch.get_num_threads(), 2, x.shape[1])
        library().layer_norm_backward(pointer(x), pointer(dy), pointer(dx), pointer(weight), ctypes.c_int(ctx.with_bias),
                                      pointer(partial), rows, channels, bf16)
        total = partial.sum(0)
        return dx, total[0], total[1] if ctx.with_bias else None


class GateFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        n, c, h, w = x.shape
        y = torch.empty((n, c // 2, h, w), dtype=x.dtype, memory_format=torch.channels_last)
        rows, hidden, bf16 = size_of(y)
        library().gate_forward(pointer(x), pointer(y), rows, hidden, bf16)
        ctx.save_for_backward(x)
        return y

    @staticmethod
    def backward(ctx, dy):
        x, = ctx.saved_tensors
        dy = dy.to(x.dtype).contiguous(memory_format=torch.channels_last)
        dx = torch.empty_like(x)
        rows, hidden, bf16 = size_of(dy)
        library().gate_backward(pointer(x), pointer(dy), pointer(dx), rows, hidden, bf16)
        return dx


def layer_norm(x, weight, bias):
    return LayerNormFunction.apply(x, weight, bias)


def gelu_gate(x):
    """[n, 2h, ...] -> gelu(first half) * second half"""
    return GateFunction.apply(x)


class GdfnShape(ctypes.Structure):
    """struct gdfn of fused_cpu.c"""
    _fields_ = [(name, ctypes.c_void_p) for name in ("norm_weight", "norm_bias", "project_in", "dwconv", "project_out")] \
        + [(name, ctypes.c_int) for name in ("pictures", "height", "width", "channels", "hidden")]


GROUPS = 4      # sets of pictures whose weight gradients are summed apart: more than threads, so that none waits long


def padded(n):
    return (n + 15) // 16 * 16


def gdfn_shape(x, norm_weight, norm_bias, project_in, dwconv, project_out):
    addresses = [t.data_ptr() if t is not None else None for t in (norm_weight, norm_bias, project_in, dwconv, project_out)]
    return GdfnShape(*addresses, x.shape[0], x.shape[2], x.shape[3], x.shape[1], project_out.shape[1])


class GdfnFunction(torch.autograd.Function):
    """x + project_out(gate(dwconv(project_in(norm(x))))) in bfloat16, with float32 weights"""

    @staticmethod
    def forward(ctx, x, *weights):
        y = torch.empty_like(x)
        library().gdfn_forward(ctypes.byref(gdfn_shape(x, *weights)), pointer(x), pointer(y))
        ctx.save_for_backward(x, *weights)
        return y

    @staticmethod
    def backward(ctx, dy):
        x, *weights = ctx.saved_tensors
        dy = dy.to(x.dtype).contiguous(memory_format=torch.channels_last)
        dx = torch.empty_like(x)
        c, h = x.shape[1], weights[4].shape[1]
        sizes = [c, c, 2 * h * padded(c), 9 * 2 * h, c * padded(h)]
        gradients = torch.zeros(GROUPS, sum(sizes))
        library().gdfn_backward(ctypes.byref(gdfn_shape(x, *weights)), pointer(x), pointer(dy), pointer(dx),
                                pointer(gradients), ctypes.c_int(GROUPS))
        dnorm, dbias, din, dtaps, dout = gradients.sum(0).split(sizes)
        return (dx, dnorm, dbias if weights[1] is not None else None, din.view(2 * h, padded(c))[:, :c].reshape(2 * h, c, 1, 1),
                dtaps.view(9, 2 * h).t().reshape(2 * h, 1, 3, 3), dout.view(c, padded(h))[:, :h].reshape(c, h, 1, 1))


def fused_usable(x, convolutions):
    """Whether a fused half of a block can take this map and these layers: bfloat16, no bias, whole vectors."""
    return (x.dtype == torch.bfloat16 and usable(x) and library().fused_supported() == 1 and x.shape[1] % 8 == 0
            and x.shape[2] * x.shape[3] % 2 == 0 and x.shape[3] % 2 == 0
            and all(c.bias is None and c.weight.dtype == torch.float32 and c.weight.shape[0] % 8 == 0 for c in convolutions))


def gdfn(x, norm, ffn):
    """x + ffn(norm(x)) for the modules of restormer.py"""
    return GdfnFunction.apply(x, norm.weight, norm.bias, ffn.project_in.weight.contiguous(), ffn.dwconv.weight.contiguous(), ffn.project_out.weight.contiguous())
