"""Restormer (Zamir et al., CVPR 2022, arXiv 2111.09881) in PyTorch, written from the paper and the tensor names.

Parameter names are those of the published state dicts, so a checkpoint loads without renaming. `prompts` make it
PromptIR (Potlapalli et al., NeurIPS 2023, arXiv 2306.13090). Beyond the published models: 1 to 5 levels, attention "none" per level, and statistics over windows at test time (TLC, arXiv 2112.04491).
Feature maps are NCHW tensors; the code is written so that they may stay channels_last in memory throughout.
"""
import math
from dataclasses import asdict, dataclass, field
from typing import List, Optional, Union

import torch
import torch.nn.functional as F
from torch import nn

import fast_cpu

LAYER_NORM_EPS = 1e-5
L2_NORM_FLOOR = 1e-12


@dataclass
class ModelConfig:
    """The hyper-parameters of one network, under the names of the weight manifest."""
    in_channels: int = 3
    out_channels: int = 3
    dim: int = 48
    num_blocks: List[int] = field(default_factory=lambda: [4, 6, 6, 8])     # one per level; the last one is the latent
    num_refinement_blocks: int = 4
    heads: List[int] = field(default_factory=lambda: [1, 2, 4, 8])
    ffn_expansion_factor: float = 2.66
    bias: bool = False          # of all convolutions but patch_embed, down and up
    layer_norm: str = "WithBias"                    # or "BiasFree"
    attention: Union[str, List[str]] = "mdta"       # or "none", for all levels or one per level
    dual_pixel: bool = False
    residual: bool = True                           # add the input picture to the output
    # None, or for each level None or {"length", "dim", "size", "heads", "ffn_hidden", "out_channels"}
    prompts: Optional[List] = None

    def __post_init__(self):
        levels = len(self.num_blocks)
        if not 1 <= levels <= 5 or len(self.heads) != levels:
            raise ValueError(f"num_blocks {self.num_blocks} and heads {self.heads}: expected one of each per level, 1 to 5")
        if self.layer_norm not in ("WithBias", "BiasFree"):
            raise ValueError(f"layer_norm {self.layer_norm!r}: expected WithBias or BiasFree")
        kinds = [self.attention] * levels if isinstance(self.attention, str) else list(self.attention)
        if len(kinds) != levels or any(k not in ("mdta", "none") for k in kinds):
            raise ValueError(f"attention {self.attention!r}: expected mdta or none, one for all levels or one per level")
        self.attention_kinds = kinds
        prompts = self.prompts if self.prompts is not None else [None] * levels
        if len(prompts) != levels or prompts[0] is not None:
            raise ValueError(f"prompts {self.prompts!r}: expected one or None for each level, and None for the first")
        self.level_prompts = prompts

    def to_dict(self):
        return {key: value for key, value in asdict(self).items() if value is not None}


class LayerNormBody(nn.Module):
    """Over the channels of each pixel. BiasFree divides by the deviation about the mean but does not centre."""

    def __init__(self, channels, kind):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels)) if kind == "WithBias" else None

    def forward(self, x):
        if fast_cpu.usable(x):
            return fast_cpu.layer_norm(x, self.weight, self.bias)
        x, kind = x.float(), x.dtype
        centred = x - x.mean(1, keepdim=True)
        scale = torch.rsqrt((centred * centred).mean(1, keepdim=True) + LAYER_NORM_EPS) * self.weight.view(-1, 1, 1)
        return (x * scale if self.bias is None else centred * scale + self.bias.view(-1, 1, 1)).to(kind)


class LayerNorm(nn.Module):
    """Only there to give the parameters their published names, norm1.body.weight and so on."""

    def __init__(self, channels, kind):
        super().__init__()
        self.body = LayerNormBody(channels, kind)

    def forward(self, x):
        return self.body(x)


def window_starts(size, window):
    """Where the windows of TLC start along one axis: evenly spread, the last one flush with the edge."""
    window = min(size, window)
    count = math.ceil(size / window)
    step = window if count == 1 else math.ceil((size - window) / (count - 1))
    starts = []
    for i in range(count):
        if i * step + window >= size:
            starts.append(size - window)
            break
        starts.append(i * step)
    return starts, window


class Attention(nn.Module):
    """MDTA: attention between channels, whose map is computed from all pixels together."""

    def __init__(self, channels, heads, bias):
        super().__init__()
        self.heads = heads
        self.window = 0                     # in pixels of this level; 0: the whole map at once
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=bias)
        self.qkv_dwconv = nn.Conv2d(3 * channels, 3 * channels, 3, padding=1, groups=3 * channels, bias=bias)
        self.project_out = nn.Conv2d(channels, channels, 1, bias=bias)

    def attend(self, q, k, v):
        """q, k, v: [n, c, h, w]. Returns A v of the same shape."""
        n, c, h, w = q.shape
        d = c // self.heads
        # [n, heads, d, pixels], as a view where the layout allows it
        if q.stride(1) == 1:
            q, k, v = (t.permute(0, 2, 3, 1).reshape(n, h * w, self.heads, d).permute(0, 2, 3, 1) for t in (q, k, v))
        else:
            q, k, v = (t.reshape(n, self.heads, d, h * w) for t in (q, k, v))
        # Rows are normalised after the product, which is the same and moves fewer bytes. The floor comes before the
        # root, whose gradient at 0 is infinite: a black patch without noise is all zeros.
        gram = torch.matmul(q, k.transpose(-1, -2)).float()
        q_norm = q.float().square().sum(-1).clamp_min(L2_NORM_FLOOR ** 2).sqrt().unsqueeze(-1)
        k_norm = k.float().square().sum(-1).clamp_min(L2_NORM_FLOOR ** 2).sqrt().unsqueeze(-2)
        a = torch.softmax(gram / (q_norm * k_norm) * self.temperature, dim=-1).to(v.dtype)
        if v.stride(2) == 1:
            return torch.matmul(v.transpose(-1, -2), a.transpose(-1, -2)).transpose(1, 2).reshape(n, h, w, c).permute(0, 3, 1, 2)
        return torch.matmul(a, v).reshape(n, c, h, w)

    def attend_windows(self, q, k, v):
        """The mean, at every pixel, of the results of the windows that hold it."""
        height, width = q.shape[-2:]
        rows, window_h = window_starts(height, self.window)
        cols, window_w = window_starts(width, self.window)
        total, count = torch.zeros_like(v), torch.zeros_like(v[:1, :1])
        for y in rows:
            for x in cols:
                box = (..., slice(y, y + window_h), slice(x, x + window_w))
                total[box] += self.attend(q[box], k[box], v[box])
                count[box] += 1
        return total / count

    def forward(self, x):
        q, k, v = self.qkv_dwconv(self.qkv(x)).chunk(3, dim=1)
        return self.project_out(self.attend_windows(q, k, v) if self.window else self.attend(q, k, v))


class FeedForward(nn.Module):
    """GDFN: one half of the hidden channels gates the other."""

    def __init__(self, channels, hidden, bias):
        super().__init__()
        self.project_in = nn.Conv2d(channels, 2 * hidden, 1, bias=bias)
        self.dwconv = nn.Conv2d(2 * hidden, 2 * hidden, 3, padding=1, groups=2 * hidden, bias=bias)
        self.project_out = nn.Conv2d(hidden, channels, 1, bias=bias)

    def forward(self, x):
        x = self.dwconv(self.project_in(x))
        if fast_cpu.usable(x):
            return self.project_out(fast_cpu.gelu_gate(x))
        x1, x2 = x.chunk(2, dim=1)
        return self.project_out(F.gelu(x1) * x2)


class TransformerBlock(nn.Module):
    def __init__(self, channels, heads, config, attention, hidden=None):
        super().__init__()
        hidden = hidden or int(channels * config.ffn_expansion_factor)
        self.has_attention = attention == "mdta"
        if self.has_attention:
            self.norm1 = LayerNorm(channels, config.layer_norm)
            self.attn = Attention(channels, heads, config.bias)
        self.norm2 = LayerNorm(channels, config.layer_norm)
        self.ffn = FeedForward(channels, hidden, config.bias)

    def forward(self, x):
        if self.has_attention:
            fused = fast_cpu.mdta(x, self.norm1.body, self.attn)
            x = fused if fused is not None else x + self.attn(self.norm1(x))
        fused = fast_cpu.gdfn(x, self.norm2.body, self.ffn)
        return fused if fused is not None else x + self.ffn(self.norm2(x))


class Resample(nn.Module):
    """3x3 convolution, then pixel-unshuffle (down) or pixel-shuffle (up)."""

    def __init__(self, channels, up):
        super().__init__()
        out = 2 * channels if up else channels // 2
        self.body = nn.Sequential(nn.Conv2d(channels, out, 3, padding=1, bias=False),
                                  nn.PixelShuffle(2) if up else nn.PixelUnshuffle(2))

    def forward(self, x):
        return self.body(x)


class PatchEmbed(nn.Module):
    def __init__(self, in_channels, dim):
        super().__init__()
        self.proj = nn.Conv2d(in_channels, dim, 3, padding=1, bias=False)

    def forward(self, x):
        return self.proj(x)


class PromptGen(nn.Module):
    """Learnt components, mixed as the mean of the map says, resized to the map and convolved."""

    def __init__(self, channels, length, dim, size):
        super().__init__()
        self.prompt_param = nn.Parameter(torch.rand(1, length, dim, size, size))
        self.linear_layer = nn.Linear(channels, length)
        self.conv3x3 = nn.Conv2d(dim, dim, 3, padding=1, bias=False)

    def forward(self, x):
        shares = torch.softmax(self.linear_layer(x.mean((2, 3))), 1)
        mixed = torch.einsum("nl,lchw->nchw", shares, self.prompt_param[0])
        return self.conv3x3(F.interpolate(mixed, x.shape[-2:], mode="bilinear", align_corners=False))


class Restormer(nn.Module):
    """Takes [n, in_channels, h, w] in 0..1 with sides divisible by `multiple`; `restore` takes any size."""

    def __init__(self, config):
        super().__init__()
        self.config = c = config
        self.levels = levels = len(c.num_blocks)
        self.multiple = 2 ** (levels - 1)

        def stage(count, level, channels):
            return nn.Sequential(*(TransformerBlock(channels, c.heads[level - 1], c, c.attention_kinds[level - 1])
                                   for _ in range(count)))

        def width(level):
            return c.dim * 2 ** (level - 1)

        self.patch_embed = PatchEmbed(c.in_channels, c.dim)
        for level in range(1, levels):
            setattr(self, f"encoder_level{level}", stage(c.num_blocks[level - 1], level, width(level)))
            setattr(self, f"down{level}_{level + 1}", Resample(width(level), up=False))
        self.latent = stage(c.num_blocks[-1], levels, width(levels))
        for level in range(levels - 1, 0, -1):
            below = width(level + 1)
            prompt = c.level_prompts[level]         # of the level below, under this one's number
            if prompt is not None:
                joined, below = below + prompt["dim"], prompt["out_channels"]
                setattr(self, f"prompt{level}", PromptGen(width(level + 1), prompt["length"], prompt["dim"], prompt["size"]))
                setattr(self, f"noise_level{level}", TransformerBlock(joined, prompt["heads"], c, "mdta", prompt["ffn_hidden"]))
                setattr(self, f"reduce_noise_level{level}", nn.Conv2d(joined, below, 1, bias=c.bias))
            setattr(self, f"up{level + 1}_{level}", Resample(below, up=True))
            if level > 1:
                setattr(self, f"reduce_chan_level{level}", nn.Conv2d(below // 2 + width(level), width(level), 1, bias=c.bias))
            # level 1 has no reduction: its decoder works on the concatenation itself
            setattr(self, f"decoder_level{level}", stage(c.num_blocks[level - 1], level, width(max(level, 2))))
        last = c.dim * 2 if levels > 1 else c.dim
        self.refinement = stage(c.num_refinement_blocks, 1, last)
        if c.dual_pixel:
            self.skip_conv = nn.Conv2d(c.dim, last, 1, bias=c.bias)
        self.output = nn.Conv2d(last, c.out_channels, 3, padding=1, bias=c.bias)
        if c.residual and not c.dual_pixel:
            nn.init.zeros_(self.output.weight)      # training starts from "leave the picture as it is"

    def set_window(self, window):
        """Statistics over windows of about this many picture pixels at test time; 0 switches back."""
        for name, module in self.named_modules():
            if isinstance(module, Attention):
                stage = name.split(".")[0]
                level = self.levels if stage == "latent" else 1 if stage == "refinement" else int(stage[-1])
                level += stage.startswith("noise_level")    # counted from 0
                module.window = window >> (level - 1)

    def channels_last(self):
        """All weights of convolutions; the components of prompts have five dimensions, and stay."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                module.to(memory_format=torch.channels_last)
        return self

    def forward(self, picture):
        embedded = x = self.patch_embed(picture)
        skips = {}
        for level in range(1, self.levels):
            skips[level] = x = getattr(self, f"encoder_level{level}")(x)
            x = getattr(self, f"down{level}_{level + 1}")(x)
        x = self.latent(x)
        for level in range(self.levels - 1, 0, -1):
            if self.config.level_prompts[level] is not None:
                x = torch.cat([x, getattr(self, f"prompt{level}")(x)], 1)
                x = getattr(self, f"reduce_noise_level{level}")(getattr(self, f"noise_level{level}")(x))
            x = torch.cat([getattr(self, f"up{level + 1}_{level}")(x), skips.pop(level)], 1)
            if level > 1:
                x = getattr(self, f"reduce_chan_level{level}")(x)
            x = getattr(self, f"decoder_level{level}")(x)
        x = self.refinement(x)
        if self.config.dual_pixel:
            return self.output(x + self.skip_conv(embedded))
        x = self.output(x).float()
        return x + picture if self.config.residual else x

    def restore(self, picture):
        """Any size: pads right and bottom by reflection (edge not repeated) to what the levels need, crops back."""
        height, width = picture.shape[-2:]
        padded = pad_by_reflection(picture, -height % self.multiple, -width % self.multiple)
        return self(padded)[..., :height, :width]


def pad_by_reflection(picture, bottom, right):
    """Step by step, because a picture smaller than its padding cannot be reflected in one go."""
    while bottom or right:
        height, width = picture.shape[-2:]
        step_y, step_x = min(bottom, height - 1), min(right, width - 1)
        if height == 1:                     # nothing to reflect: repeat the only row
            picture, step_y = picture.expand(*picture.shape[:-2], 1 + bottom, width), bottom
        elif step_y:
            picture = F.pad(picture, (0, 0, 0, step_y), mode="reflect")
        if width == 1:
            picture, step_x = picture.expand(*picture.shape[:-1], 1 + right), right
        elif step_x:
            picture = F.pad(picture, (0, step_x, 0, 0), mode="reflect")
        bottom, right = bottom - step_y, right - step_x
    return picture


def parameter_count(model):
    return sum(p.numel() for p in model.parameters())


def gmac(config, height=256, width=256):
    """Multiply-accumulates of the convolutions on one picture, in units of 1e9, counted as the paper does (141 for its
    model at 256 x 256): without the products q k and A v."""
    def block(channels, heads, kind, hidden=None):
        hidden = hidden or int(channels * config.ffn_expansion_factor)
        attention = 4 * channels ** 2 + 27 * channels
        return 3 * channels * hidden + 18 * hidden + (attention if kind == "mdta" else 0)

    levels, dim = len(config.num_blocks), config.dim
    last = 2 * dim if levels > 1 else dim
    per_pixel = 9 * config.in_channels * dim + 9 * last * config.out_channels
    per_pixel += dim * last if config.dual_pixel else 0
    per_pixel += config.num_refinement_blocks * block(last, config.heads[0], config.attention_kinds[0])
    for level in range(1, levels + 1):
        width_here, area = dim * 2 ** (level - 1), 4.0 ** (1 - level)
        one = block(width_here, config.heads[level - 1], config.attention_kinds[level - 1])
        per_pixel += area * config.num_blocks[level - 1] * one
        if level < levels:
            decoder_width = max(width_here, 2 * dim)
            one = block(decoder_width, config.heads[level - 1], config.attention_kinds[level - 1])
            per_pixel += area * config.num_blocks[level - 1] * one
            per_pixel += area * 9 * width_here ** 2 / 2                              # down
            below, prompt = 2 * width_here, config.level_prompts[level]
            if prompt is not None:
                joined, below = below + prompt["dim"], prompt["out_channels"]
                one = block(joined, prompt["heads"], "mdta", prompt["ffn_hidden"])
                per_pixel += area / 4 * (9 * prompt["dim"] ** 2 + one + joined * below)
            per_pixel += area / 4 * 9 * below ** 2 * 2                               # up
            per_pixel += area * (below / 2 + width_here) * width_here if level > 1 else 0    # reduce_chan
    return per_pixel * height * width / 1e9
