"""Write the figures of `engine.py` as a page to read."""

from __future__ import annotations

from typing import Any

WHAT = {
    "W1": "two-compartment oral pharmacokinetics with an effect compartment, 28 daily doses, 672 h, 225 samples",
    "W2a": "UVA/Padova glucose and insulin, three meals by one-minute inputs, 24 h, 289 samples",
    "W2b": "docetaxel, neutrophils and tumour, 8 infusions, 180 days, 361 samples; stiff",
    "W3": "closed-loop circulation, four valves, 30 beats, 601 samples; kinked",
}


def write_report(found: dict[str, Any]) -> str:
    """Markdown: the machine, a summary, and a section a workload."""
    machine, workloads = found["machine"], found["workloads"]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    peers = ", ".join(f"{name} {number}" for name, number in found["peers"].items() if number)
    lines = [
        "# The ensemble engine beside other solvers", "",
        "Written by `benchmarks/engine.py`; how to repeat it stands in `benchmarks/README.md`.", "",
        f"- {machine['date']}; {machine['processor']}, {machine['cores']} cores"
        f"{', AVX-512' if machine['avx512'] else ''}; FMA peak of one core {machine['fma_peak'] / 1e9:.0f} GFLOP/s; "
        f"load {machine['load']:.1f} when it began.",
        f"- Python {machine['python']}, {versions}.",
        f"- Peers: {peers}.",
        "- Speed is twins a second of CPU time of one core. Error is the largest over samples, watched states and "
        "three twins, relative to the state's largest value, against SciPy at 1e-12 or better. A ratio is the median "
        "of five rounds, in each of which the engine and the peer took turns.", "",
        "| | twins/s/core | error | best peer at rtol 1e-6 | its error | ratio | ratio at errors no worse |",
        "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name, w in workloads.items():
        measured = [peer for peer in w["peers"].values() if "rate" in peer]
        if measured:
            best = min(measured, key=lambda peer: peer["ratio_no_worse"])
            lines.append(
                f"| {name} | {w['rate']:,.0f} | {w['error']:.1e} | {best['solver']}, {best['rate']:,.0f} | "
                f"{best['error']:.1e} | {best['ratio']:.1f} | {best['ratio_no_worse']:.1f} |"
            )
    lines += ["", "The best peer is the one against which the ratio at errors no worse is the smallest.", ""]
    for name, w in workloads.items():
        lines += _section(name, w)
    return "\n".join(lines)


def _section(name: str, w: dict[str, Any]) -> list[str]:
    lines = [
        f"## {name}: {WHAT[name]}", "",
        f"Method chosen by the engine: {w['rate']:,.0f} twins/s, error {w['error']:.1e}, {w['steps']:.0f} steps a "
        f"twin. `{w['method']}`: {w['rate_named']:,.0f} twins/s, error {w['error_named']:.1e}, "
        f"{100 * w['share_of_fma_peak']:.0f} % of the FMA peak. One lane: {w['rate_one_lane']:,.0f} twins/s.", "",
        "| CPU seconds to the first twin in a new process | whole process | within `solve` |", "|---|---|---|",
    ]  # fmt: skip
    labels = {"cold": "nothing compiled", "new model": "another model compiled before", "warm": "compiled before"}
    for label, text in labels.items():
        whole, inside = w["first_twin"][label]
        lines.append(f"| {text} | {whole:.2f} | {inside:.3f} |")
    lines += [
        "", "| peer, rtol 1e-6 | twins/s/core | error | ratio, same rtol | ratio, errors no worse (the engine's "
        "choice) | first twin, cold and warm |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for peer, row in w["peers"].items():
        if "missing" in row:
            lines.append(f"| {peer} | {row['missing']} | | | | |")
            continue
        first = row["first_twin"]
        lines.append(f"{_row(peer, row)} {first['cold']:.1f} s, {first['warm']:.1f} s |")
    for row in [other for peer in w["peers"].values() for other in peer.get("others", [])]:
        title = f"{row['solver']}, rtol {row['rtol']:.0e}"
        lines.append(f"{_row(title, row)} |")
    tolerances = sorted({row["rtol"] for row in w["table"]}, reverse=True)
    lines += [
        "", "Work and precision of the engine, twins/s/core (error):", "",
        "| method | " + " | ".join(f"{rtol:.0e}" for rtol in tolerances) + " |", "|---" * (len(tolerances) + 1) + "|",
    ]  # fmt: skip
    for solver in dict.fromkeys(row["solver"] for row in w["table"]):
        cells = [f"{r['rate']:,.0f} ({r['error']:.0e})" for r in w["table"] if r["solver"] == solver]
        lines.append(f"| {solver} | " + " | ".join(cells) + " |")
    return [*lines, ""]


def _row(title: str, row: dict[str, Any]) -> str:
    equal = row["equal"]
    return (
        f"| {title} | {row['rate']:,.1f} | {row['error']:.1e} | {row['ratio']:.1f} | {row['ratio_no_worse']:.1f} "
        f"({equal['solver']}, rtol {equal['rtol']:.0e}, error {equal['error']:.1e}) |"
    )
