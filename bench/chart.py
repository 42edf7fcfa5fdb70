"""The results as an SVG: panels with two columns of bars, seconds and peak memory.

usage: python3 bench/chart.py README.md >docs/speed.svg      of the table under "Speed and memory"
"""
import re
import sys
from html import escape

WIDTH, LABEL, COLUMN, GAP = 960, 268, 300, 40
BAR, STEP, HEAD, MARGIN = 14, 22, 46, 20
STYLE = """text{font:12px system-ui,sans-serif;fill:#24292f}.title{font-weight:600;font-size:15px}.head{font-weight:600;font-size:13px}
.small{font-size:11px;fill:#57606a}.ours{fill:#1f6feb}.half{fill:#79b8ff}.peer{fill:#afb8c1}.page{fill:#ffffff}"""


def text(x, y, words, kind="", anchor="start"):
    return f'<text x="{x:.0f}" y="{y:.0f}" class="{kind}" text-anchor="{anchor}">{escape(words)}</text>'


def bar(x, y, value, longest, kind, label):
    width = COLUMN * 0.6 * value / longest if longest else 0
    return (f'<rect x="{x}" y="{y}" width="{max(width, 1):.1f}" height="{BAR}" rx="2" class="{kind}"/>'
            + text(x + width + 6, y + BAR - 3, label, "small"))


def label_of(row):
    parts = [row["precision"], row["isa"], f"{row['threads']} thread{'s' * (row['threads'] != 1)}"]
    return f"{row['name']}  {' '.join(p for p in parts if p)}" if row["ours"] else row["name"]


def seconds_label(row):
    share = "" if row["share_of_peak"] is None else f", {100 * row['share_of_peak']:.0f} % of peak"
    return f"{row['seconds']:.3g} s{share}"


def panel(title, rows, y):
    """Returns the drawing and where it ends."""
    left, right = MARGIN + LABEL, MARGIN + LABEL + COLUMN + GAP
    out = [text(MARGIN, y + 14, title, "head"), text(left, y + 14, "seconds", "small"),
           text(right, y + 14, "peak memory", "small")]
    y += 24
    slowest, largest = max(r["seconds"] for r in rows), max(r["peak_bytes"] for r in rows)
    for row in sorted(rows, key=lambda r: r["seconds"]):
        kind = "peer" if not row["ours"] else "ours" if row["precision"] == "f32" else "half"
        out += [text(left - 8, y + BAR - 3, label_of(row), anchor="end"),
                bar(left, y, row["seconds"], slowest, kind, seconds_label(row)),
                bar(right, y, row["peak_bytes"], largest, kind, f"{row['peak_bytes'] / 1e6:.0f} MB")]
        y += STEP
    return out, y + MARGIN


def panels(results):
    """Titles and rows: for each size what is compared, then our other instruction sets and thread counts."""
    best, sizes = results["peak"]["isa"], {}
    for row in results["rows"]:
        sizes.setdefault((row["width"], row["height"]), []).append(row)
    for (width, height), rows in sizes.items():
        threads = max(r["threads"] for r in rows)
        main = [r for r in rows if not r["ours"] or (r["isa"], r["threads"], r["busy"]) == (best, threads, False)]
        yield f"{width} × {height}", main or rows
        rest = [r for r in rows if r not in main]
        if main and rest:
            yield f"{width} × {height}, other ways", rest


def draw(results):
    machine, peak = results["machine"], results["peak"]
    most = str(max(map(int, peak["threads"])))
    rate = peak["threads"][most][peak["isa"]]["f32"] / 1e9
    body = [text(MARGIN, MARGIN + 8, "Restormer, 26.1 M parameters, on a CPU", "title"),
            text(MARGIN, MARGIN + 26, f"{machine['processor']}, {machine['cores']} cores, measured peak {rate:.0f} GFLOP/s float32. "
                 "restormer-cli: whole process with loading; others: warm. Medians.", "small")]
    y = MARGIN + HEAD
    for title, rows in panels(results):
        drawn, y = panel(title, rows, y)
        body += drawn
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}">\n<style>{STYLE}</style>\n'
            f'<rect width="{WIDTH}" height="{y}" class="page"/>\n' + "\n".join(body) + "\n</svg>\n")


def read_table(page):
    """The results that README's table tells."""
    row = re.compile(r"\| (\d+) x (\d+) \| ([^|]*) \| (float32|bf16|int8) \| ([\d.]+) \| (?:(\d+) % )?\| ([\d,]+) MB \|")
    machine = re.search(r"two cores of an (.*?) virtual machine \((.*?): float32\s+peak (\d+) GFLOP/s", page)
    rows = [{"width": int(w), "height": int(h), "name": name, "ours": name == "restormer-cli", "isa": "", "threads": 2,
             "precision": "f32" if precision == "float32" else precision, "seconds": float(seconds),
             "busy": False, "share_of_peak": int(share) / 100 if share else None, "peak_bytes": int(megabytes.replace(",", "")) * 1e6}
            for w, h, name, precision, seconds, share, megabytes in row.findall(page)]
    return {"machine": {"processor": f"{machine[1]} ({machine[2]})", "cores": 2}, "rows": rows,
            "peak": {"isa": "", "threads": {"2": {"": {"f32": int(machine[3]) * 1e9}}}}}


if __name__ == "__main__":
    with open(sys.argv[1], encoding="utf-8") as file:
        sys.stdout.write(draw(read_table(file.read())))
