# What is measured: where each model comes from, and its inputs.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""A case is a model file, made when it is first asked for, and how to fill its inputs."""
import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Callable

from . import operators

ZOO_BATCHES = (1, 8)
# Network, dimensions besides the batch, whether it runs in under some 100 ms at batch 1. The
# language models run on one sequence; GPT-2 once more as a decoder with a cache.
ZOO = [
    ("resnet50", {}, True), ("mobilenetv2", {}, True), ("efficientnet-b0", {}, True),
    ("unet", {}, False), ("vit-b16", {}, False), ("bert-base", {"sequence": 128}, False),
    ("lstm-tagger", {"sequence": 64}, True), ("mlp", {}, True),
    ("gpt2", {"sequence": 128, "past_sequence": 0, "total_sequence": 128}, False),
    ("gpt2-decode", {"sequence": 1, "past_sequence": 127, "total_sequence": 128}, True),
]
SLOW_MODELS = ("light_vgg19", "light_bvlc_alexnet", "light_densenet121")


@dataclass
class Case:
    name: str
    group: str
    make: Callable[[], str]  # the path of the model
    dims: dict = field(default_factory=dict)
    data: str = ""  # a folder with input_K.pb, or empty: random
    light: bool = True
    batch: int = 1


def _shared_models(root):
    folder = os.path.join(root, "..", "shared", "models")
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        path = os.path.join(folder, name)
        models = sorted(f for f in os.listdir(path) if f.endswith(".onnx")) \
            if os.path.isdir(path) else []
        if models:
            model = os.path.join(path, "model.onnx" if "model.onnx" in models else models[0])
            yield Case(name, "models", lambda model=model: model,
                       data=os.path.join(path, "test_data_set_0"))


def _light_models(root, out):
    archive = os.path.join(root, "..", "shared", "onnx-backend-tests.tar.xz")
    folder = os.path.join(out, "onnx-backend-tests", "light-complete")
    if not os.path.isdir(folder):
        if not os.path.exists(archive):
            return
        os.makedirs(out, exist_ok=True)
        subprocess.run(["tar", "xf", archive, "-C", out, "onnx-backend-tests/light-complete"],
                       check=True)
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        yield Case(name, "light", lambda path=path: os.path.join(path, "model.onnx"),
                   data=os.path.join(path, "test_data_set_0"), light=name not in SLOW_MODELS)


def _zoo_model(root, out, network):
    path = os.path.join(out, f"{network}.onnx")
    if not os.path.exists(path):
        subprocess.run([sys.executable, os.path.join(root, "utils", "zoo"), network, "-o", path],
                       check=True)
    return path


def _zoo(root, out):
    for name, dims, light in ZOO:
        network = name.removesuffix("-decode")
        for batch in ZOO_BATCHES:
            yield Case(f"{name}-b{batch}", "zoo",
                       lambda network=network: _zoo_model(root, out, network),
                       dims={"batch": batch, **dims}, light=light and batch == 1, batch=batch)


def given_cases(models, dims):
    """Models of the user; dimensions that are not named are 1. An unnamed one is called '?'."""
    sizes = {}
    for dim in dims:
        name, _, size = dim.rpartition("=")
        if not name or not size.isdigit():
            sys.exit(f"bench: --dim {dim}: wants NAME=N")
        sizes[name] = int(size)
    sizes[None] = sizes.get("?", 1)
    names = {}
    for model in models:
        name = os.path.splitext(os.path.basename(model))[0]
        names[name] = names.get(name, 0) + 1
        if names[name] > 1:
            name += f"-{names[name]}"
        yield Case(name, "given", lambda model=model: model, dims=sizes)


def all_cases(root, out):
    yield from _shared_models(root)
    yield from _light_models(root, out)
    yield from _zoo(root, out)
    for name, build in operators.OPERATORS.items():
        yield Case(name, "operators", lambda name=name, build=build: operators.write(
            name, build, out))
