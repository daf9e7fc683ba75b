# How lit finds and runs the tests of this tree.
# Licensed under Apache-2.0 WITH LLVM-exception.
#
#   %lathe-opt %lathe %zoo %reference    the tools
#   FileCheck not split-file             LLVM's, in PATH
#   %cc                                  the C compiler, with include/ and liblathe at hand
#   REQUIRES: avx512 | aarch64-emulator  what the machine must have
#   REQUIRES: shared-models              ../shared beside the tree, with its models
#   REQUIRES: ptxas                      NVIDIA's assembler, in PATH
#   REQUIRES: python-package             where pybind11-dev was there when building (utils/setup)
#
# --param round-trip=1: lathe-opt also prints and parses again everything it reads.
import glob
import os
import platform
import shutil

import lit.formats

build, source = config.lathe_build, config.lathe_source
config.name = "lathe"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir", ".test", ".ll"]
config.excludes = ["Inputs", "unit", "conformance", "bench", "fuzz", "soak"]
config.test_source_root = os.path.join(source, "test")
config.test_exec_root = os.path.join(build, "test")

binaries = os.path.join(build, "bin")
config.environment["PATH"] = os.pathsep.join(
    [config.llvm_tools, binaries, config.environment.get("PATH", "")])
# Nothing of the user's settings may change a result.
config.environment["LC_ALL"] = "C.UTF-8"
config.environment["NO_COLOR"] = "1"
config.environment["LATHE_CACHE"] = "off"  # what is tested is made, not found

round_trip = " --verify-roundtrip" if lit_config.params.get("round-trip") else ""
include, libraries = os.path.join(source, "include"), os.path.join(build, "lib")
# Longer names first: lit replaces them in order.
config.substitutions += [
    ("%lathe-opt", os.path.join(binaries, "lathe-opt") + round_trip),
    ("%lathe-compile", os.path.join(binaries, "lathe-compile")),
    ("%lathe", os.path.join(binaries, "lathe")),
    ("%zoo", os.path.join(source, "utils", "zoo")),
    ("%reference", os.path.join(source, "utils", "reference")),
    ("%python", "/usr/bin/python3"),
    ("%aarch64", os.path.join(build, "test", "unit", "runtime", "aarch64")),
    ("%cc", f"{config.c_compiler} -I{include} -L{libraries} -Wl,-rpath,{libraries}"),
    ("%build", build),
    ("%source", source),
    ("%utils", os.path.join(source, "utils")),
]

if glob.glob(os.path.join(build, "python", "lathe", "_lathe*.so")):
    config.available_features.add("python-package")
if os.path.isdir(os.path.join(source, "..", "shared", "models")):
    config.available_features.add("shared-models")
if shutil.which("ptxas"):
    config.available_features.add("ptxas")
if platform.machine() == "x86_64":
    config.available_features.add("x86")
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        flags = file.read()
    if "avx512f" in flags and "avx512vl" in flags:
        config.available_features.add("avx512")
if shutil.which("qemu-aarch64") and glob.glob("/usr/aarch64-linux-gnu/lib/libc.so*"):
    config.available_features.add("aarch64-emulator")
