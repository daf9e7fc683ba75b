# Takes the blocks of code out of a page. Licensed under Apache-2.0 WITH LLVM-exception.
"""usage: blocks.py PAGE.md LANGUAGE=FILE...

Writes the first block of each LANGUAGE to FILE; further ones, where a language is named again."""
import re
import sys

with open(sys.argv[1], encoding="utf-8") as page:
    blocks = re.findall(r"^```(\w+)\n(.*?)^```$", page.read(), re.M | re.S)
for argument in sys.argv[2:]:
    language, path = argument.split("=", 1)
    index = next(i for i, (name, _) in enumerate(blocks) if name == language)
    with open(path, "w", encoding="utf-8") as file:
        file.write(blocks.pop(index)[1])
