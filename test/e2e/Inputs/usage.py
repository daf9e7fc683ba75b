# Runs a command that should be wrong usage and prints what it says.
# Licensed under Apache-2.0 WITH LLVM-exception.
"""usage: usage.py COMMAND [ARGUMENT...]      fails unless COMMAND exits with status 2"""
import subprocess
import sys

done = subprocess.run(sys.argv[1:], capture_output=True, text=True, check=False)
print(done.stderr, end="")
if done.returncode != 2 or done.stdout:
    sys.exit(f"exit status {done.returncode}, output '{done.stdout}'")
