"""The project's PyTorch definition with the weights of a manifest, for the runtimes that ours is compared with."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "training"))
os.environ["RESTORMER_PLAIN"] = "1"     # plain operators, nothing that was compiled for training

import torch  # noqa: E402

from checkpoints import config_of, read_safetensors  # noqa: E402
from restormer import Restormer  # noqa: E402


def load(manifest):
    """Ready to run, in NCHW. The hyper-parameters are read off the shapes of the tensors."""
    with open(manifest, encoding="utf-8") as file:
        files = json.load(file)["files"]
    state = {}
    for entry in files:
        state.update(read_safetensors(os.path.join(os.path.dirname(manifest), entry["path"])))
    model = Restormer(config_of(state))
    model.load_state_dict(state)
    return model.eval().to(memory_format=torch.contiguous_format)
