"""All of a model's parameters as one vector, with AdamW and the running average on it.

One vector makes the optimizer a few large operations instead of some for every tensor, and lets several processes
share the work: the vectors lie in shared memory, each process adds up and updates its slice.
"""
import math

import torch

import fast_cpu


class FlatTraining:
    """`workers` gradients, one each; call the three steps in turn with a barrier between them."""

    def __init__(self, model, workers, device):
        self.model = model
        parameters = list(model.parameters())
        self.size = sum(p.numel() for p in parameters)
        self.shared = {name: torch.zeros(self.size, device=device) for name in ("params", "average", "m", "v", "total")}
        self.shared["gradients"] = torch.zeros(workers, self.size, device=device)
        self.shared["norms"] = torch.zeros(workers, dtype=torch.float64, device=device)
        if workers > 1:
            for tensor in self.shared.values():
                tensor.share_memory_()
        self.shared["params"].copy_(torch.cat([p.detach().reshape(-1) for p in parameters]))
        self.shared["average"].copy_(self.shared["params"])
        self.attach(0, workers)

    def attach(self, worker, workers):
        """Makes the model's parameters and gradients views of the vectors: once more in every process."""
        self.worker, at = worker, 0
        for p in self.model.parameters():
            p.data = self.shared["params"][at:at + p.numel()].view(p.shape)
            p.grad = self.shared["gradients"][worker, at:at + p.numel()].view(p.shape)
            at += p.numel()
        share = (self.size + workers - 1) // workers
        self.slice = slice(worker * share, min(self.size, (worker + 1) * share))

    def zero_gradient(self):
        self.shared["gradients"][self.worker].zero_()

    def gather(self):
        """Step 1, after every worker's backward pass: the sum of the gradients over this worker's slice."""
        total = self.shared["total"][self.slice]
        torch.sum(self.shared["gradients"][:, self.slice], 0, out=total)
        self.shared["norms"][self.worker] = total.norm().double() ** 2

    def update(self, count, rate, betas, weight_decay, clip, ema_decay):
        """Step 2: AdamW on this worker's slice, with the norm of the whole gradient clipped. Returns that norm; where
        it is not finite nothing is changed. `count` is the number of this step, from 1."""
        norm = math.sqrt(self.shared["norms"].sum().item())
        if not math.isfinite(norm):
            return norm
        p, average, m, v, g = (self.shared[name][self.slice] for name in ("params", "average", "m", "v", "total"))
        scale = min(1.0, clip / (norm + 1e-12))
        if p.device.type == "cpu" and fast_cpu.available():
            fast_cpu.adamw(p, average, m, v, g, scale, rate, betas, weight_decay, count, ema_decay)
            return norm
        g.mul_(scale)
        m.lerp_(g, 1 - betas[0])
        v.mul_(betas[1]).addcmul_(g, g, value=1 - betas[1])
        root = (v / (1 - betas[1] ** count)).sqrt_().add_(1e-8)
        p.mul_(1 - rate * weight_decay).addcdiv_(m, root, value=-rate / (1 - betas[0] ** count))
        average.lerp_(p, 1 - ema_decay)
        return norm

    def state(self, name):
        """A state dict whose tensors are copies of one of the vectors: params or average."""
        at, result = 0, {}
        for key, p in self.model.named_parameters():
            result[key] = self.shared[name][at:at + p.numel()].view(p.shape).detach().clone().cpu()
            at += p.numel()
        return result

    def save(self):
        return {"params": self.state("params"), "params_ema": self.state("average"),
                "m": self.shared["m"].cpu(), "v": self.shared["v"].cpu()}

    def begin_with(self, model):
        """The weights of another model of the same shape; the optimizer knows nothing yet."""
        names = [name for name, _ in self.model.named_parameters()]
        state = model.state_dict()
        if sorted(state) != sorted(names):
            raise ValueError("the weights to begin with belong to another architecture")
        for name in ("params", "average"):
            self.shared[name].copy_(torch.cat([state[key].reshape(-1) for key in names]))

    def load(self, state):
        for name, key in (("params", "params"), ("average", "params_ema")):
            self.shared[name].copy_(torch.cat([state[key][k].reshape(-1).float() for k, _ in self.model.named_parameters()]))
        self.shared["m"].copy_(state["m"])
        self.shared["v"].copy_(state["v"])
