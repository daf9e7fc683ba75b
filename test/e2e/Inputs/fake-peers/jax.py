# Stands in for a JAX that does not start.
# Licensed under Apache-2.0 WITH LLVM-exception.
raise ImportError("libcusolver is missing")
