"""How far a run is, by steps or by the clock, and what follows from it: learning rate, batch and patch size."""
import datetime
import math
import time


def deadline_of(hours, until):
    """Seconds since the epoch at which the schedule is to be through, or None: then the steps decide."""
    if hours is not None:
        return time.time() + hours * 3600
    if until is None:
        return None
    hour, minute = map(int, until.split(":"))
    then = datetime.datetime.now().replace(hour=hour, minute=minute, second=0, microsecond=0)
    if then < datetime.datetime.now():
        then += datetime.timedelta(days=1)
    return then.timestamp()


class Schedule:
    def __init__(self, training, deadline, progress):
        self.training, self.deadline = training, deadline
        self.begun, self.start = time.time(), progress

    def progress(self, step):
        """0 to 1. By the clock it goes on while the process is stopped: the end is what counts."""
        if self.deadline is None:
            return min(1.0, step / self.training["steps"])
        share = (time.time() - self.begun) / max(1e-9, self.deadline - self.begun)
        return min(1.0, self.start + (1 - self.start) * share)

    def learning_rate(self, step, progress):
        """Warm-up over the first steps, then half a cosine."""
        warm = min(1.0, (step + 1) / self.training["warmup_steps"])
        floor = self.training["final_learning_rate"]
        return warm * (floor + (self.training["learning_rate"] - floor) * 0.5 * (1 + math.cos(math.pi * progress)))

    def patches(self, progress):
        """(batch, size) of the stage whose end, as a share of the run, has not been reached yet."""
        stage = next((s for s in self.training["stages"] if progress < s["until"]), self.training["stages"][-1])
        return stage["batch"], stage["patch"]
