"""Optional: the kernels of fast_cpu.c and fused_cpu.c as PyTorch operations. Compiled with the system's C compiler at first use.

Everything falls back to plain PyTorch where there is no compiler. RESTORMER_KERNELS=none asks for that, =rows for layer
norm and gate only, =fused (the default) for all. The kernels want channels_last maps on a CPU in float32 or bfloat16.
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
READ = SOURCES + [os.path.join(HERE, name) for name in ("rows_cpu.h", "fused_cpu.h")]
FLAGS = ["-O3", "-march=native", "-mprefer-vector-width=512", "-ffast-math", "-fopenmp", "-fPIC", "-shared", "-Wall", "-Wextra"]


def wanted():
    choice = os.environ.get("RESTORMER_KERNELS", "fused")
    if choice not in ("none", "rows", "fused"):
        raise ValueError(f"RESTORMER_KERNELS={choice}: expected none, rows or fused")
    return choice


@functools.lru_cache(None)
def library():
    """The loaded library, or None. The compiled file is kept under the user's cache, named by source and flags."""
    if wanted() == "none":
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


class Half(ctypes.Structure):
    """struct half of fused_cpu.c"""
    _fields_ = [(name, ctypes.c_void_p) for name in
                ("norm_weight", "norm_bias", "project", "dwconv", "project_out", "temperature")] \
        + [(name, ctypes.c_int) for name in ("pictures", "height", "width", "channels", "wide", "heads")]


GROUPS = 4      # sets of pictures whose weight gradients are summed apart: more than threads, so that none waits long


def padded(n):
    return (n + 15) // 16 * 16


class HalfFunction(torch.autograd.Function):
    """One half of a block, its residual included, with float32 weights. kind: "gdfn" or "mdta";
    weights in the order of struct half, temperature None for GDFN."""

    @staticmethod
    def describe(x, weights):
        temperature = weights[5]
        return ctypes.byref(Half(*(t.data_ptr() if t is not None else None for t in weights), x.shape[0], x.shape[2], x.shape[3],
                                 x.shape[1], weights[2].shape[0], temperature.shape[0] if temperature is not None else 0))

    @staticmethod
    def forward(ctx, kind, x, *weights):
        y = torch.empty_like(x)
        getattr(library(), kind + "_forward")(HalfFunction.describe(x, weights), pointer(x), pointer(y))
        ctx.kind = kind
        ctx.save_for_backward(x, *weights)
        return y

    @staticmethod
    def backward(ctx, dy):
        x, *weights = ctx.saved_tensors
        dy = dy.to(x.dtype).contiguous(memory_format=torch.channels_last)
        dx = torch.empty_like(x)
        c, wide, hidden = x.shape[1], weights[2].shape[0], weights[4].shape[1]
        heads = weights[5].shape[0] if ctx.kind == "mdta" else 0
        sizes = [c, c, wide * padded(c), 9 * wide, c * padded(hidden), heads]
        groups = min(GROUPS, x.shape[0])
        gradients = torch.zeros(groups, sum(sizes))
        getattr(library(), ctx.kind + "_backward")(HalfFunction.describe(x, weights), pointer(x), pointer(dy), pointer(dx),
                                                   pointer(gradients), ctypes.c_int(groups))
        dnorm, dbias, dproject, dtaps, dout, dtemperature = gradients.sum(0).split(sizes)
        return (None, dx, dnorm, dbias if weights[1] is not None else None,
                dproject.view(wide, padded(c))[:, :c].reshape(wide, c, 1, 1), dtaps.view(9, wide).t().reshape(wide, 1, 3, 3),
                dout.view(c, padded(hidden))[:, :hidden].reshape(c, hidden, 1, 1),
                dtemperature.view(heads, 1, 1) if heads else None)


def fused_usable(x, convolutions):
    """Whether a fused half of a block can take this map and these layers: elements of the library's type (bfloat16 where the
    processor multiplies it, else float32), whole vectors, no bias."""
    project, dwconv, out = convolutions
    return (usable(x) and wanted() == "fused" and library().fused_bits() == torch.finfo(x.dtype).bits and x.shape[1] % 8 == 0
            and x.shape[3] % 2 == 0 and project.bias is None and project.weight.dtype == torch.float32
            and dwconv.weight.shape[0] % 16 == 0 and out.weight.shape[1] % 16 == 0)


def gdfn(x, norm, ffn):
    """x + ffn(norm(x)) for the modules of restormer.py, or None where the fused kernel does not apply."""
    if fused_usable(x, (ffn.project_in, ffn.dwconv, ffn.project_out)):
        return HalfFunction.apply("gdfn", x, norm.weight, norm.bias, ffn.project_in.weight.contiguous(),
                                  ffn.dwconv.weight.contiguous(), ffn.project_out.weight.contiguous(), None)
    return None


def mdta(x, norm, attn):
    """x + attn(norm(x)) likewise."""
    if (attn.window == 0 and x.shape[1] // attn.heads % 2 == 0 and x.shape[1] % 16 == 0
            and fused_usable(x, (attn.qkv, attn.qkv_dwconv, attn.project_out))):
        return HalfFunction.apply("mdta", x, norm.weight, norm.bias, attn.qkv.weight.contiguous(),
                                  attn.qkv_dwconv.weight.contiguous(), attn.project_out.weight.contiguous(), attn.temperature)
    return None


def adamw(p, average, m, v, g, scale, rate, betas, decay, count, ema_decay):
    """One step of AdamW and of the running average on float32 vectors on the CPU, in one pass."""
    numbers = (scale, rate, *betas, decay, 1 - betas[0] ** count, 1 - betas[1] ** count, ema_decay)
    library().adamw(*map(pointer, (p, average, m, v, g)), ctypes.c_int64(p.numel()), *map(ctypes.c_float, numbers))
