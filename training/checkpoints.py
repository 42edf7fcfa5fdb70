"""Reading weights: this project's checkpoints, published ones, and weight manifests (JSON beside safetensors)."""
import json
import os
import struct

import numpy as np
import torch

from restormer import ModelConfig, Restormer

WRAPPERS = ("params_ema", "params", "state_dict", "model")
PREFIXES = ("module.", "net_g.", "netG.", "model.", "net.")
UNUSED = ("chnl_reduce", "reduce_noise_channel_")       # PromptIR has these tensors and does nothing with them


def state_dict_of(loaded):
    """The tensors inside whatever a checkpoint file held, without wrappers and prefixes."""
    for name in WRAPPERS:
        if isinstance(loaded.get(name), dict):
            loaded = loaded[name]
            break
    result = {}
    for name, tensor in loaded.items():
        if isinstance(tensor, torch.Tensor):
            for prefix in PREFIXES:
                name = name[len(prefix):] if name.startswith(prefix) else name
            if not name.startswith(UNUSED):
                result[name] = tensor.float()
    return result


def prompt_of(state, level):
    components = state.get(f"prompt{level}.prompt_param")
    if components is None:
        return None
    return {"length": components.shape[1], "dim": components.shape[2], "size": components.shape[3],
            "heads": state[f"noise_level{level}.attn.temperature"].shape[0],
            "ffn_hidden": state[f"noise_level{level}.ffn.project_out.weight"].shape[1],
            "out_channels": state[f"reduce_noise_level{level}.weight"].shape[0]}


def config_of(state):
    """Hyper-parameters read off a state dict of a model with attention on every level."""
    def count(stage):
        return 1 + max((int(name.split(".")[1]) for name in state if name.startswith(stage + ".")), default=-1)

    levels = 1
    while f"encoder_level{levels}.0.norm2.body.weight" in state:
        levels += 1
    stages = [f"encoder_level{i}" for i in range(1, levels)] + ["latent"]
    dim, in_channels = state["patch_embed.proj.weight"].shape[:2]
    hidden = [state[f"{s}.0.ffn.project_out.weight"].shape[1] for s in stages]
    # the factor is not stored: try the usual spellings of what the hidden widths suggest
    widths = [dim << i for i in range(levels)]
    near = hidden[-1] / widths[-1]
    factor = next(f for f in (round(near, 2), round(near, 3), near, near + 1e-6) if [int(w * f) for w in widths] == hidden)
    prompts = [prompt_of(state, level) for level in range(levels)]
    return ModelConfig(
        in_channels=in_channels, out_channels=state["output.weight"].shape[0], dim=dim,
        num_blocks=[count(s) for s in stages], num_refinement_blocks=count("refinement"),
        heads=[state[f"{s}.0.attn.temperature"].shape[0] for s in stages], ffn_expansion_factor=factor,
        bias="latent.0.attn.qkv.bias" in state, dual_pixel="skip_conv.weight" in state,
        prompts=prompts if any(prompts) else None,
        layer_norm="WithBias" if "latent.0.norm1.body.bias" in state else "BiasFree")


def read_safetensors(path):
    types = {"F32": np.float32, "F16": np.float16}
    with open(path, "rb") as file:
        size, = struct.unpack("<Q", file.read(8))
        header, data = json.loads(file.read(size)), file.read()
    result = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            values = np.frombuffer(data[begin:end], types[entry["dtype"]]).reshape(entry["shape"])
            result[name] = torch.from_numpy(values.astype(np.float32))
    return result


def load_model(path):
    """A Restormer with the weights of a checkpoint (.pt, .pth, .ckpt) or of a manifest (.json), ready to run."""
    if path.endswith(".json"):
        with open(path, encoding="utf-8") as file:
            manifest = json.load(file)
        state = {}
        for entry in manifest["files"]:
            state.update(read_safetensors(os.path.join(os.path.dirname(path), entry["path"])))
        config = ModelConfig(**manifest["model"])
    else:
        loaded = torch.load(path, map_location="cpu")
        state = state_dict_of(loaded)
        config = ModelConfig(**loaded["config"]["model"]) if isinstance(loaded.get("config"), dict) else config_of(state)
    model = Restormer(config)
    model.load_state_dict(state)
    return model.eval().channels_last()
