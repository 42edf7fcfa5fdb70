#!/usr/bin/env python3
"""Trains one model:  train.py configs/NAME.json --photos DIR --run DIR [--until HH:MM | --hours H]

Writes to the run folder: checkpoint.pt (every few minutes, atomically; a second call goes on from it), log.csv and
validation.csv (for plot.py). Without --until or --hours the config's number of steps decides; with them the schedule
follows the wall clock, so that it is through at that time however fast the machine turned out to be, and also when the
process was stopped for a while. The patches depend on the seed and the step alone.
"""
import argparse
import contextlib
import json
import math
import os
import threading
import time

import torch
import torch.multiprocessing as multiprocessing

import degradations
import photos
from batches import Batches
from checkpoints import load_model
from flat import FlatTraining
from metrics import psnr
from restormer import ModelConfig, Restormer, gmac, parameter_count
from schedule import Schedule, deadline_of

VALIDATE, FINISH = -1, -2       # instead of a step's number in the plan


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("--photos", required=True, nargs="+", help="folders of photographs to train on")
    parser.add_argument("--run", required=True, help="folder for checkpoint and logs; an existing checkpoint is resumed")
    parser.add_argument("--init", help="start from these weights, a manifest or a checkpoint, instead of from nothing")
    parser.add_argument("--until", help="finish the schedule at this local time, HH:MM")
    parser.add_argument("--hours", type=float, help="finish the schedule this many hours from now")
    parser.add_argument("--steps", type=int, help="instead of the config's number of steps")
    parser.add_argument("--device", help="cpu or cuda; default: cuda where there is one")
    parser.add_argument("--workers", type=int, default=0,
                        help="on a CPU: processes of one thread each that share every batch; 0: one per core")
    return parser.parse_args()


def loss_of(kind, restored, clean):
    """Sum over the patches; the caller divides by the whole batch."""
    error = restored - clean
    if kind == "l1":
        return error.abs().mean((1, 2, 3)).sum()
    if kind == "charbonnier":
        return torch.sqrt(error * error + 1e-6).mean((1, 2, 3)).sum()
    if kind == "patch_rms":
        # Each patch by the root of its own mean square: aims at the mean, as PSNR does, but like L1 lets a patch with
        # little noise count as much as one with much.
        return torch.sqrt(error.square().mean((1, 2, 3)) + 1e-6).sum()
    raise ValueError(f"loss {kind!r}: expected l1, charbonnier or patch_rms")


class Validation:
    """Mean PSNR on held-out photographs with fixed noise; the middle 256 x 256 of each, to be quick about it."""

    def __init__(self, paths, config):
        self.cases = []
        degrade = getattr(degradations, config["degradation"]["kind"] + "_validation")
        for seed, path in enumerate(paths):
            pixels = photos.load_photo(path, config["model"]["in_channels"])
            y, x = (pixels.shape[0] - 256) // 2, (pixels.shape[1] - 256) // 2
            clean = photos.to_tensor(pixels[y:y + 256, x:x + 256])
            self.cases += degrade(clean, seed)

    def run(self, model, device, autocast, worker, workers, results):
        """Every worker takes its share of the cases; results: one PSNR for each case."""
        for i in range(worker, len(self.cases), workers):
            _, target, degraded = self.cases[i]
            with torch.no_grad(), autocast():
                restored = model(degraded.to(device, memory_format=torch.channels_last))
            results[i] = psnr(restored.float().cpu(), target)

    def means(self, results):
        """{name of the degradation: mean over the photographs}"""
        names = [name for name, _, _ in self.cases]
        return {n: sum(r for r, m in zip(results, names) if m == n) / names.count(n) for n in dict.fromkeys(names)}


def append_csv(path, row):
    new = not os.path.exists(path)
    with open(path, "a", encoding="utf-8") as file:
        if new:
            file.write(",".join(row) + "\n")
        file.write(",".join(f"{v:.6g}" if isinstance(v, float) else str(v) for v in row.values()) + "\n")


class Trainer:
    """One process of the run. Worker 0 leads: it keeps the schedule, logs, validates and saves."""

    def __init__(self, config, arguments, workers, device, source, validation):
        self.config, self.training, self.arguments = config, config["training"], arguments
        self.workers, self.device, self.validation = workers, device, validation
        self.batches = Batches(source, self.training["seed"], config["degradation"], 0 if device.type == "cpu" else 32)
        torch.manual_seed(self.training["seed"])
        self.model = Restormer(ModelConfig(**config["model"])).to(device).channels_last()
        self.flat = FlatTraining(self.model, workers, device, self.training.get("optimizer", "adamw"))
        # what comes next, for all workers: step (or VALIDATE), progress, learning rate, batch, patch
        self.plan = torch.zeros(5, dtype=torch.float64)
        self.losses = torch.zeros(workers, dtype=torch.float64)
        self.scores = torch.zeros(len(validation.cases), dtype=torch.float64)
        if workers > 1:
            for tensor in (self.plan, self.losses, self.scores):
                tensor.share_memory_()
            self.barrier = multiprocessing.get_context("fork").Barrier(workers)

    def wait(self):
        if self.workers > 1:
            self.barrier.wait()

    def autocast(self):
        return torch.autocast(self.device.type, dtype=torch.bfloat16) if self.training["bf16"] else contextlib.nullcontext()

    def step(self, worker):
        """One optimizer step; returns (loss, gradient norm)."""
        step, _, rate, batch, patch = self.plan.tolist()
        step, batch, patch, training = int(step), int(batch), int(patch), self.training
        clean, degraded = (t.to(self.device, memory_format=torch.channels_last)
                           for t in self.batches.get(step, batch, patch, worker, self.workers))
        self.flat.zero_gradient()
        with self.autocast():
            restored = self.model(degraded)
        loss = loss_of(training["loss"], restored.float(), clean) / batch
        loss.backward()
        self.losses[worker] = loss.item()
        self.wait()
        self.flat.gather()
        self.wait()
        return self.losses.sum().item(), self.flat.update(
            step + 1, rate, training["betas"], training["weight_decay"], training["clip_gradient"],
            min(training["ema_decay"], (1 + step) / (10 + step)))

    def validate(self, worker):
        average = Restormer(self.model.config).to(self.device).channels_last()
        average.load_state_dict(self.flat.state("average"))
        self.validation.run(average, self.device, self.autocast, worker, self.workers, self.scores)
        self.wait()

    def follow(self, worker):
        """A worker other than the first."""
        torch.set_num_threads(1)
        parent = os.getppid()

        def leave_with_parent():
            while os.getppid() == parent:
                time.sleep(1)
            os._exit(1)

        threading.Thread(target=leave_with_parent, daemon=True).start()
        self.flat.attach(worker, self.workers)
        while True:
            self.wait()
            if self.plan[0] == FINISH:
                return
            if self.plan[0] == VALIDATE:
                self.validate(worker)
            else:
                self.step(worker)

    def lead(self, schedule, state):
        run, training = self.arguments.run, self.training
        step, pixels, seconds, skipped, losses = state["step"], state["pixels"], state["seconds"], 0, []
        progress = schedule.progress(step)
        tick = last_save = last_validation = time.time()

        def save():
            path = os.path.join(run, "checkpoint.pt")
            torch.save({"config": self.config, "step": step, "progress": progress, "pixels": pixels, "seconds": seconds,
                        **self.flat.save()}, path + ".part")
            os.replace(path + ".part", path)

        def validate():
            self.plan[0] = VALIDATE
            self.wait()
            self.validate(0)
            results = self.validation.means(self.scores.tolist())
            append_csv(os.path.join(run, "validation.csv"), {"step": step, "pixels": pixels, "seconds": seconds, **results})
            print(f"step {step} progress {progress:.3f} " + " ".join(f"{k} {v:.2f}" for k, v in results.items()), flush=True)

        while progress < 1:
            batch, patch = schedule.patches(progress)
            rate = schedule.learning_rate(step, progress)
            self.plan.copy_(torch.tensor([step, progress, rate, batch, patch], dtype=torch.float64))
            self.wait()
            loss, norm = self.step(0)
            step += 1
            if math.isfinite(norm):
                losses.append(loss)
                skipped = 0
            else:                       # one bad patch must not end the run; many in a row mean that it has failed
                skipped += 1
                print(f"step {step}: gradient norm {norm}, loss {loss}: skipped", flush=True)
                if skipped > 10:
                    raise FloatingPointError(f"step {step}: no finite gradient in {skipped} steps")
            now = time.time()
            pixels, seconds, tick = pixels + batch * patch * patch, seconds + now - tick, now
            progress = schedule.progress(step)
            if step % training["log_every"] == 0 and losses:
                append_csv(os.path.join(run, "log.csv"), {"step": step, "pixels": pixels, "seconds": seconds, "patch": patch,
                                                          "learning_rate": rate, "loss": sum(losses) / len(losses)})
                losses = []
            if progress >= 1 or now - last_save > training["save_minutes"] * 60:
                self.settle()
                save()
                last_save = time.time()
            if progress >= 1 or now - last_validation > training["validate_minutes"] * 60:
                validate()
                last_validation = time.time()
        self.plan[0] = FINISH
        self.wait()

    def settle(self):
        """Waits until the others have finished their part of the update and stand at the barrier."""
        if self.workers > 1:
            while self.barrier.n_waiting < self.workers - 1:
                time.sleep(0.002)


def main():
    arguments = parse_arguments()
    with open(arguments.config, encoding="utf-8") as file:
        config = json.load(file)
    training = config["training"]
    if arguments.steps:
        training["steps"] = arguments.steps
    device = torch.device(arguments.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    workers = 1 if device.type != "cpu" else arguments.workers or len(os.sched_getaffinity(0))
    if workers > 1:
        torch.set_num_threads(1)        # before anything runs in parallel: the workers are forked
    torch.backends.cudnn.benchmark = True
    os.makedirs(arguments.run, exist_ok=True)

    train_paths, validation_paths = photos.split([p for folder in arguments.photos for p in photos.list_photos(folder)], training["held_out"])
    trainer = Trainer(config, arguments, workers, device,
                      photos.PatchSource(train_paths, config["model"]["in_channels"], training["scales"]),
                      Validation(validation_paths, config))
    state = {"step": 0, "progress": 0.0, "pixels": 0, "seconds": 0.0}
    checkpoint = os.path.join(arguments.run, "checkpoint.pt")
    if os.path.exists(checkpoint):
        state = torch.load(checkpoint, map_location="cpu")
        trainer.flat.load(state)
    elif arguments.init:
        trainer.flat.begin_with(load_model(arguments.init))
    print(f"{config['name']}: {parameter_count(trainer.model)} parameters, {gmac(trainer.model.config):.2f} GMAC at "
          f"256 x 256, on {workers if device.type == 'cpu' else ''} {device}, from step {state['step']}", flush=True)

    context = multiprocessing.get_context("fork")
    others = [context.Process(target=trainer.follow, args=(i,), daemon=True) for i in range(1, workers)]
    for process in others:
        process.start()
    trainer.lead(Schedule(training, deadline_of(arguments.hours, arguments.until), state["progress"]), state)
    for process in others:
        process.join()


if __name__ == "__main__":
    main()
