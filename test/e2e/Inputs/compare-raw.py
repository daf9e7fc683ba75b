# Compares two files of f32: compare-raw.py EXPECTED ACTUAL TOLERANCE (times the RMS of EXPECTED).
# Licensed under Apache-2.0 WITH LLVM-exception.
import sys

import numpy

expected, actual = (numpy.fromfile(path, numpy.float32) for path in sys.argv[1:3])
if expected.shape != actual.shape or expected.size == 0:
    sys.exit(f"{expected.size} numbers, and {actual.size}")
limit = float(sys.argv[3]) * numpy.sqrt(numpy.mean(expected.astype(numpy.float64) ** 2))
worst = numpy.abs(expected - actual).max()
if not worst <= limit:
    sys.exit(f"differ by {worst}, more than {limit}")
