"""Pairs of clean and degraded patches, step by step; on a GPU made ahead of time by background threads."""
import os
from concurrent.futures import ThreadPoolExecutor

import torch

import degradations


class Batches:
    """What step N trains on depends on the seed, N and the sizes alone, whoever makes it and when."""

    def __init__(self, source, seed, degradation, ahead):
        self.source, self.seed = source, seed
        self.degrade, self.options = getattr(degradations, degradation["kind"]), degradation.get("options", {})
        self.ahead, self.pending = ahead, {}            # how many steps to prepare; {(step, batch, patch): future}
        self.pool = ThreadPoolExecutor(min(ahead, len(os.sched_getaffinity(0)))) if ahead else None

    def make(self, step, batch, patch, worker, workers):
        pairs = []
        for i in range(worker, batch, workers):     # a generator for each patch: a worker makes its own patches only
            generator = torch.Generator().manual_seed((self.seed * 1_000_003 + step) * 1009 + i)
            clean = self.source.batch(1, patch, generator)
            pairs.append((clean, self.degrade(clean, generator, **self.options)))
        return tuple(torch.cat(column) for column in zip(*pairs))

    def get(self, step, batch, patch, worker=0, workers=1):
        """(clean, degraded) of every `workers`-th patch: [n, channels, patch, patch] on the CPU."""
        if not self.pool:
            return self.make(step, batch, patch, worker, workers)
        keys = [(step + i, batch, patch, worker, workers) for i in range(self.ahead)]
        # what was prepared for other sizes, at the end of a stage, is dropped
        self.pending = {key: self.pending.get(key) or self.pool.submit(self.make, *key) for key in keys}
        return self.pending.pop(keys[0]).result()
