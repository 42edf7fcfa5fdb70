"""All of a model's parameters as one vector, with the optimizer and the running average on it.

One vector makes the optimizer a few large operations instead of some for every tensor, and lets several processes
share the work: the vectors lie in shared memory, each process adds up and updates its slice.
"""
import bisect
import math

import torch

import fast_cpu


def orthogonal(matrix, steps=5):
    """The nearest matrix with singular values of about 1 (0.7 to 1.2), by the iteration of Muon (Jordan 2024, "Muon: an
    optimizer for hidden layers"), whose odd polynomial of degree 5 is made to be steep at 0."""
    a, b, c = 3.4445, -4.7750, 2.0315
    wide = matrix.shape[0] <= matrix.shape[1]
    x = matrix if wide else matrix.t()
    x = x / (x.norm() + 1e-12)
    for _ in range(steps):
        square = x @ x.t()
        x = a * x + (b * square + c * square @ square) @ x
    return x if wide else x.t()


def is_matrix(p):
    """Dense convolutions; not depthwise ones, norms, biases, temperatures."""
    return p.dim() == 4 and p.shape[1] > 1 and p.shape[0] > 1


class FlatTraining:
    """`workers` gradients, one each; call the three steps in turn with a barrier between them."""

    def __init__(self, model, workers, device, optimizer="adamw"):
        if optimizer not in ("adamw", "muon"):
            raise ValueError(f"optimizer {optimizer!r}: expected adamw or muon")
        self.model, self.optimizer = model, optimizer
        parameters = list(model.parameters())
        # where each begins, and the end; slices of workers begin with a parameter, for matrices are not to be cut
        self.starts = [0]
        for p in parameters:
            self.starts.append(self.starts[-1] + p.numel())
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
        first, end = (self.starts[bisect.bisect_left(self.starts, self.size * i // workers)] for i in (worker, worker + 1))
        self.slice = slice(first, end)

    def zero_gradient(self):
        self.shared["gradients"][self.worker].zero_()

    def gather(self):
        """Step 1, after every worker's backward pass: the sum of the gradients over this worker's slice."""
        total = self.shared["total"][self.slice]
        torch.sum(self.shared["gradients"][:, self.slice], 0, out=total)
        self.shared["norms"][self.worker] = total.norm().double() ** 2

    def update(self, count, rate, betas, weight_decay, clip, ema_decay):
        """Step 2: the optimizer on this worker's slice, with the norm of the whole gradient clipped. Returns that norm;
        where it is not finite nothing is changed. `count` is the number of this step, from 1."""
        norm = math.sqrt(self.shared["norms"].sum().item())
        if not math.isfinite(norm):
            return norm
        scale = min(1.0, clip / (norm + 1e-12))
        at = self.slice.start
        if self.optimizer == "muon":
            for p, start, end in zip(self.model.parameters(), self.starts, self.starts[1:]):
                if start >= self.slice.start and end <= self.slice.stop and is_matrix(p):
                    self.adamw(slice(at, start), scale, count, rate, betas, weight_decay, ema_decay)
                    self.muon(slice(start, end), p.shape[0], scale, rate, weight_decay, ema_decay)
                    at = end
        self.adamw(slice(at, self.slice.stop), scale, count, rate, betas, weight_decay, ema_decay)
        return norm

    def muon(self, part, rows, scale, rate, weight_decay, ema_decay, momentum=0.95):
        """Steps of the size of AdamW's, so that both share a rate (Liu et al. 2025, "Muon is scalable for LLM training",
        section 2.2)."""
        p, average, m, g = (self.shared[name][part].view(rows, -1) for name in ("params", "average", "m", "total"))
        m.mul_(momentum).add_(g, alpha=scale)
        step = orthogonal(g * scale + momentum * m)
        p.mul_(1 - rate * weight_decay).add_(step, alpha=-rate * 0.2 * math.sqrt(max(p.shape)))
        average.lerp_(p, 1 - ema_decay)

    def adamw(self, part, scale, count, rate, betas, weight_decay, ema_decay):
        p, average, m, v, g = (self.shared[name][part] for name in ("params", "average", "m", "v", "total"))
        if p.numel() == 0:
            return
        if p.device.type == "cpu" and fast_cpu.available():
            fast_cpu.adamw(p, average, m, v, g, scale, rate, betas, weight_decay, count, ema_decay)
            return
        g.mul_(scale)
        m.lerp_(g, 1 - betas[0])
        v.mul_(betas[1]).addcmul_(g, g, value=1 - betas[1])
        root = (v / (1 - betas[1] ** count)).sqrt_().add_(1e-8)
        p.mul_(1 - rate * weight_decay).addcdiv_(m, root, value=-rate / (1 - betas[0] ** count))
        average.lerp_(p, 1 - ema_decay)

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
