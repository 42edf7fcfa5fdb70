#!/usr/bin/env python3
"""Tests of the training code: small networks, a few seconds.  python3 test_training.py"""
import json
import math
import os
import subprocess
import sys
import tempfile
import unittest

import numpy as np
import torch
from PIL import Image

import degradations
import fast_cpu
import metrics
import photos
from batches import Batches
from checkpoints import config_of, load_model, state_dict_of
from flat import FlatTraining, orthogonal
from restormer import ModelConfig, Restormer, TransformerBlock, gmac, pad_by_reflection, parameter_count, window_starts
from schedule import Schedule

HERE = os.path.dirname(os.path.abspath(__file__))
CONFIGS = sorted(os.listdir(os.path.join(HERE, "configs")))


def read_config(name):
    with open(os.path.join(HERE, "configs", name), encoding="utf-8") as file:
        return json.load(file)


def tiny(**options):
    return ModelConfig(**{"dim": 8, "num_blocks": [1, 1], "num_refinement_blocks": 1, "heads": [1, 2], **options})


class Network(unittest.TestCase):
    def test_published_size_and_cost(self):
        model = Restormer(ModelConfig())
        self.assertEqual(parameter_count(model), 26_126_644)
        self.assertEqual(parameter_count(Restormer(ModelConfig(layer_norm="BiasFree"))), 26_111_668)
        self.assertAlmostEqual(gmac(ModelConfig()), 140.99, places=2)

    def test_promptir_has_its_size_and_cost(self):
        def prompt(dim, size, ffn_hidden, out_channels):
            return {"length": 5, "dim": dim, "size": size, "heads": 4, "ffn_hidden": ffn_hidden, "out_channels": out_channels}

        config = ModelConfig(prompts=[None, prompt(64, 64, 425, 96), prompt(128, 32, 851, 192), prompt(320, 16, 1872, 192)])
        model = Restormer(config)
        # 35,592,263 with the six convolutions that are in its checkpoints and do not run
        self.assertEqual(parameter_count(model), 35_376_967)
        self.assertAlmostEqual(gmac(config), 158.14, places=2)
        self.assertEqual(config_of(model.state_dict()), config)

    def test_every_number_of_levels_keeps_the_size(self):
        for levels in range(1, 6):
            model = Restormer(tiny(num_blocks=[1] * levels, heads=[1] * levels))
            self.assertEqual(model.restore(torch.rand(1, 3, 17, 21)).shape, (1, 3, 17, 21), levels)

    def test_untrained_network_returns_the_picture(self):
        picture = torch.rand(1, 3, 16, 16)
        self.assertTrue(torch.equal(Restormer(tiny())(picture), picture))

    def test_attention_none_has_no_attention_tensors(self):
        names = Restormer(tiny(attention=["none", "mdta"])).state_dict()
        self.assertFalse(any(n.startswith("encoder_level1.0.attn") or n.startswith("refinement.0.norm1") for n in names))
        self.assertIn("latent.0.attn.temperature", names)

    def test_wrong_configurations_are_refused(self):
        for options in ({"heads": [1]}, {"layer_norm": "None"}, {"attention": ["mdta"]}, {"attention": "full"}):
            with self.assertRaises(ValueError, msg=str(options)):
                tiny(**options)

    def test_configuration_is_read_off_a_state_dict(self):
        config = tiny(num_blocks=[1, 2, 3], heads=[1, 2, 4], bias=True, ffn_expansion_factor=2.66)
        state = state_dict_of({"params": {"module." + k: v for k, v in Restormer(config).state_dict().items()}})
        self.assertEqual(config_of(state).to_dict(), config.to_dict())

    def test_windows_as_large_as_the_picture_change_nothing(self):
        torch.manual_seed(0)
        model, picture = Restormer(tiny()), torch.rand(1, 3, 32, 48)
        torch.nn.init.normal_(model.output.weight)
        whole = model(picture)
        model.set_window(48)
        self.assertLess((model(picture) - whole).abs().max().item(), 1e-5)
        model.set_window(16)
        self.assertGreater((model(picture) - whole).abs().max().item(), 1e-5)

    def test_window_starts_cover_the_axis(self):
        self.assertEqual(window_starts(10, 16), ([0], 10))
        self.assertEqual(window_starts(96, 32), ([0, 32, 64], 32))
        starts, window = window_starts(83, 32)
        self.assertEqual(starts[-1] + window, 83)

    def test_padding_reflects_without_the_edge_and_repeats_single_rows(self):
        row = torch.tensor([[[[1.0, 2, 3]]]])
        self.assertEqual(pad_by_reflection(row, 0, 4).flatten().tolist(), [1, 2, 3, 2, 1, 2, 3])
        self.assertEqual(pad_by_reflection(torch.ones(1, 1, 1, 1), 7, 7).shape, (1, 1, 8, 8))

    def test_black_picture_has_finite_gradients(self):
        model = Restormer(tiny(layer_norm="BiasFree"))
        torch.nn.init.normal_(model.output.weight)
        model(torch.zeros(1, 3, 16, 16)).sum().backward()
        self.assertTrue(all(p.grad.isfinite().all() for p in model.parameters()))


def fused_type():
    """What the fused kernels compute in on this processor."""
    return torch.bfloat16 if fast_cpu.available() and fast_cpu.library().fused_bits() == 16 else torch.float32


class Kernels(unittest.TestCase):
    def compare(self, module, x, tolerance):
        """Result and all gradients of the C kernels in the input's type against plain PyTorch in float32."""
        def run(x, grad):
            x = x.clone().requires_grad_()
            module.zero_grad()
            y = module(x)
            y.backward(grad)
            return [y.detach(), x.grad] + [p.grad.clone() for p in module.parameters()]

        grad = torch.randn_like(x)
        fast = run(x, grad)
        available, fast_cpu.available = fast_cpu.available, lambda: False
        with torch.autocast("cpu", enabled=False):
            plain = run(x.float(), grad.float())
        fast_cpu.available = available
        for a, b in zip(fast, plain):
            self.assertLess(((a.float() - b).norm() / b.norm()).item(), tolerance)

    def test_blocks_match_plain_pytorch(self):
        if not fast_cpu.available():
            self.skipTest("no C compiler")
        torch.manual_seed(0)
        shapes = ((24, "BiasFree", 3, 16, 20), (48, "WithBias", 5, 8, 64), (96, "BiasFree", 2, 6, 10), (16, "WithBias", 1, 7, 9))
        for channels, kind, n, h, w in shapes:
            # where no fused kernel takes bfloat16, as with attention of 24 channels, it is autocast whose errors are seen
            fused = fused_type() == torch.bfloat16 and channels != 24
            for dtype, tolerance in ((torch.float32, 1e-5), (torch.bfloat16, 0.03 if fused else 0.1)):
                for attention in ("mdta", "none"):
                    block = TransformerBlock(channels, channels // 8, tiny(layer_norm=kind, ffn_expansion_factor=2.0), attention)
                    block.to(memory_format=torch.channels_last)
                    for p in block.parameters():
                        torch.nn.init.normal_(p, std=0.3 if p.dim() > 1 else 0.5)
                    x = torch.randn(n, channels, h, w).to(dtype).contiguous(memory_format=torch.channels_last)
                    with self.subTest(channels=channels, kind=kind, dtype=dtype, attention=attention), \
                            torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
                        self.compare(block, x, tolerance)

    def test_shipped_widths_run_in_fused_kernels(self):
        if not fast_cpu.available() or fast_cpu.wanted() != "fused":
            self.skipTest("no fused kernels")
        for channels, heads in ((48, 2), (96, 4), (192, 8)):
            block = TransformerBlock(channels, heads, tiny(layer_norm="BiasFree", ffn_expansion_factor=2.0), "mdta")
            x = torch.rand(1, channels, 8, 8).to(fused_type()).contiguous(memory_format=torch.channels_last)
            self.assertIsNotNone(fast_cpu.mdta(x, block.norm1.body, block.attn), channels)
            self.assertIsNotNone(fast_cpu.gdfn(x, block.norm2.body, block.ffn), channels)

    def test_result_does_not_depend_on_threads(self):
        if not fast_cpu.available():
            self.skipTest("no C compiler")
        block = TransformerBlock(48, 1, tiny(ffn_expansion_factor=2.0), "none").to(memory_format=torch.channels_last)
        x = torch.randn(5, 48, 16, 16).to(fused_type()).contiguous(memory_format=torch.channels_last)
        gradients, threads = [], torch.get_num_threads()
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            block.zero_grad()
            block(x).sum().backward()
            gradients.append(block.ffn.project_in.weight.grad.clone())
        torch.set_num_threads(threads)
        self.assertTrue(torch.equal(gradients[0], gradients[1]) and torch.equal(gradients[0], gradients[2]))


class Optimizer(unittest.TestCase):
    def test_two_flat_workers_do_what_adamw_does(self):
        torch.manual_seed(0)
        ours, theirs = (torch.nn.Linear(7, 5) for _ in range(2))
        theirs.load_state_dict(ours.state_dict())
        reference = torch.optim.AdamW(theirs.parameters(), lr=0.01, betas=(0.9, 0.99), weight_decay=0.1)
        flat = FlatTraining(ours, 2, torch.device("cpu"))
        for step in range(1, 4):
            x = torch.randn(6, 7)
            reference.zero_grad()
            (theirs(x).square().sum() / 6).backward()
            torch.nn.utils.clip_grad_norm_(theirs.parameters(), 0.5)
            reference.step()
            for worker in range(2):
                flat.attach(worker, 2)
                flat.zero_gradient()
                (ours(x[worker::2]).square().sum() / 6).backward()
            for action in (flat.gather, lambda: flat.update(step, 0.01, (0.9, 0.99), 0.1, 0.5, 0.9)):
                for worker in range(2):
                    flat.attach(worker, 2)
                    action()
        for a, b in zip(ours.parameters(), theirs.parameters()):
            self.assertLess((a - b).abs().max().item(), 1e-6)

    def test_orthogonal_evens_out_the_singular_values(self):
        torch.manual_seed(0)
        for shape in ((8, 8), (6, 30), (40, 5)):
            matrix = torch.randn(shape)
            u, values, v = torch.linalg.svd(orthogonal(matrix), full_matrices=False)
            self.assertTrue(0.6 < values.min() and values.max() < 1.25, values)
            nearest = torch.linalg.svd(matrix, full_matrices=False)
            self.assertGreater((orthogonal(matrix) * (nearest[0] @ nearest[2])).sum().item() / min(shape), 0.75)

    def test_muon_is_the_same_for_every_number_of_workers_and_learns(self):
        states, losses = [], []
        for workers in (1, 2, 3):
            torch.manual_seed(3)
            model = Restormer(tiny())
            torch.nn.init.normal_(model.output.weight, std=0.01)
            flat = FlatTraining(model, workers, torch.device("cpu"), "muon")
            x, target = torch.rand(6, 3, 16, 16), torch.rand(6, 3, 16, 16)
            for step in range(1, 5):
                total = 0
                for worker in range(workers):
                    flat.attach(worker, workers)
                    flat.zero_gradient()
                    loss = (model(x[worker::workers]) - target[worker::workers]).square().sum() / x.numel()
                    loss.backward()
                    total += loss.item()
                losses.append(total)
                for action in (flat.gather, lambda: flat.update(step, 0.01, (0.9, 0.99), 0, 10, 0.9)):
                    for worker in range(workers):
                        flat.attach(worker, workers)
                        action()
            states.append(flat.shared["params"].clone())
        for other in states[1:]:
            self.assertLess((states[0] - other).abs().max().item(), 1e-3)
        self.assertLess(losses[3], 0.95 * losses[0])

    def test_gradient_that_is_not_finite_changes_nothing(self):
        model = torch.nn.Linear(2, 2)
        flat = FlatTraining(model, 1, torch.device("cpu"))
        before = flat.shared["params"].clone()
        model.weight.grad.fill_(math.nan)
        flat.gather()
        self.assertFalse(math.isfinite(flat.update(1, 0.1, (0.9, 0.99), 0, 1, 0.9)))
        self.assertTrue(torch.equal(before, flat.shared["params"]))

    def test_schedule_by_steps_warms_up_and_ends_at_the_floor(self):
        training = read_config("denoise-cpu.json")["training"]
        schedule = Schedule(training, None, 0.0)
        self.assertLess(schedule.learning_rate(0, 0.0), training["learning_rate"] / 100)
        self.assertAlmostEqual(schedule.learning_rate(training["steps"], schedule.progress(training["steps"])),
                               training["final_learning_rate"])
        self.assertEqual(schedule.patches(0.0), (training["stages"][0]["batch"], training["stages"][0]["patch"]))
        self.assertEqual(schedule.patches(1.0), (training["stages"][-1]["batch"], training["stages"][-1]["patch"]))


class Data(unittest.TestCase):
    def test_gaussian_noise_is_repeatable_and_sometimes_absent(self):
        clean = torch.full((400, 1, 8, 8), 0.5)
        noisy = [degradations.gaussian_noise(clean, torch.Generator().manual_seed(3)) for _ in range(2)]
        self.assertTrue(torch.equal(*noisy))
        sigma = (noisy[0] - clean).flatten(1).std(1) * 255
        self.assertTrue((sigma == 0).any() and (sigma > 48).any() and sigma.max() < 75)

    def test_some_colour_patches_become_grey_with_grey_noise(self):
        clean = torch.rand(64, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        noisy = degradations.gaussian_noise(clean, torch.Generator().manual_seed(1))

        def grey(x):
            return (x.max(1)[0] - x.min(1)[0]).flatten(1).max(1)[0] < 1e-6

        self.assertTrue(torch.equal(grey(clean), grey(noisy)))
        self.assertTrue(0 < grey(clean).sum().item() < 32)

    def test_camera_noise_is_repeatable_correlated_and_in_range(self):
        clean = torch.full((16, 3, 32, 32), 0.4)
        a, b = (degradations.camera(clean, torch.Generator().manual_seed(1)) for _ in range(2))
        self.assertTrue(torch.equal(a, b))
        self.assertTrue(a.min() >= 0 and a.max() <= 1)
        noise = degradations.demosaicked(torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(1)))
        self.assertGreater((noise[..., 1:] * noise[..., :-1]).mean().item(), 0.2)

    def camera_noises(self, count, soft=0.7):
        """(clean, noise) in grey levels: patches of the samples in data/, as the mixture `real` treats them."""
        source = photos.PatchSource([os.path.join(HERE, "..", "data", n) for n in ("cat.png", "coffee.png")], 3)
        for seed in range(count):
            dice = degradations.Dice(torch.Generator().manual_seed(seed))
            clean = degradations.blur(source.batch(1, 96, dice.generator), soft)
            yield clean[0] * 255, degradations.camera_noise(clean, dice)[0] * 255

    def test_camera_noise_has_the_statistics_of_real_noise(self):
        """The ranges are those of the real pairs of CC (Nam et al. 2016) and PolyU (Xu et al. 2018): their means lie inside."""
        def lag(x, k):
            return ((x[:, k:] * x[:, :-k]).mean() + (x[k:] * x[:-k]).mean()) / (2 * x.square().mean())

        def fine(x):            # share of the power above a quarter of the sampling frequency in either direction
            power = torch.fft.fft2(x).abs().square()
            f = torch.fft.fftfreq(x.shape[0]).abs()
            return power[torch.maximum(f[:, None], f[None]) > 0.25].sum() / power.sum()

        rows = []
        for _, noise in self.camera_noises(150):
            noise = noise - noise.mean((1, 2), keepdim=True)
            luma = degradations.luma_of(noise[None])[0, 0]
            green, red = noise[1], 0.713 * (noise[0] - luma)
            rows.append([green.std(), lag(green, 1), lag(green, 2), fine(green), red.std() / luma.std(), lag(red, 1)])
        rows = torch.tensor(rows)
        self.assertTrue(2 < rows[:, 0].median() < 7)
        self.assertTrue(((rows[:, 0] > 2) & (rows[:, 0] < 7)).float().mean() > 0.5)
        for name, value, low, high in zip(("green lag 1", "green lag 2", "fine", "Cr/Y", "Cr lag 1"), rows.mean(0)[1:].tolist(),
                                          (0.5, 0.12, 0.2, 0.38, 0.75), (0.7, 0.32, 0.33, 0.75, 0.95)):
            self.assertTrue(low < value < high, f"{name}: {value:.3f}, expected {low} to {high}")

    def test_camera_noise_is_weaker_in_shadows_and_highlights(self):
        """As real noise is, because of the tone curve: at 0..20 two thirds, at 50..140 a quarter more than everywhere."""
        power, count = torch.zeros(3), torch.zeros(3)
        for clean, noise in self.camera_noises(150):
            luma, square = degradations.luma_of(clean[None])[0, 0], (noise[1] / noise[1].std()) ** 2
            for i, (low, high) in enumerate(((0, 20), (50, 140), (215, 256))):
                inside = (luma >= low) & (luma < high)
                power[i] += square[inside].sum()
                count[i] += inside.sum()
        dark, middle, bright = (power / count).sqrt().tolist()
        self.assertTrue(0.4 < dark / middle < 0.9 and 0.3 < bright / middle < 0.95, (dark, middle, bright))

    def test_real_mixture_is_repeatable_and_leaves_some_patches_alone(self):
        clean = [torch.rand(100, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.25 for _ in range(2)]
        a, b = (degradations.real(c, torch.Generator().manual_seed(1)) for c in clean)
        self.assertTrue(torch.equal(a, b) and torch.equal(*clean))
        untouched = (a == clean[0]).flatten(1).all(1).sum().item()
        self.assertTrue(1 <= untouched <= 20, untouched)
        grey = ((clean[0].max(1)[0] - clean[0].min(1)[0]).flatten(1).max(1)[0] < 1e-6)
        self.assertTrue(5 <= grey.sum().item() <= 30, grey.sum())
        self.assertTrue(((a.max(1)[0] - a.min(1)[0])[grey] < 1e-6).all(), "grey patches have grey degradations")

    def test_rain_has_the_statistics_of_a_measured_set_and_more(self):
        """The ranges hold the middle 80 % of 80 squares of 128 pixels of Rain100L (Yang et al. 2017), the rainy pictures less the
        clean ones. Most of the rain has to be like that, and some weaker, some stronger, some more slanting."""
        rows = []
        for seed in range(200):
            streaks = degradations.rain_map((128, 128), degradations.Dice(torch.Generator().manual_seed(seed)))[0, 0]
            self.assertTrue(streaks.min() >= 0 and streaks.max() <= 1)
            streaks = (streaks * 255).round()
            y, x = streaks.diff(dim=0)[:, 1:], streaks.diff(dim=1)[1:]
            yy, xx, xy = (y * y).mean(), (x * x).mean(), (x * y).mean()
            root = ((xx - yy) ** 2 + 4 * xy ** 2).sqrt()        # between the largest and the smallest mean square of slopes
            mean, rms = streaks.mean(), streaks.square().mean().sqrt()
            rows.append([mean, rms, rms / mean, (streaks > 20).float().mean(), ((xx + yy + root) / (xx + yy - root)).sqrt(),
                         0.5 * torch.atan2(2 * xy, xx - yy).abs().rad2deg()])
        rows = torch.tensor(rows)
        rows = rows[rows[:, 0] > 0.1]
        measured = (("mean", 2.0, 10.3), ("rms", 6.3, 25.2), ("rms / mean", 2.1, 3.4), ("share above 20", 0.025, 0.163),
                    ("slopes across / along", 2.4, 6.5), ("slant", 1, 24))
        for (name, low, high), values in zip(measured, rows.t()):
            inside = ((values > low) & (values < high)).float().mean().item()
            with self.subTest(name):
                self.assertTrue(low < values.median() < high, f"median {values.median():.3f}, expected {low} to {high}")
                self.assertTrue(0.4 < inside < 0.8, f"{inside:.2f} inside {low} to {high}")
                self.assertTrue((values > high).any() and (values < low).any(), "no more than the measured range")

    def test_rain_only_brightens_and_leaves_some_patches_alone(self):
        def patches():
            return torch.rand(200, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 0.9

        clean = [patches() for _ in range(2)]
        a, b = (degradations.rain(c, torch.Generator().manual_seed(1), jpeg_share=0) for c in clean)
        self.assertTrue(torch.equal(a, b) and torch.equal(*clean))
        self.assertTrue((a > clean[0] - 0.51 / 255).all() and a.max() <= 1)
        untouched = (a == clean[0]).flatten(1).all(1).sum().item()
        self.assertTrue(6 <= untouched <= 32, untouched)
        self.assertTrue(2 <= ((clean[0] != patches()).flatten(1).any(1)).sum().item() <= 60, "made grey or veiled")
        through_jpeg = degradations.rain(patches(), torch.Generator().manual_seed(1), jpeg_share=1)
        self.assertTrue((through_jpeg < clean[0] - 2 / 255).any(), "after JPEG some places are darker")

    def test_jpeg_keeps_grey_grey_and_moves_its_grid(self):
        ramp = torch.linspace(0.2, 0.8, 64).expand(1, 3, 64, 64).contiguous()
        ramp[:, :, 20:] += 0.1 * torch.rand(1, 1, 44, 64, generator=torch.Generator().manual_seed(0))
        for y, x in ((0, 0), (3, 5)):
            result = degradations.jpeg_at(ramp, 8, 2, y, x)
            self.assertEqual(result.shape, ramp.shape)
            self.assertTrue(torch.equal(result[:, 0], result[:, 1]) and torch.equal(result[:, 0], result[:, 2]))
            steps = (result[0, 0, :, 1:] - result[0, 0, :, :-1]).abs().mean(0)      # largest where blocks meet
            self.assertEqual(steps.view(-1)[:56].view(7, 8).sum(0).argmax().item(), (7 - x) % 8)

    def test_linear_light_and_back(self):
        x = torch.linspace(0, 1, 256)
        self.assertLess((degradations.to_srgb(degradations.to_linear(x)) - x).abs().max().item(), 1e-5)

    def test_split_holds_out_photos_of_all_sources(self):
        train, held = photos.split([f"{s}-{i}" for s in "ab" for i in range(20)], 4)
        self.assertEqual((len(train), len(held)), (36, 4))
        self.assertEqual({p[0] for p in held}, {"a", "b"})

    def test_batches_made_ahead_or_in_shares_are_the_same(self):
        with tempfile.TemporaryDirectory() as folder:
            pixels = np.random.default_rng(0).integers(0, 255, (64, 80, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(os.path.join(folder, "a.png"))
            source = photos.PatchSource(photos.list_photos(folder), 3)
        direct, ahead = (Batches(source, 7, {"kind": "gaussian_noise"}, n) for n in (0, 3))
        for step, patch in ((0, 16), (1, 16), (2, 24), (3, 24), (9, 24)):
            shares = [direct.get(step, 3, patch, worker, 2) for worker in range(2)]
            for a, b, even, odd in zip(direct.get(step, 3, patch), ahead.get(step, 3, patch), *shares):
                self.assertTrue(torch.equal(a, b), step)
                self.assertTrue(torch.equal(a[0::2], even) and torch.equal(a[1::2], odd), step)

    def test_psnr_and_ssim_of_known_pairs(self):
        a = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
        self.assertEqual(metrics.psnr(a, a), math.inf)
        self.assertAlmostEqual(metrics.psnr(a, a + 0.1), 20, places=4)
        self.assertAlmostEqual(metrics.ssim(a, a), 1)
        self.assertLess(metrics.ssim(a, 1 - a), 0)


class WholeRun(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder, self.pictures = scratch.name, os.path.join(scratch.name, "photos")
        os.mkdir(self.pictures)
        for i in range(3):
            pixels = np.random.default_rng(i).integers(0, 255, (256, 272, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(os.path.join(self.pictures, f"{i}.png"))

    def call(self, script, *arguments):
        return subprocess.run([sys.executable, os.path.join(HERE, script), *arguments], check=True, text=True,
                              stdout=subprocess.PIPE).stdout

    def train(self, config, run, *arguments, patch=32, **model):
        """A few steps of a shipped configuration, with patches small enough for a test. Returns the run's folder."""
        config = read_config(config)
        config["model"].update(model)
        if fused_type() == torch.float32:           # bfloat16 is very slow on such a processor
            config["training"]["bf16"] = False
        config["training"].update(steps=4, stages=[{"until": 1.0, "batch": 2, "patch": patch}], held_out=1, scales=[1.0], log_every=1)
        path, run = os.path.join(self.folder, run + ".json"), os.path.join(self.folder, run)
        with open(path, "w", encoding="utf-8") as file:
            json.dump(config, file)
        self.printed = self.call("train.py", path, "--photos", self.pictures, "--run", run, *arguments)
        return run

    def params(self, run):
        return torch.load(os.path.join(run, "checkpoint.pt"))["params"]

    def test_train_resume_export_and_evaluate(self):
        small = {"dim": 8, "num_blocks": [1, 1], "heads": [1, 2], "attention": ["none", "mdta"]}
        run = self.train("denoise-cpu.json", "a", "--workers", "2", **small)
        self.train("denoise-cpu.json", "a", "--workers", "2", "--steps", "6", **small)
        self.assertIn("from step 4", self.printed)
        with open(os.path.join(run, "log.csv"), encoding="utf-8") as file:
            self.assertEqual(len(file.readlines()), 1 + 6)
        manifest, checkpoint = os.path.join(self.folder, "tiny.json"), os.path.join(run, "checkpoint.pt")
        self.call("export_weights.py", checkpoint, manifest)
        picture = torch.rand(1, 3, 30, 34)
        with torch.no_grad():
            difference = (load_model(manifest).restore(picture) - load_model(checkpoint).restore(picture)).abs().max()
        self.assertLess(difference.item(), 1e-3)         # float16 on disk
        self.assertIn("3 pictures", self.call("evaluate.py", manifest, "--photos", self.pictures, "--sigma", "25"))

    def test_a_run_begins_with_given_weights(self):
        small = {"dim": 8, "num_blocks": [1, 1], "heads": [1, 2], "attention": ["none", "mdta"]}
        run = self.train("photo-cpu.json", "a", "--workers", "1", **small)
        manifest = os.path.join(self.folder, "tiny.json")
        self.call("export_weights.py", os.path.join(run, "checkpoint.pt"), manifest, "--raw", "--dtype", "f32")
        begun = self.train("photo-cpu.json", "b", "--workers", "1", "--init", manifest, "--steps", "1", **small)
        scratch = self.train("photo-cpu.json", "c", "--workers", "1", "--steps", "1", **small)
        given, near, far = (self.params(r)["output.weight"] for r in (run, begun, scratch))
        # near is one step of warming up from the given weights, far as small a step from zero
        self.assertLess(2 * (near - given).abs().max().item(), (far - given).abs().max().item())

    def test_a_run_by_steps_repeats_exactly(self):
        a, b = (self.params(self.train("denoise-cpu.json", run, "--workers", "2", dim=16, num_blocks=[1, 1, 1, 1])) for run in "ab")
        self.assertTrue(all(torch.equal(a[name], b[name]) for name in a))

    def test_every_shipped_configuration_trains_within_a_tenth_of_the_full_cost(self):
        for name in CONFIGS:
            config = read_config(name)["model"]
            self.assertLess(gmac(ModelConfig(**config)), 14.1, name)
            trained = self.params(self.train(name, name, "--workers", "1", patch=64))
            self.assertTrue(all(t.isfinite().all() for t in trained.values()), name)
            self.assertGreater(trained["output.weight"].abs().max().item(), 0, name)


if __name__ == "__main__":
    unittest.main()
