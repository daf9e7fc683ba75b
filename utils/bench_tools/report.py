# Tables, JSON, a picture, and the pages in docs/ that show them.
# Licensed under Apache-2.0 WITH LLVM-exception.
import datetime
import importlib.metadata
import json
import math
import os
import re
import subprocess

from .peers import PEERS
from .runtime import restriction

GROUPS = {"given": "Given models", "models": "Models", "light": "Topologies of the ONNX test suite", "zoo": "Zoo",
          "operators": "Operators"}


def header(args, root, build):
    import onnxruntime
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            text = file.read()
        field = {key: re.search(rf"^{key}\s*:\s*(.*)$", text, re.MULTILINE)
                 for key in ("model name", "cpu family", "model")}
        processor = ", ".join(match[1] if key == "model name" else f"{key} {match[1]}"
                              for key, match in field.items() if match)
    except OSError:
        processor = "unknown"
    commit = subprocess.run(["git", "-C", root, "describe", "--always", "--dirty"],
                            capture_output=True, text=True, check=False).stdout.strip()
    return {"date": datetime.date.today().isoformat(), "processor": processor,
            "processors": os.cpu_count(), "lathe": commit or "unknown",
            "onnxruntime": onnxruntime.__version__, "rounds": args.rounds,
            "seconds": args.seconds, "target": args.target or "default",
            "restricted": bool(restriction(args.target, build)),
            "peers": {name: importlib.metadata.version(PEERS[name][0][-1]) for name in args.peers},
            "cases": []}


def ratio(case, threads, kind="median", peer="ort"):
    """A peer's time over Lathe's; None where there is none."""
    times = case.get("threads", {}).get(str(threads))
    return times[peer][kind] / times["lathe"][kind] if times and kind in times.get(peer, {}) else None


def peers_of(results):
    """Who was measured beside ONNX Runtime."""
    return sorted({name for case in results["cases"] for times in case.get("threads", {}).values()
                   for name in times} - {"ort", "lathe"})


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values)) if values else float("nan")


def table_head(threads, peers=()):
    columns = "".join(f" | {f'ORT {t}t us':>11} {'Lathe us':>10} {'ratio':>6} {'min':>6}" +
                      "".join(f" {peer:>9}" for peer in peers) for t in threads)
    return f"{'case':<32}{columns} | {'diff':>7} {'compile':>7}"


def table_row(case, threads, peers=()):
    if "error" in case:
        return f"{case['name']:<32} | {case['error']}"
    columns = ""
    for t in threads:
        times = case["threads"][str(t)]
        columns += (f" | {times['ort']['median']:>11.1f} {times['lathe']['median']:>10.1f}"
                    f" {ratio(case, t):>6.2f} {ratio(case, t, 'min'):>6.2f}")
        for peer in peers:
            value = ratio(case, t, peer=peer)
            columns += f" {'-':>9}" if value is None else f" {value:>8.2f}x"
    difference = case.get("difference")
    shown = "-" if difference is None else f"{difference:.0e}"
    return f"{case['name']:<32}{columns} | {shown:>7} {case['compile_s']:>6.1f}s"


def summary(results):
    """Lines of geometric means by group and thread count."""
    lines = []
    cases = [case for case in results["cases"] if "error" not in case]
    counts = sorted({int(t) for case in cases for t in case["threads"]})
    names = [g for g in GROUPS if any(case["group"] == g for case in cases)]
    groups = [(name, [case for case in cases if case["group"] == name]) for name in names]
    whole = [case for case in cases if case["group"] != "operators"]
    if len([n for n in names if n != "operators"]) > 1:
        groups.append(("all models", whole))
    for name, members in groups:
        for t in counts:
            ratios = [r for case in members if (r := ratio(case, t))]
            for peer in peers_of(results):
                against = [r for case in members if (r := ratio(case, t, peer=peer))]
                if against:
                    lines.append(f"{name}, {t} thread{'s' if t > 1 else ''}, against {peer}: geometric "
                                 f"mean {geometric_mean(against):.2f} over {len(against)}, least "
                                 f"{min(against):.2f}, {sum(r < 1 for r in against)} below 1")
            if ratios:
                slower = sum(r < 1 for r in ratios)
                lines.append(f"{name}, {t} thread{'s' if t > 1 else ''}: geometric mean "
                             f"{geometric_mean(ratios):.2f} over {len(ratios)}, "
                             f"least {min(ratios):.2f}, {slower} below 1")
    return lines


def markdown(results):
    cases = results["cases"]
    counts = sorted({int(t) for case in cases for t in case.get("threads", {})})
    lines = [f"Measured {results['date']} on {results['processor']}, {results['processors']} "
             f"processors; Lathe {results['lathe']}, ONNX Runtime {results['onnxruntime']}, "
             f"{results['rounds']} rounds of {results['seconds']} s for each side, target "
             f"{results['target']}. Times are medians in microseconds." +
             (" Of AVX-512 and AMX nothing in the process sees anything." if results.get("restricted") else ""), ""]
    lines += [f"- {line}" for line in summary(results)] + [""]
    for group, title in GROUPS.items():
        members = [case for case in cases if case["group"] == group]
        if not members:
            continue
        lines += [f"### {title}", "", "| case |" + "".join(
            f" ORT, {t} | Lathe, {t} | ratio |" for t in counts),
                  "|---|" + "---:|---:|---:|" * len(counts)]
        for case in members:
            if "error" in case:
                lines.append(f"| {case['name']} | {case['error']} |" + " |" *
                             (3 * len(counts) - 1))
                continue
            row = f"| {case['name']} |"
            for t in counts:
                times = case["threads"].get(str(t))
                row += (f" {times['ort']['median']:.1f} | {times['lathe']['median']:.1f} | "
                        f"{ratio(case, t):.2f} |") if times else " | | |"
            lines.append(row)
        lines.append("")
    for peer in peers_of(results):
        lines += [f"### Against {peer} {results.get('peers', {}).get(peer, '')}".rstrip(), "",
                  "| case |" + "".join(f" {peer}, {t} | Lathe, {t} | ratio |" for t in counts),
                  "|---|" + "---:|---:|---:|" * len(counts)]
        for case in cases:
            row, is_there = f"| {case['name']} |", False
            for t in counts:
                value = ratio(case, t, peer=peer)
                is_there |= value is not None
                times = case.get("threads", {}).get(str(t), {})
                row += (f" {times[peer]['median']:.1f} | {times['lathe']['median']:.1f} | {value:.2f} |"
                        if value else " | | |")
            if is_there:
                lines.append(row)
        refused = [case["name"] for case in cases
                   if "error" in case.get("threads", {}).get(str(counts[0]), {}).get(peer, {})]
        if refused:
            lines += ["", f"It does not run, or computes something else: {', '.join(refused)}."]
        lines.append("")
    return "\n".join(lines)


def picture(results):
    """Ratios as bars on a logarithmic scale; the line is ONNX Runtime."""
    cases = [case for case in results["cases"] if "error" not in case]
    counts = sorted({int(t) for case in cases for t in case["threads"]})
    bar, gap, left, width, top = 7, 6, 230, 420, 34
    low, high = 0.5, 8.0
    height = top + sum(len(counts) * bar + gap for _ in cases) + 10

    def x_of(value):
        place = math.log(min(max(value, low), high) / low) / math.log(high / low)
        return left + width * place

    colors = ("#2b6cb0", "#dd6b20", "#38a169")
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 50}" '
             f'height="{height}" font-family="sans-serif" font-size="10">',
             '<rect width="100%" height="100%" fill="white"/>']
    for t, color in zip(counts, colors):
        x = left + 90 * counts.index(t)
        parts.append(f'<rect x="{x}" y="4" width="8" height="8" fill="{color}"/>'
                     f'<text x="{x + 12}" y="12">{t} thread{"s" if t > 1 else ""}</text>')
    for mark in (0.5, 1, 2, 4, 8):
        x = x_of(mark)
        stroke = "#000" if mark == 1 else "#ccc"
        parts.append(f'<line x1="{x:.1f}" y1="{top - 6}" x2="{x:.1f}" y2="{height}" '
                     f'stroke="{stroke}"/><text x="{x:.1f}" y="{top - 9}" '
                     f'text-anchor="middle">{mark}x</text>')
    y = top
    for case in cases:
        parts.append(f'<text x="{left - 6}" y="{y + 8}" text-anchor="end">{case["name"]}</text>')
        for t, color in zip(counts, colors):
            if value := ratio(case, t):
                begin, end = sorted((x_of(1), x_of(value)))
                parts.append(f'<rect x="{begin:.1f}" y="{y}" width="{max(end - begin, 1):.1f}" '
                             f'height="{bar - 1}" fill="{color}"/>')
            y += bar
        y += gap
    return "\n".join(parts + ["</svg>", ""])


def replace_block(path, name, text):
    """Puts `text` between the comments `<!-- name -->` and `<!-- end of name -->`."""
    with open(path, encoding="utf-8") as file:
        page = file.read()
    begin, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    with open(path, "w", encoding="utf-8") as file:
        file.write(before + begin + "\n" + text + "\n" + end + after)


def write(results, out, root):
    os.makedirs(out, exist_ok=True)
    files = {"results.json": json.dumps(results, indent=1), "results.md": markdown(results),
             "results.svg": picture(results)}
    for name, text in files.items():
        with open(os.path.join(out, name), "w", encoding="utf-8") as file:
            file.write(text)
    print("\n".join(summary(results)))
    print(f"results are in {os.path.join(out, 'results.json')}, .md and .svg")
    if root and results["target"] != "default":
        # A table of its own for each target that was asked for.
        replace_block(os.path.join(root, "docs", "Performance.md"), f"results {results['target']}",
                      files["results.md"])
    elif root:
        replace_block(os.path.join(root, "docs", "Performance.md"), "results",
                      files["results.md"])
        with open(os.path.join(root, "docs", "performance.svg"), "w", encoding="utf-8") as file:
            file.write(files["results.svg"])
