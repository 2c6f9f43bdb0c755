"""The chart of a run, as SVG written by hand: calls a second, and beside each bar what a call costs.

The text is of a grey that can be read on white and on black, and nothing lies behind it, so that one file serves a
reader in light and in dark mode.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from .contenders import CONTENDERS, OURS
from .results import Cell, Results
from .workloads import WORKLOADS, Workload

_WIDTH, _COLUMNS, _GAP = 1_000, 2, 48
_PANEL = (_WIDTH - _GAP) // _COLUMNS
_LABELS, _NUMBERS = 168, 118
_BAR, _STEP, _HEADING = 14, 22, 34
_OURS, _OTHERS, _TEXT = "#2f81f7", "#8b949e", "#7d8590"
_LEGEND = "Calls a second, more is better; in brackets the milliseconds of CPU that a call costs."


def chart(results: Results) -> str:
    """Draw a run: for each workload the contenders at the concurrency that stands for it."""
    panels = [
        (workload, cells)
        for workload in WORKLOADS.values()
        if (cells := [*_cells(results, workload)]) and any(cell.contender == OURS for cell in cells)
    ]
    rows = max((len(cells) for _, cells in panels), default=0)
    height_of_panel = _HEADING + rows * _STEP + _GAP // 2
    height = -(-len(panels) // _COLUMNS) * height_of_panel + _STEP
    font = 'font-family="-apple-system, Segoe UI, Helvetica, Arial, sans-serif" font-size="12"'
    size = f'viewBox="0 0 {_WIDTH} {height}"'
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{_LEGEND}" {font} fill="{_TEXT}">']
    for number, (workload, cells) in enumerate(panels):
        x = number % _COLUMNS * (_PANEL + _GAP)
        y = number // _COLUMNS * height_of_panel
        lines += _panel(results, workload, cells, x, y)
    lines += [f'<text x="0" y="{height - 6}">{_LEGEND}</text>', "</svg>", ""]
    return "\n".join(lines)


def _cells(results: Results, workload: Workload) -> Iterator[Cell]:
    for contender in CONTENDERS:
        cell = Cell(workload.name, workload.headline, contender)
        if cell in results.cells:
            yield cell


def _panel(results: Results, workload: Workload, cells: list[Cell], x: int, y: int) -> Iterator[str]:
    title = escape(f"{workload.title[0].upper()}{workload.title[1:]}, {workload.headline} at once")
    yield f'<text x="{x}" y="{y + 16}" font-size="14" font-weight="600">{title}</text>'
    rates = {cell: results.median(cell, lambda result: result.rate) for cell in cells}
    longest = max(rates.values())
    for number, (cell, rate) in enumerate(rates.items()):
        top = y + _HEADING + number * _STEP
        baseline = top + _BAR - 3
        width = max(2.0, rate / longest * (_PANEL - _LABELS - _NUMBERS))
        cpu = results.median(cell, lambda result: result.cpu_per_call) * 1e3
        colour = _OURS if cell.contender in {OURS, "speed"} else _OTHERS
        label = escape(CONTENDERS[cell.contender].short_title)
        yield f'<text x="{x + _LABELS - 8}" y="{baseline}" text-anchor="end">{label}</text>'
        yield f'<rect x="{x + _LABELS}" y="{top}" width="{width:.1f}" height="{_BAR}" rx="2" fill="{colour}"/>'
        yield f'<text x="{x + _LABELS + width + 6:.1f}" y="{baseline}">{rate:,.0f} ({cpu:.2f} ms)</text>'
