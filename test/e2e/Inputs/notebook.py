# Runs a page as a notebook: its ```python blocks in order, in one namespace; a ```text block after one
# is what it prints, with ... for anything. Licensed under Apache-2.0 WITH LLVM-exception.
"""usage: notebook.py PAGE.md"""
import contextlib
import io
import re
import sys


def blocks(text):
    """(line, language, content) of each fenced block."""
    for match in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        yield text.count("\n", 0, match.start()) + 2, match[1], match[2]


def matches(expected, printed):
    pattern = ".*".join(re.escape(part) for part in expected.strip().split("..."))
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None


def main(page):
    with open(page, encoding="utf-8") as file:
        text = file.read()
    namespace, printed, ran, compared = {"__name__": "__main__"}, None, 0, 0
    for line, language, content in blocks(text):
        if language == "python":
            output = io.StringIO()
            with contextlib.redirect_stdout(output):
                exec(compile("\n" * (line - 1) + content, page, "exec"), namespace)
            printed = output.getvalue()
            ran += 1
        elif language == "text" and printed is not None:
            if not matches(content, printed):
                sys.exit(f"{page}:{line}: the block before prints\n{printed}")
            printed = None
            compared += 1
    print(f"{ran} blocks ran, {compared} outputs are as the page says")
    if not ran or not compared:
        sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1])
