#!/usr/bin/python3
# Compares what scheduled models compute with numpy, for each level, -O0 and -O3, 1 and 2 threads.
# Licensed under Apache-2.0 WITH LLVM-exception.
import argparse
import importlib
import os
import sys
import tempfile
import time
import warnings

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import numpy as np  # noqa: E402

from runner import Runner, levels_of_this_machine  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lathe", required=True, metavar="FILE",
                        help="the runtime's command; the compiler is beside it")
    parser.add_argument("--only", nargs="*", metavar="MODEL",
                        help="functions of the cases (default: all)")
    parser.add_argument("--cases", default="schedule_cases", metavar="MODULE",
                        help="the file of cases beside this one (default: %(default)s)")
    parser.add_argument("--keep", metavar="FOLDER", help="where models and artifacts stay")
    parser.add_argument("--levels", help="targets, the plainest first (default: all that run here)")
    parser.add_argument("-O", dest="optimizations", default="0,3", help="default: 0,3")
    parser.add_argument("--compile", action="append", default=[], metavar="FLAG",
                        help="a further flag of `lathe compile`")
    args = parser.parse_args()
    cases = importlib.import_module(args.cases)
    models = {build.__name__: (build, sizes) for build, sizes in
              [(build, [{}]) for build in cases.STATIC] + cases.DYNAMIC}
    if unknown := set(args.only or []) - set(models):
        parser.error(f"no such models: {', '.join(sorted(unknown))}")
    levels = args.levels.split(",") if args.levels else levels_of_this_machine()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.keep or temporary
        os.makedirs(folder, exist_ok=True)
        runner = Runner(args.lathe + "-compile", args.lathe, folder, levels, args.compile)
        for build, sizes in [models[name] for name in args.only or models]:
            start, before = time.monotonic(), runner.comparisons
            with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
                graphs = [build(**size) for size in sizes]
            runner.check(graphs, [int(level) for level in args.optimizations.split(",")])
            print(f"{build.__name__}: {runner.comparisons - before} values compared, "
                  f"{time.monotonic() - start:.1f} s", flush=True)
    print("\n".join(runner.failures))
    print(f"{runner.comparisons} values compared, {len(runner.failures)} failures")
    return 1 if runner.failures or not runner.comparisons else 0


if __name__ == "__main__":
    sys.exit(main())
