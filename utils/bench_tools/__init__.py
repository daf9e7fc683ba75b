# What utils/bench is made of.
# Licensed under Apache-2.0 WITH LLVM-exception.
