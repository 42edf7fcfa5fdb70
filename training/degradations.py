"""What is done to clean patches to make the network's input. Everything draws from a torch.Generator: repeatable.

Every kind KIND has two functions: KIND(clean, generator, **options) for training, and KIND_validation(clean, seed),
which returns (name, target, degraded) for the validation curve. Where the picture that is to come out is not the patch as it
was (made grey, softened), `clean` is changed in place.
"""
import io
import math

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image


def uniform(generator, count, low, high):
    return (torch.rand(count, generator=generator) * (high - low) + low).view(-1, 1, 1, 1)


def log_uniform(generator, count, low, high):
    return uniform(generator, count, np.log(low), np.log(high)).exp()


def gaussian_noise(clean, generator, sigma_max=55.0, gentle_share=0.15, gentle_max=6.0, grey_share=0.12):
    """Blind Gaussian noise as the papers measure it: float, neither clipped nor rounded; sigma in 8-bit grey levels.

    Sigma is uniform up to a little beyond 50 so that 50 is not the edge of what was seen. A share of the patches has
    hardly any noise, and one in four of those has none at all, so that a clean picture passes through unharmed.
    A share of colour patches becomes grey, in place, with the same noise in every channel: this is how a grey picture
    goes through a colour model.
    """
    n = clean.shape[0]
    sigma = uniform(generator, n, 0, sigma_max)
    gentle = uniform(generator, n, -gentle_max / 3, gentle_max).clamp_min(0)      # a quarter of these: exactly none
    sigma = torch.where(uniform(generator, n, 0, 1) < gentle_share, gentle, sigma)
    noise = torch.randn(clean.shape, generator=generator)
    if clean.shape[1] == 3:
        grey = uniform(generator, n, 0, 1) < grey_share
        luma = (clean * clean.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
        clean.copy_(torch.where(grey, luma, clean))
        noise = torch.where(grey, noise[:, :1], noise)
    return clean + noise * (sigma / 255)


def gaussian_noise_validation(clean, seed):
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed))
    return [(f"sigma{s}", clean, clean + noise * (s / 255)) for s in (0, 15, 25, 50)]


def to_linear(x):
    """sRGB to linear light."""
    return torch.where(x <= 0.04045, x / 12.92, ((x.clamp_min(0.04045) + 0.055) / 1.055) ** 2.4)


def to_srgb(x):
    return torch.where(x <= 0.0031308, x * 12.92, 1.055 * x.clamp_min(0.0031308) ** (1 / 2.4) - 0.055)


def bayer_masks(height, width):
    """[3, height, width]: 1 where an RGGB sensor measures red, green, blue."""
    masks = torch.zeros(3, height, width)
    masks[0, 0::2, 0::2] = 1
    masks[1, 0::2, 1::2] = masks[1, 1::2, 0::2] = 1
    masks[2, 1::2, 1::2] = 1
    return masks


def demosaicked(noise):
    """Noise of three channels as a Bayer sensor (RGGB) measures it, with what was not measured filled in bilinearly:
    this is what gives the noise of real pictures its blotches and ties neighbouring pixels together."""
    mask = bayer_masks(*noise.shape[-2:])
    cross, square = [[0, 1, 0], [1, 4, 1], [0, 1, 0]], [[1, 2, 1], [2, 4, 2], [1, 2, 1]]
    kernel = torch.tensor([square, cross, square], dtype=noise.dtype).view(3, 1, 3, 3) / 4
    return F.conv2d(F.pad(noise * mask, (1, 1, 1, 1), mode="reflect"), kernel, groups=3)


def jpeg(picture, quality):
    """[3, h, w] through JPEG with subsampled chroma, the way cameras and phones write it."""
    pixels = (picture.clamp(0, 1) * 255 + 0.5).to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality, subsampling=2 if quality < 92 else 0)
    return torch.from_numpy(np.array(Image.open(buffer))).permute(2, 0, 1).float() / 255


def camera(clean, generator, shot_max=0.02, read_max=0.02, jpeg_share=0.7, clean_share=0.05):
    """Noise as a camera makes it: Poisson-Gaussian on the sensor (linear light, before white balance), correlated by
    demosaicking, shaped by the tone curve, then perhaps JPEG. The target stays the picture as it was."""
    n = clean.shape[0]
    shot = log_uniform(generator, n, 1e-4, shot_max)            # variance per unit of light
    read = log_uniform(generator, n, 1e-4, read_max)            # standard deviation in the dark
    red, blue = (uniform(generator, n, 1.2, 2.4) for _ in range(2))
    balance = torch.cat([red, torch.ones_like(red), blue], 1)
    light = to_linear(clean)
    deviation = (shot * light / balance + read ** 2).sqrt()     # on the sensor, where red and blue arrive weaker
    noise = demosaicked(torch.randn(clean.shape, generator=generator) * deviation) * balance
    result = to_srgb((light + noise).clamp(0, 1))
    choice, quality = uniform(generator, n, 0, 1).flatten(), uniform(generator, n, 55, 98).flatten()
    for i in range(n):
        if choice[i] < clean_share:
            result[i] = clean[i]
        elif choice[i] < clean_share + jpeg_share:
            result[i] = jpeg(result[i], int(quality[i]))
    return result


def camera_validation(clean, seed):
    """The clean picture itself, and noise from weak to strong; parameters are pinned, the noise is drawn from the seed."""
    results = [("clean", clean, clean)]
    for name, level in (("weak", 0.002), ("middle", 0.006), ("strong", 0.02)):
        generator = torch.Generator().manual_seed(seed)
        light = to_linear(clean)
        noise = demosaicked(torch.randn(clean.shape, generator=generator) * (level * light / 1.6 + level ** 2).sqrt()) * 1.6
        results.append((name, clean, jpeg(to_srgb((light + noise).clamp(0, 1))[0], 85)[None]))
    return results


# ---- Real photographs: what a camera and later programs leave in a picture, one patch at a time ----

class Dice:
    """Draws from a torch.Generator, one number at a time."""

    def __init__(self, generator):
        self.generator = generator

    def uniform(self, low=0.0, high=1.0):
        return low + (high - low) * torch.rand((), generator=self.generator).item()

    def log_uniform(self, low, high):
        return math.exp(self.uniform(math.log(low), math.log(high)))

    def chance(self, share):
        return self.uniform() < share

    def below(self, n):
        return min(n - 1, int(self.uniform(0, n)))

    def normal(self, shape):
        return torch.randn(shape, generator=self.generator)


def blur(x, sigma):
    """[1, c, h, w] by a Gaussian, edges reflected; a sigma below 0.15 pixels changes nothing."""
    if sigma < 0.15:
        return x
    radius = min(math.ceil(3 * sigma), min(x.shape[-2:]) - 1)
    line = torch.exp(-torch.arange(-radius, radius + 1).float() ** 2 / (2 * sigma ** 2))
    line = line / line.sum()
    maps = F.pad(x.transpose(0, 1), (radius,) * 4, mode="reflect")
    return F.conv2d(F.conv2d(maps, line.view(1, 1, 1, -1)), line.view(1, 1, -1, 1)).transpose(0, 1)


def luma_of(x):
    """Y of JPEG (ITU-R 601): [1, 3, h, w] -> [1, 1, h, w]"""
    return (x * x.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)


def make_grey(clean):
    clean.copy_(luma_of(clean).expand_as(clean))


def soften(clean, dice):
    """In place. A camera's picture at its full resolution is softer than the scaled down photographs one trains on."""
    h, w = clean.shape[-2:]
    if dice.chance(0.5):
        zoom = dice.uniform(1.2, 2.5)
        part = clean[..., :math.ceil(h / zoom), :math.ceil(w / zoom)]
        clean.copy_(F.interpolate(part, size=(h, w), mode="bicubic", align_corners=False).clamp(0, 1))
    else:
        clean.copy_(blur(clean, dice.uniform(0.4, 1.4)))


def jpeg_at(picture, quality, subsampling, y, x):
    """[1, 3, h, w] through JPEG whose grid of blocks begins y, x (0 to 7) pixels before the patch. subsampling: Pillow's,
    0: 4:4:4, 1: 4:2:2, 2: 4:2:0. A grey picture becomes a grey file."""
    pixels = (F.pad(picture, (x, 0, y, 0), mode="reflect")[0].clamp(0, 1) * 255).round().to(torch.uint8)
    grey = bool((pixels[0] == pixels[1]).all() and (pixels[0] == pixels[2]).all())
    image = Image.fromarray(pixels[0].numpy() if grey else pixels.permute(1, 2, 0).contiguous().numpy())
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, **({} if grey else {"subsampling": subsampling}))
    result = torch.from_numpy(np.array(Image.open(buffer).convert("RGB"))).permute(2, 0, 1)[None].float() / 255
    return result[..., y:, x:]


def jpeg_somehow(picture, dice, quality, again=None):
    """JPEG of a quality, and before it, perhaps, of another: again(), at another place. Half the grids begin with the
    patch, as those of whole pictures do."""
    place = (0, 0) if dice.chance(0.5) else (dice.below(8), dice.below(8))
    if again is not None:
        picture = jpeg_at(picture, again, 2 if dice.chance(0.6) else 0, dice.below(8), dice.below(8))
    kind = dice.uniform()
    return jpeg_at(picture, quality, 2 if kind < 0.55 else 0 if kind < 0.9 else 1, *place)


def demosaicked_by_differences(noise):
    """As demosaicked(), but red and blue are filled in as their differences to green, as most raw converters do in some
    way: fine grain is then common to the three channels, and colour noise is coarse."""
    masks = bayer_masks(*noise.shape[-2:])
    cross, square = [[0, 1, 0], [1, 4, 1], [0, 1, 0]], [[1, 2, 1], [2, 4, 2], [1, 2, 1]]

    def fill(x, kernel):
        return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), x.new_tensor(kernel).view(1, 1, 3, 3) / 4)

    green = fill(noise[:, 1:2] * masks[1], cross)
    red, blue = (green + fill((noise[:, c:c + 1] - green) * masks[c], square) for c in (0, 2))
    return torch.cat([red, green, blue], 1)


def sensor_noise(clean, dice):
    """Noise of any strength as it looks after demosaicking, white balance, colour matrix and tone curve, all linearised
    about the clean picture. What is taken from elsewhere: variance = shot * light + read^2, gains of red and blue (Brooks
    et al. 2019, "Unprocessing Images for Learned Raw Denoising", section 3); a colour matrix that keeps grey."""
    light = to_linear(clean)
    balance = light.new_tensor([dice.uniform(1.3, 2.4), 1.0, dice.uniform(1.4, 2.4)]).view(1, 3, 1, 1)
    floor = dice.log_uniform(3e-4, 0.03)            # read^2 / shot: the light at which both kinds are alike
    deviation = (light / balance + floor).sqrt()
    turn = (dice.below(2), dice.below(2))           # where the colour filters begin
    noise = torch.roll(dice.normal(clean.shape) * deviation, turn, (2, 3))
    noise = (demosaicked_by_differences if dice.chance(0.6) else demosaicked)(noise)
    noise = torch.roll(noise, (-turn[0], -turn[1]), (2, 3)) * balance
    strength = dice.uniform(0, 1)                   # of the colour matrix: 1 is that of a typical camera
    matrix = torch.eye(3) + strength * torch.tensor([[0.7, -0.6, -0.1], [-0.25, 0.55, -0.3], [0.0, -0.6, 0.6]])
    noise = torch.einsum("ij,njhw->nihw", matrix, noise)
    # slope of the sRGB curve, and of what a camera's own curve adds: in its pictures noise is strongest in the middle tones
    slope = light.clamp_min(0.0031308) ** (1 / 2.4 - 1)
    y = luma_of(clean)
    return noise * slope * (y + 0.02) ** dice.uniform(0.2, 1.0) * (1 - dice.uniform(0.2, 0.95) * y ** dice.uniform(1.2, 3))


def deviation_of(x):
    return x.square().mean().sqrt().clamp_min(1e-8)


def processed(noise, clean, dice):
    """What the camera does to noise: reduction that leaves coarse grain, coarser in colour, and less of it where the
    picture is flat; sharpening. Colour comes out at about half of the luma's deviation."""
    luma = luma_of(noise)
    chroma = noise - luma
    if dice.chance(0.85):
        fine, coarse = dice.uniform(0, 0.25), blur(luma, dice.uniform(0.35, 1.2))
        luma = fine * luma / deviation_of(luma) + (1 - fine) * coarse / deviation_of(coarse)
        chroma = blur(chroma, dice.uniform(0.7, 2.2))
        if dice.chance(0.6):                        # blotches
            wide = blur(chroma, dice.uniform(1.5, 4))
            chroma = chroma / deviation_of(chroma) + dice.uniform(0, 0.7) * wide / deviation_of(wide)
    if dice.chance(0.4):
        luma = luma + dice.uniform(0, 0.8) * (luma - blur(luma, dice.uniform(0.7, 1.5)))
    chroma = chroma * (deviation_of(luma) / deviation_of(chroma)) * dice.log_uniform(0.45, 1.4)
    noise = luma + chroma
    if dice.chance(0.75):
        y = luma_of(clean)
        detail = blur((y - blur(y, 1.5)).abs(), 2.0)
        rest = dice.uniform(0.2, 1.0)
        noise = noise * (rest + (1 - rest) * detail / (detail + dice.log_uniform(0.004, 0.03)))
    return noise


def camera_noise(clean, dice, level=None):
    """Noise for a clean patch; level: its deviation in green, in grey levels, by default mostly 2 to 8."""
    h, w = clean.shape[-2:]
    if level is None:
        level = math.exp(math.log(4.2) + 0.65 * dice.normal(()).item()) if dice.chance(0.9) else dice.uniform(8, 30)
    if dice.chance(0.3):                            # resized after the noise came in
        factor = dice.log_uniform(0.5, 1.4)
        size = [max(16, round(side / factor)) for side in (h, w)]
        big = F.interpolate(clean, size=size, mode="bilinear", align_corners=False)
        noise = processed(sensor_noise(big, dice), big, dice)
        noise = F.interpolate(noise, size=(h, w), mode="bicubic", align_corners=False, antialias=True)
    else:
        noise = processed(sensor_noise(clean, dice), clean, dice)
    return noise * (min(level, 40.0) / 255 / deviation_of(noise[:, 1]))


def real_patch(clean, dice, camera_share, gaussian_share, jpeg_share, grey_share):
    kind = dice.uniform()
    if kind < camera_share:
        if dice.chance(0.75):
            soften(clean, dice)
        if dice.chance(grey_share / 4):
            make_grey(clean)
            noisy = clean + luma_of(camera_noise(clean, dice))
        else:
            noisy = clean + camera_noise(clean, dice)
        noisy = (noisy.clamp(0, 1) * 255).round() / 255
        if dice.chance(0.5):
            noisy = jpeg_somehow(noisy, dice, round(100 - dice.log_uniform(1, 40)))
        return noisy
    if kind < camera_share + gaussian_share:
        noisy = gaussian_noise(clean, dice.generator)
        if dice.chance(0.25):
            return jpeg_somehow(noisy, dice, round(dice.uniform(40, 98)))
        return (noisy.clamp(0, 1) * 255).round() / 255 if dice.chance(0.3) else noisy
    if dice.chance(0.15):
        soften(clean, dice)
    if kind < camera_share + gaussian_share + jpeg_share:
        if dice.chance(grey_share):
            make_grey(clean)
        again = round(dice.uniform(15, 95)) if dice.chance(0.33) else None
        quality = 8 + 87 * dice.uniform() ** 2 if dice.chance(0.5) else dice.uniform(10, 60)
        return jpeg_somehow(clean, dice, round(quality), again)
    return clean.clone()


def real(clean, generator, camera_share=0.34, gaussian_share=0.24, jpeg_share=0.36, grey_share=0.45):
    """Camera noise, Gaussian noise, JPEG, and a few patches with nothing done to them."""
    dice = Dice(generator)
    return torch.cat([real_patch(clean[i:i + 1], dice, camera_share, gaussian_share, jpeg_share, grey_share)
                      for i in range(clean.shape[0])])


def real_validation(clean, seed):
    def dice():
        return Dice(torch.Generator().manual_seed(seed))

    grey = clean.clone()
    make_grey(grey)
    soft = blur(clean, 0.8)
    noise = torch.randn(clean.shape, generator=dice().generator)
    return [("clean", clean, clean), ("camera4", soft, (soft + camera_noise(soft, dice(), 4)).clamp(0, 1)),
            ("camera10", clean, (clean + camera_noise(clean, dice(), 10)).clamp(0, 1)), ("sigma25", clean, clean + noise * (25 / 255)),
            ("jpeg20", clean, jpeg_at(clean, 20, 2, 0, 0)), ("grey10", grey, jpeg_at(grey, 10, 0, 0, 0)),
            ("grey40", grey, jpeg_at(grey, 40, 0, 0, 0))]


# ---- Rain: streaks of several depths, added or blended, one patch at a time ----

def rain_layer(size, dice, angle, length, width, covered, spread):
    """[1, 1, h, w]: the streaks of one depth, a typical one with brightness 1 along its middle.

    A drop that falls during the exposure is smeared to a line. It is a wide-angle lens, so that its brightness depends little
    on what is right behind it (Garg & Nayar 2007, "Vision and Rain", and their "Photometric Model of a Rain Drop"): mostly it
    brightens. Usual sets of pictures get such lines from noise blurred along a direction, of several densities (Zhang & Patel
    2018, "Density-aware single image de-raining"); here each is drawn by itself, as points a pixel apart or less, so that
    length, direction and brightness are its own.

    angle: from the vertical, radians; length, width: pixels, a typical streak's and the deviation of its profile; covered:
    share of the patch within one width of a streak's middle; spread: deviation of the brightnesses' logarithms.
    """
    border = math.ceil(3 * width)
    h, w = (side + 2 * border for side in size)
    reach = length * 0.75                           # where the middle of a streak outside may be that is seen inside
    count = max(1, round(covered * (h + 2 * reach) * (w + 2 * reach) / (2 * width * length)))
    y, x, bright, stretch, turn = (torch.rand(count, generator=dice.generator), torch.rand(count, generator=dice.generator),
                                   *dice.normal((3, count)))
    lengths = length * (0.35 * stretch).exp().clamp(0.3, 2.5)
    along = torch.linspace(-0.5, 0.5, math.ceil(1.5 * length) + 1)
    ends = (1 - (2 * along) ** 2).clamp_min(0) ** dice.uniform(0.1, 1.2)      # how slowly it begins and ends
    weight = (spread * bright).exp() * lengths / (along.numel() - 1)
    turn = angle + dice.uniform(0, 0.05) * turn
    offset = along * lengths[:, None]
    y = (y * (h + 2 * reach) - reach)[:, None] + offset * turn.cos()[:, None]
    x = (x * (w + 2 * reach) - reach)[:, None] + offset * turn.sin()[:, None]
    weight = weight[:, None] * ends
    inside = (y >= 0) & (y < h - 1) & (x >= 0) & (x < w - 1)
    y, x, weight = y[inside], x[inside], weight[inside]
    top, left = y.floor(), x.floor()
    fy, fx, at = y - top, x - left, (top * w + left).long()
    canvas = torch.zeros(h * w)
    for step, share in ((0, (1 - fy) * (1 - fx)), (1, (1 - fy) * fx), (w, fy * (1 - fx)), (w + 1, fy * fx)):
        canvas.index_add_(0, at + step, weight * share)
    profile = math.sqrt(2 * math.pi) * width        # what the middle of a line loses when it is blurred
    return profile * blur(canvas.view(1, 1, h, w), width)[..., border:border + size[0], border:border + size[1]]


def rain_map(size, dice, level=None):
    """[1, 1, h, w], 0 to 1: one to three layers that may cross (several directions: Yang et al. 2017, "Deep joint rain
    detection and removal"), far ones with many small streaks, near ones with few large. level: brightness of a typical
    streak, by default from hardly visible to bright."""
    if level is None:
        level = dice.log_uniform(0.03, 0.4)
    angle = math.radians(dice.uniform(-40, 40) if dice.chance(0.85) else dice.uniform(-80, 80))
    density = dice.log_uniform(0.05, 0.55)
    spread = dice.uniform(0.3, 1.0)
    total = 0
    layers = 1 + dice.below(3)
    for layer in range(layers):
        near = dice.log_uniform(0.7, 2.2)           # size of its streaks: distance to the lens
        if layer and dice.chance(0.3):              # gusts, or sets that cross two directions
            angle = angle + math.radians(dice.uniform(-25, 25))
        streaks = rain_layer(size, dice, angle, dice.log_uniform(15, 80) * near, dice.uniform(0.5, 0.95) * near,
                             density / layers / near, spread)
        total = total + streaks * level * dice.log_uniform(0.6, 1.6)
    if dice.chance(0.15):
        total = blur(total, dice.uniform(0.3, 1.0))
    return total.clamp(0, 1)


def veil(clean, dice):
    """In place: the mist that streaks too far to be seen singly add up to (Yang et al. 2017). It belongs to what is to come
    out, as a patch cannot tell it from a pale scene: the model takes streaks away, not fog."""
    through = dice.uniform(0.6, 0.95)
    clean.mul_(through).add_((1 - through) * dice.uniform(0.55, 0.95))


def with_rain(clean, streaks, dice):
    """Streaks on a patch: added, as in the usual sets; screen, which takes no streak beyond white; or drops as half
    transparent grey of the sky's brightness, hardly seen before the sky."""
    kind = dice.uniform()
    if kind < 0.65:
        return clean + streaks
    if kind < 0.85:
        return clean + streaks * (1 - clean)
    sky = dice.uniform(0.8, 1.0) + 0.03 * dice.normal((1, clean.shape[1], 1, 1))
    return clean + streaks * (sky - clean).clamp_min(0)


def rain_patch(clean, dice, clean_share, jpeg_share, grey_share):
    if dice.chance(grey_share):
        make_grey(clean)
    if dice.chance(clean_share):
        return clean.clone()
    streaks = rain_map(clean.shape[-2:], dice)
    if dice.chance(0.1):
        veil(clean, dice)
    rainy = with_rain(clean, streaks, dice).clamp(0, 1)
    if dice.chance(jpeg_share):
        return jpeg_somehow(rainy, dice, round(dice.uniform(70, 97)))
    return (rainy * 255).round() / 255


def rain(clean, generator, clean_share=0.08, jpeg_share=0.12, grey_share=0.05):
    """Rain streaks from drizzle to heavy rain, some after light JPEG, and patches with nothing done to them."""
    dice = Dice(generator)
    return torch.cat([rain_patch(clean[i:i + 1], dice, clean_share, jpeg_share, grey_share) for i in range(clean.shape[0])])


def rain_validation(clean, seed):
    """The clean picture itself, and streaks of three strengths added to it; the rest is drawn from the seed."""
    results = [("clean", clean, clean)]
    for name, level in (("drizzle", 0.05), ("rain", 0.12), ("downpour", 0.3)):
        streaks = rain_map(clean.shape[-2:], Dice(torch.Generator().manual_seed(seed)), level)
        results.append((name, clean, (clean + streaks).clamp(0, 1)))
    return results
