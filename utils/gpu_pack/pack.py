#!/usr/bin/python3
# Makes the folder that utils/test-gpu --pack writes: see there.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""Makes a folder with which a machine that has a GPU, but neither LLVM nor a network, tests and measures Lathe.

usage: pack.py FOLDER [--target TARGETS] [--shared FOLDER] [--only REGEX] [--limit MB]
"""
import argparse
import importlib.machinery
import importlib.util
import io
import json
import lzma
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
UTILS = os.path.dirname(HERE)
ROOT = os.path.dirname(UTILS)
BUILD = os.path.abspath(os.environ.get("LATHE_BUILD", os.path.join(ROOT, "build")))
LATHE = os.path.join(BUILD, "bin", "lathe")
LIBRARIES = ("liblathe.so.0", "liblathe-emulator.so.0")
SYSTEM = {"libc.so.6", "libm.so.6", "libstdc++.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2"}
HOST = "x86-64-v3"  # what the results of kernels are compared with
MOST_COMPARED = 150e9  # FLOP of a kernel that a processor computes as well
LARGE_FLOP = 1e7  # of a kernel: too much for an emulator
ZOO_INPUTS = os.path.join(ROOT, "test", "e2e", "zoo", "Inputs")
# Networks to measure, with the sizes of their dimensions and about how many FLOP they are.
NETWORKS = (("resnet50", {"batch": 1}, 8e9), ("resnet50", {"batch": 8}, 64e9), ("mobilenetv2", {"batch": 1}, 6e8),
            ("vit-b16", {"batch": 1}, 35e9), ("bert-base", {"batch": 1, "sequence": 128}, 22e9),
            ("bert-base", {"batch": 8, "sequence": 128}, 180e9))

sys.path.insert(0, UTILS)
from gpu_pack import kernels  # noqa: E402


def load_script(name):
    """A script of utils as a module."""
    loader = importlib.machinery.SourceFileLoader(name.replace("-", "_"), os.path.join(UTILS, name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


check_models = load_script("check-models")
check_conformance = load_script("check-conformance")


class CannotPack(Exception):
    pass


class Case:
    """`make` writes the model below a folder and returns its path. `about` goes into pack.json."""

    def __init__(self, name, make, targets, data=(), **about):
        self.name, self.make, self.targets, self.data, self.about = name, make, targets, data, about


def copied(path):
    return lambda folder: path


def data_sets(folder):
    names = [name for name in os.listdir(folder) if name.startswith("test_data_set_")]
    return [os.path.join(folder, name) for name in sorted(names, key=lambda name: (len(name), name))]


def conformance_cases(suite, targets):
    for name in sorted(check_conformance.read_chosen()):
        folder = os.path.join(suite, name)
        if not os.path.isdir(folder):
            raise CannotPack(f"the suite has no '{name}', which device-cases.txt lists")
        yield Case("conformance/" + name, copied(os.path.join(folder, "model.onnx")), targets,
                   data_sets(folder), flags=[["--onnx-tolerances"]])


def model_cases(models, targets):
    with open(os.path.join(ROOT, "test", "e2e", "models.txt"), encoding="utf-8") as file:
        rows = [line.split() for line in file if line.strip() and not line.startswith("#")]
    found = []
    for name, *marks in rows:
        folder = os.path.join(models, name)
        model = check_models.find_model(folder)
        flags, difference = [[]], check_models.reference_difference(folder)
        if difference > 0:  # as check-models does
            flags.append(["--atol", repr(16 * difference)])
        size = sum(os.path.getsize(os.path.join(path, file)) for path, _, files in os.walk(folder) for file in files)
        found.append((size, name, Case("models/" + name, copied(model), targets, data_sets(folder), flags=flags,
                                       large=check_models.LARGE in marks, measure=True)))
    return [case for _, _, case in sorted(found, key=lambda entry: entry[:2])]


def zoo_cases(targets):
    def maker(name, *flags):
        def make(folder):
            path = os.path.join(folder, name + ".onnx")
            subprocess.run([sys.executable, os.path.join(UTILS, "zoo"), name, "-o", path, *flags], check=True)
            return path
        return make

    for name in sorted(os.listdir(ZOO_INPUTS)):
        yield Case("zoo/" + name, maker(name), targets, data_sets(os.path.join(ZOO_INPUTS, name)), flags=[[]])
    for name, dims, flop in NETWORKS:
        label = "-".join([name, *(f"{dim}{size}" for dim, size in dims.items())])
        rest = [f"{dim}={size}" for dim, size in dims.items() if dim != "batch"]
        yield Case("networks/" + label, maker(name, "--weights-as-inputs", "--batch", str(dims["batch"])), targets,
                   dims=rest, flop=flop, large=True, measure=True)


def kernel_cases(targets):
    def maker(model):
        def make(folder):
            path = os.path.join(folder, model.name + ".onnx")
            model.write(path)
            return path
        return make

    for model, flop in kernels.build():
        yield Case("kernels/" + model.name, maker(model), f"{HOST},{targets}", flop=flop, large=flop >= LARGE_FLOP,
                   compare=flop <= MOST_COMPARED, measure=True)


def run_tool(*command):
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise CannotPack(said[0] if said else f"{command[0]} ended with {done.returncode}")
    return done.stdout


def pack_case(case):
    """The compressed archive of a case, and what pack.json says of it."""
    with tempfile.TemporaryDirectory() as work:
        model, artifact = case.make(work), os.path.join(work, "model.lathe")
        run_tool(LATHE, "compile", model, "--target", case.targets, "-o", artifact, "--quiet")
        about = {"name": case.name, "targets": case.targets.split(","), "data": [os.path.basename(folder) for folder in case.data], **case.about}
        tensors = json.loads(run_tool(LATHE, "inspect", artifact, "--json"))
        about["inputs"] = [tensor["name"] for tensor in tensors["inputs"]]
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for path in (artifact, *case.data):
                archive.add(path, os.path.basename(path), filter=anonymous)
        return lzma.compress(buffer.getvalue()), about


def anonymous(member):
    """Of nobody and no time: the same inputs give the same archive."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    member.mode = 0o755 if member.isdir() else 0o644
    return member


def pack_runtime(folder):
    """The command and its libraries; the versions of the system's libraries that they need."""
    os.makedirs(os.path.join(folder, "bin"))
    os.makedirs(os.path.join(folder, "lib"))
    versions = {}
    for path in (LATHE, *(os.path.join(BUILD, "lib", name) for name in LIBRARIES)):
        target = os.path.join(folder, "bin" if path == LATHE else "lib", os.path.basename(path))
        shutil.copy(os.path.realpath(path), target)
        run_tool("strip", "--strip-unneeded", target)
        needed = set(re.findall(r"NEEDED\s+(\S+)", run_tool("objdump", "-p", target))) - SYSTEM - set(LIBRARIES)
        if needed:
            raise CannotPack(f"{path} needs {', '.join(sorted(needed))}, which another machine may not have")
        for kind, version in re.findall(r"\b(GLIBC|GLIBCXX|CXXABI)_([0-9.]+)", run_tool("objdump", "-T", target)):
            versions[kind] = max(versions.get(kind, version), version, key=lambda text: [*map(int, text.split("."))])
    return versions


def unpack_suite(shared, work):
    archive = os.path.join(shared, "onnx-backend-tests.tar.xz")
    with tarfile.open(archive) as file:
        chosen = check_conformance.read_chosen()
        file.extractall(work, members=[member for member in file if "/".join(member.name.split("/")[1:3]) in chosen])
    return os.path.join(work, os.listdir(work)[0])


def collect(args, work):
    """All cases, what matters most first."""
    cases = [*zoo_cases(args.target), *kernel_cases(args.target)]
    if args.shared:
        cases += conformance_cases(unpack_suite(args.shared, work), args.target)
        cases += model_cases(os.path.join(args.shared, "models"), args.target)
    return [case for case in cases if re.search(args.only, case.name)]


def fill(folder, cases, limit, versions, targets):
    """Adds cases while there is room; what was left out and what failed, as lists of texts."""
    packed, left_out, failed = [], [], []
    used = sum(os.path.getsize(os.path.join(path, file)) for path, _, files in os.walk(folder) for file in files)

    def attempt(case):
        try:
            return pack_case(case)
        except (CannotPack, OSError, subprocess.CalledProcessError) as error:
            return None, str(error)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for number, (case, (data, about)) in enumerate(zip(cases, pool.map(attempt, cases)), 1):
            if sys.stderr.isatty():
                print(f"\r\x1b[K{number}/{len(cases)} {case.name}", end="", file=sys.stderr, flush=True)
            if data is None:
                failed.append(f"{case.name}: {about}")
                continue
            # The list of cases takes room as well.
            size = len(data) + len(json.dumps(about)) + 2
            if used + size > limit:
                left_out.append(f"{case.name}, {size / 1e6:.1f} MB")
                continue
            used += size
            path = os.path.join(folder, "cases", case.name + ".tar.xz")
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(data)
            packed.append(about)
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr)
    with open(os.path.join(folder, "pack.json"), "w", encoding="utf-8") as file:
        head = {"lathe": run_tool(LATHE, "--version").strip(), "targets": targets.split(","), "needs": versions,
                "left_out": left_out}
        lines = ",\n".join(json.dumps(about) for about in packed)
        file.write(json.dumps(head)[:-1] + ', "cases": [\n' + lines + "\n]}\n")
    return packed, left_out, failed


def main():
    parser = argparse.ArgumentParser(prog="test-gpu --pack", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--target", default="nvidia:sm_80,nvidia:sm_90a")
    parser.add_argument("--shared", help="where models/ and onnx-backend-tests.tar.xz lie; without, neither is packed")
    parser.add_argument("--only", metavar="REGEX", default="", help="only cases whose names match")
    parser.add_argument("--limit", type=float, default=60, metavar="MB", help="of all files (default 60)")
    args = parser.parse_args()
    folder = os.path.abspath(args.folder)
    if os.path.isdir(folder) and os.listdir(folder) and not os.path.exists(os.path.join(folder, "pack.json")):
        sys.exit(f"test-gpu: {folder} is not empty, and no earlier pack")
    if not os.access(LATHE, os.X_OK):
        sys.exit(f"test-gpu: {LATHE} does not exist; run utils/build")
    # Made beside and renamed: a folder that is there is whole.
    partial = f"{folder}.{os.getpid()}.part"
    try:
        versions = pack_runtime(partial)
        for name in ("run", "peer.py"):
            shutil.copy(os.path.join(HERE, name), os.path.join(partial, name))
        with tempfile.TemporaryDirectory() as work:
            cases = collect(args, work)
            if not cases:
                raise CannotPack(f"no case has a name that matches '{args.only}'")
            packed, left_out, failed = fill(partial, cases, args.limit * 1e6, versions, args.target)
        shutil.rmtree(folder, ignore_errors=True)
        os.rename(partial, folder)
    except (CannotPack, OSError) as error:
        sys.exit(f"test-gpu: {error}")
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    size = sum(os.path.getsize(os.path.join(path, file)) for path, _, files in os.walk(folder) for file in files)
    for text in failed:
        print(f"FAIL {text}")
    for text in left_out:
        print(f"left out, for there is no room: {text}")
    print(f"{folder}: {len(packed)} cases, {size / 1e6:.1f} MB; {len(left_out)} left out, {len(failed)} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
