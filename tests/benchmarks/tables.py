"""What was measured as Markdown, and its place in docs/performance.md.

python -m tests.benchmarks.tables .benchmarks/results.json [--docs]
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.peers.process import ROOT
from tests.benchmarks.scaling import SERIES, exponent
from tests.benchmarks.targets import Results, duration, judge, judge_fresh, judge_second_core, part_of_limit

PAGE = ROOT / "docs" / "performance.md"
MAIN, SHARE, WIDTH = 8, 0.04, 60  # how many statements of a work are shown, from what part of it on, and how widely
_SECTION = re.compile(r"(<!-- measured: ([\w-]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def sections(results: Results) -> dict[str, str]:
    """The text of each section of the page, by its name."""
    rows = [*judge(results, "1"), *judge_second_core(results), *judge_fresh(results)]
    found = {"machine": machine(results), "targets": verdicts(rows), "targets-two-cores": verdicts(judge(results, "2"))}
    for threads in results["times"]:
        found[f"times-{threads}"] = times(results, threads)
    found |= {name: figures(results[name]) for name in ("compile", "cached")}
    found |= {"memory": memory(results), "starts": starts(results)}
    found |= {"kernels": kernels(results), "growth": growth(results)}
    return {name: text for name, text in found.items() if text}


def machine(results: Results) -> str:
    found = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    missing = f" Could not be installed here: {', '.join(results['missing'])}." if results["missing"] else ""
    limits = [
        f"{found['peak'][n]:.0f} GF/s and {found['copy'][n]:.0f} GB/s on {n} core{'s' * (n != '1')}"
        for n in found["peak"]
    ]
    return (
        f"{results['date']}, {found['processor']}, {found['cores']} cores. Multiply-add peak and copies, read and "
        f"written: {', '.join(limits)}.\n{versions}.{missing}"
    )


def verdicts(rows: Iterable) -> str:
    lines = [(v.row, v.wanted, v.graphnn, v.peer, v.ratio, "met" if v.met else "**missed**") for v in rows]
    return table(("", "wanted", "graphnn", "best peer", "ratio", ""), lines) if lines else ""


def times(results: Results, threads: str) -> str:
    """Every library's time; a dash where it does not do the work."""
    works = results["times"][threads]
    own = {work: found.get("graphnn") for work, found in works.items()}
    parts = {w: part_of_limit(results, w, t, threads) for w, t in own.items() if isinstance(t, float)}
    return figures(works, {work: f"{part:.0%}" if part else "" for work, part in parts.items()})


def figures(found: dict[str, dict[str, float | str]], parts: dict[str, str] | None = None) -> str:
    names = list(dict.fromkeys(name for times in found.values() for name in times))
    head = ["", *names] if parts is None else ["", *names, "of limit"]
    rows = []
    for work, times in found.items():
        cells = [duration(t) if isinstance(t := times.get(name), float) else "-" for name in names]
        rows.append([work, *cells] if parts is None else [work, *cells, parts.get(work, "")])
    return table(head, rows) if rows else ""


def memory(results: Results) -> str:
    """Peak of the process, and in brackets what is above the library's own after its import."""
    found = results["memory"]
    names = list(dict.fromkeys(name for figures in found.values() for name in figures))

    def cell(figure: dict[str, float] | str | None) -> str:
        if not isinstance(figure, dict):
            return "-"
        return f"{figure['process']:.0f} ({figure['peak'] - figure['before']:.0f})"

    rows = [(work, *(cell(figures.get(name)) for name in names)) for work, figures in found.items()]
    return table(("MB", *names), rows) if rows else ""


def starts(results: Results) -> str:
    names = list(dict.fromkeys((*results["imports"], *results["starts"])))
    rows = [
        (label, *(duration(results[key][name]) if name in results[key] else "-" for name in names))
        for label, key in (("import", "imports"), ("start to first result", "starts"))
        if results[key]
    ]
    return table(("", *names), rows) if rows else ""


def kernels(results: Results) -> str:
    """The statements that take most of each work, by what they write."""
    rows = []
    for work, (whole, *parts) in results["kernels"].items():
        rows.append((f"**{work}**", *_rates(whole), ""))
        for part in sorted(parts, key=lambda k: -k["seconds"])[:MAIN]:
            if (share := part["seconds"] / whole["seconds"]) > SHARE:
                rows.append((f"`{shorten(part['label'].split(' <- ')[0])}`", *_rates(part), f"{share:.0%}"))
    return table(("what is written", "time", "GF/s", "flops per byte", "of the work"), rows) if rows else ""


def _rates(kernel: dict[str, Any]) -> tuple[str, str, str]:
    rate = f"{1e-9 * kernel['flops'] / kernel['seconds']:.0f}", f"{kernel['flops'] / kernel['bytes']:.1f}"
    return duration(kernel["seconds"]), *(rate if kernel["flops"] else ("", ""))


def shorten(label: str) -> str:
    return label if len(label) <= WIDTH else label[: WIDTH - 4].rstrip(", ") + " ..."


def growth(results: Results) -> str:
    """GF/s of a step at each size, seconds of a compile, and the powers at the end."""
    rows = []
    for name, points in results["scaling"].items():
        a, b = points[-2:]
        sizes, rates, compiles = (
            " ".join(texts)
            for texts in zip(
                *((f"{p['size']:g}", f"{1e-9 * p['flops'] / p['step']:.0f}", f"{p['compile']:.2f}") for p in points),
                strict=True,
            )
        )
        powers = exponent(a, b, "flops", "step"), exponent(a, b, "size", "compile")
        rows.append((SERIES[name].title, sizes, rates, compiles, *(f"{power:.2f}" for power in powers)))
    head = "series", "sizes", "GF/s of a step", "seconds of a compile", "step ~ arithmetic ^", "compile ~ size ^"
    return table(head, rows) if rows else ""


def report(results: Results) -> str:
    return "\n\n".join(f"## {name}\n\n{text}" for name, text in sections(results).items())


def rewrite(page: str, found: dict[str, str]) -> str:
    """The page with each section between its marks replaced; what was not measured stays."""

    def replaced(section: re.Match[str]) -> str:
        opening, name, old, closing = section.groups()
        return f"{opening}{found[name]}\n{closing}" if name in found else f"{opening}{old}{closing}"

    return _SECTION.sub(replaced, page)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--docs", action="store_true", help=f"rewrite {PAGE.relative_to(ROOT)}")
    options = parser.parse_args()
    results = json.loads(options.results.read_text())
    print(report(results))
    if options.docs:
        PAGE.write_text(rewrite(PAGE.read_text(), sections(results)))


if __name__ == "__main__":
    main()
