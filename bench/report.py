"""From timed subjects to results (what bench.json holds), and the table."""
import json
import os
import platform
import re
import statistics
import subprocess

COLUMNS = ("picture", "program", "precision", "instructions", "threads", "seconds", "fastest", "GFLOP/s", "of peak",
           "peak MB", "times ours", "difference")
RIGHT_FROM = COLUMNS.index("threads")


def machine():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        text = file.read()

    def first(key):
        found = re.search(rf"^{key}\s*:\s*(.*)$", text, re.M)
        return found[1] if found else ""

    parts = [first("model name") or platform.machine()]
    if first("cpu family"):
        parts.append(f"family {first('cpu family')} model {first('model')}")
    return {"processor": ", ".join(parts), "cores": len(os.sched_getaffinity(0)),
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), "kernel": platform.release()}


def json_of(build, program, *arguments):
    command = [os.path.join(build, program), *arguments, "--json"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def flop(build, manifest, size):
    """Of one run, counting a multiply-add as two: 282 GFLOP at 256x256."""
    return 2 * json_of(build, "restormer-weights", "info", manifest, "--size", f"{size[0]}x{size[1]}")["macs"]


def compare(build, one, other):
    """(largest difference, PSNR in dB, None where there is no difference) of two pictures."""
    found = json_of(build, "restormer-compare", one, other)
    return found["max_difference"], found["psnr"]


def peak_of(subject, peak):
    """What a row is a share of: the peak of its instruction set, precision and threads; 0: integers' is not measured."""
    if subject.precision == "int8":
        return 0
    at = peak["threads"].get(str(subject.threads), {})
    rates = at.get(subject.isa or peak["isa"], {})
    return rates.get(subject.precision) or rates.get("f32", 0)


def results(build, manifest, timed, peak):
    rows, reference, flops = [], {}, {}
    for s in timed:
        flops.setdefault(s.size, flop(build, manifest, s.size))
        seconds = statistics.median(s.runs)
        row = {"name": s.name, "ours": s.ours, "width": s.size[0], "height": s.size[1], "precision": s.precision,
               "isa": s.isa, "threads": s.threads, "busy": s.busy, "seconds": seconds, "runs": s.runs,
               "flop_per_second": flops[s.size] / seconds, "share_of_peak": None, "peak_bytes": s.peak_bytes,
               "max_difference": None, "psnr": None}
        most = peak_of(s, peak)
        if most:
            row["share_of_peak"] = row["flop_per_second"] / most
        if s.ours and s.precision == "f32":
            reference.setdefault(s.size, s.output)
        if s.size in reference and reference[s.size] != s.output:
            row["max_difference"], row["psnr"] = compare(build, reference[s.size], s.output)
        rows.append(row)
    return {"machine": machine(), "peak": peak, "rows": rows}


def number(value, form):
    return "" if value is None else format(value, form)


def cells(row, first_seconds):
    return (f"{row['width']}x{row['height']}", row["name"], row["precision"], row["isa"], str(row["threads"]),
            f"{row['seconds']:.3f}", f"{min(row['runs']):.3f}", f"{row['flop_per_second'] / 1e9:.0f}",
            number(row["share_of_peak"], ".0%"), f"{row['peak_bytes'] / 1e6:.0f}", f"{row['seconds'] / first_seconds:.2f}",
            number(row["max_difference"], ".1e"))


def aligned(lines):
    """Rows of cells as a Markdown table that is also readable as it is."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]

    def format_line(line):
        return "| " + " | ".join(cell.rjust(w) if i >= RIGHT_FROM else cell.ljust(w)
                                 for i, (cell, w) in enumerate(zip(line, widths))) + " |"

    rule = "|" + "|".join("-" * (w + 1) + ":" if i >= RIGHT_FROM else "-" * (w + 2) for i, w in enumerate(widths)) + "|"
    return [format_line(lines[0]), rule] + [format_line(line) for line in lines[1:]]


def peak_lines(peak):
    for threads, at in peak["threads"].items():
        rates = at[peak["isa"]]
        dot = f", {rates['bf16'] / 1e9:.0f} in bf16 dot products" if rates["bf16"] else ""
        yield (f"measured peak, {threads} thread{'s' * (threads != '1')}: {rates['f32'] / 1e9:.0f} GFLOP/s float32{dot}; "
               f"copying {at['copy'] / 1e9:.1f} GB/s")


def table(found):
    m = found["machine"]
    lines = [f"{m['processor']}; {m['cores']} cores, {m['memory_bytes'] / 2**30:.0f} GiB, Linux {m['kernel']}", *peak_lines(found["peak"]),
             "restormer-cli: whole process with loading; others: warm. Medians; `difference` from the first row of the size."]
    first = {}
    for r in found["rows"]:
        first.setdefault((r["width"], r["height"]), r["seconds"])
    lines += ["", *aligned([COLUMNS] + [cells(r, first[r["width"], r["height"]]) for r in found["rows"]])]
    for q in found.get("quality", []):
        lines.append(f"{q['precision']} against float32, {q['weights']}, {q['picture']}: PSNR {number(q['psnr'], '.1f')} dB, "
                     f"largest difference {q['max_difference']:.1e}")
    return "\n".join(lines)
