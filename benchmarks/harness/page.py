"""Write the page of the documentation and its pictures out of the results, so that no figure is typed by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from .figures import Figure, Section, Table
from .plot import svg

__all__ = ["page_text", "write_page"]

_HEAD = """\
# Benchmarks

What recording costs, beside the physical floor and beside other tools, and what each of them loses. One command
measures it all again and writes this page:

<!-- not run: takes about an hour, and writes this very page -->
```console
$ python benchmarks/run.py
```

`--only NAME` measures some, `--quick` a small share of everything (it writes no page), `--list` names them. The peers
are installed from the package index, each into a virtual environment of its own; one that cannot be is left out, with a
word.

## How it is measured

- **Ratios, in one run.** Every contestant is a process of its own; they take turns, A/B/A/B, every second round
  backwards, the first round thrown away. A ratio is the median over the rounds, each compared with its own neighbour:
  what else the machine did hit both alike. Times in microseconds say little about other machines.
- **Beside a floor.** Ours is compared with the least that the same promise can cost: `os.write(fd, encoded dict)` for
  a line, with `fdatasync` for one that survives a power cut, and for a row a kept connection with the same tables and
  indexes.
- **Speed and loss together.** Every record has a number. All are read back, after a clean end and after a `kill -9`
  directly behind the last call. A power cut cannot be tried here; whoever does not sync is taken not to survive one.
- **Beside other load.** Each section says how many processes wanted one of the cores when it began (the load average of
  a minute). Processor time is given where waiting for a core would hide the work.
"""
_FACTS = ("machine", "system", "python")
_BUSY = 3.0
_BUSY_WORDS = """\
**The machine was busy**: up to {busiest:.0f} processes wanted one of its cores. A call in Python suffers more
from that than the system call that is its floor. Times that stand alone (milliseconds, seconds) are no measure of an
idle machine.
"""


def write_page(sections: Sequence[Section], docs: Path) -> None:
    """Write `reference/benchmarks.md` and the pictures in `_static` below *docs*."""
    for plot in (plot for section in sections for plot in section.plots):
        (docs / "_static" / f"{plot.name}.svg").write_text(svg(plot), "utf-8")
    (docs / "reference" / "benchmarks.md").write_text(page_text(sections), "utf-8")


def page_text(sections: Sequence[Section]) -> str:
    """Return the whole page."""
    parts = [_HEAD, *_machine(sections), *_targets(sections)]
    for section in sections:
        parts += _section(section)
    return "\n".join(parts)


def _machine(sections: Sequence[Section]) -> Iterator[str]:
    for facts in sorted({tuple(each.circumstances[key] for key in _FACTS) for each in sections}):
        yield f"Measured on: {'; '.join(facts)}.\n"
    busiest = max(map(_load, sections))
    if busiest > _BUSY:
        yield _BUSY_WORDS.format(busiest=busiest)


def _load(section: Section) -> float:
    text = section.circumstances["load"]
    return float(text) if text != "unknown" else 0.0


def _targets(sections: Sequence[Section]) -> Iterator[str]:
    yield "## What was asked, and what came out\n"
    rows = [_target(figure) for section in sections for figure in section.figures if figure.limit is not None]
    yield _table(Table(("work", "asked", "measured", ""), tuple(rows)))


def _target(figure: Figure) -> tuple[str, ...]:
    sign = "≥" if figure.is_at_least else "≤"
    asked = f"{sign} {_number(figure.limit or 0.0)} {figure.unit} {figure.against}".rstrip()
    measured = f"{_number(figure.value)} {figure.unit}".rstrip()
    return figure.work, asked, measured, "met" if figure.is_met else "**missed**"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) or abs(value) >= 100 else f"{value:.3g}"


def _section(section: Section) -> Iterator[str]:
    yield f"\n## {section.title}\n"
    facts = section.circumstances
    yield f"{section.text}\n"
    yield f"*{facts['date']}, commit {facts['commit']}, load {facts['load']} before and {facts['load_after']} after.*\n"
    for table in section.tables:
        yield _table(table)
    for plot in section.plots:
        yield f"![{plot.title}](../_static/{plot.name}.svg)\n"


def _table(table: Table) -> str:
    lines = [f"**{table.title}**", ""] if table.title else []
    lines += [_row(table.head), _row("---" for _ in table.head), *map(_row, table.rows)]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str] | Iterator[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
