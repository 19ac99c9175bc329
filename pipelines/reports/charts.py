"""Charts drawn by matplotlib: the report's as SVG, those of Dagster's pages as PNG; the same figures, the same bytes.

Colour is never the only sign: every line has its own dash or marker and is named at its end, every bar its figure.
"""

from __future__ import annotations

import io
import re
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any

from pipelines.reports.document import AGES, MINUS, BalancePoint, BreakGroup, HistoryPoint
from resources.output import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, FAINT, GRID = "#1f2933", "#61707f", "#dfe5ea"
COLOURS = ("#0b5cad", "#b4540a", "#19734c", "#7a3e9d", "#8a6d00", "#a02040")
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)), (0, (8, 3)), (0, (3, 3)))
MOST_LINES = 6
FEW_BARS = 8  # each of them has room for its name and its figure
SIZE = (4.6, 2.4)  # inches; the page scales it: 8.5 points are 9 pixels on a phone and 14 at a desk


def volume(points: Sequence[HistoryPoint], exponents: Mapping[str | None, int | None]) -> dict[str, str]:
    """Return an SVG for each currency: volume a day, as bars; currencies never share an axis."""
    charts = {}
    for currency in _by_weight(points):
        mine = [point for point in points if point.currency == currency]
        scale = 10 ** (exponents.get(currency) or 0)
        heights = [point.credit_minor / scale for point in mine]  # of a picture only: no figure is read from it
        days = [point.business_date for point in mine]
        charts[currency] = _svg(f"volume-{currency}", partial(_bars_by_day, days=days, heights=heights))
    return charts


def sparkline(values: Sequence[int], name: str) -> str:
    """Return a small SVG line of whole numbers from 0 up, its last point marked; it is named for who cannot see it."""
    from markupsafe import escape

    width, height, top = 84, 20, max([*values, 1])
    step = (width - 6) / max(1, len(values) - 1)
    points = [
        (round(3 + step * number, 1), round(height - 3 - (height - 6) * value / top, 1))
        for number, value in enumerate(values)
    ]
    line = " ".join(f"{x},{y}" for x, y in points)
    x, y = points[-1]
    return (
        f'<svg class="spark" role="img" aria-label="{escape(name)}" viewBox="0 0 {width} {height}">'
        f'<polyline points="{line}" fill="none" stroke="{COLOURS[0]}" stroke-width="1.3"/>'
        f'<circle cx="{x}" cy="{y}" r="2.2" fill="{COLOURS[0]}"/></svg>'
    )


def approval(points: Sequence[HistoryPoint]) -> str | None:
    """Return the SVG of the approval rate a day, over all currencies: counts may be added, amounts may not."""
    attempts, approved = Counter[date](), Counter[date]()
    for point in points:
        attempts[point.business_date] += point.attempts
        approved[point.business_date] += point.approved
    rated = [(day, approved[day] / of) for day, of in sorted(attempts.items()) if of]
    if not rated:
        return None

    def draw(axes: Axes) -> None:
        from matplotlib.ticker import MaxNLocator

        shown, rates = zip(*rated, strict=True)
        axes.plot(range(len(shown)), rates, color=COLOURS[0], marker="o", markersize=2.5, linewidth=1.4)
        axes.set_ylim(max(0.0, min(rates) - 0.1), min(1.0, max(rates) + 0.1))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        last, at = f"{100 * rates[-1]:.1f} %", (len(shown) - 1, rates[-1])
        axes.annotate(last, at, xytext=(5, 5), textcoords="offset points", color=INK)
        _name_days(axes, shown)

    return _svg("approval", draw)


def balances(
    points: Sequence[BalancePoint], exponents: Mapping[str | None, int | None], history: Sequence[HistoryPoint] = ()
) -> dict[str, str]:
    """Return an SVG for each currency: its balances a day, a line each, named in the legend.

    A single day is no line, and more currencies than are worth a look are in the table: those with the most
    operations are drawn.
    """
    weights = _by_weight(history)
    named = {point.currency for point in points}
    ordered = [*(name for name in weights if name in named), *sorted(named.difference(weights))]
    charts: dict[str, str] = {}
    for currency in ordered:
        mine = [point for point in points if point.currency == currency]
        if len({point.business_date for point in mine}) > 1 and len(charts) < MOST_LINES:
            scale = 10 ** (exponents.get(currency) or 0)
            charts[currency] = _svg(f"balances-{currency}", partial(_balance_lines, points=mine, scale=scale))
    return charts


def breaks_by_age(groups: Sequence[BreakGroup]) -> str | None:
    """Return the SVG of open breaks by age, counted."""
    if not groups:
        return None
    counts = [sum(group.count for group in groups if group.age == age) for age in AGES]

    def draw(axes: Axes) -> None:
        bars = axes.barh([f"{age} days" for age in AGES], counts, color=COLOURS[1], height=0.6)
        axes.bar_label(bars, labels=[f"{count:,}" if count else "" for count in counts], padding=3, color=INK)
        axes.invert_yaxis()
        axes.margins(x=0.15)
        axes.xaxis.set_visible(False)
        axes.spines["bottom"].set_visible(False)

    return _svg("breaks", draw)


def counts(bars: Mapping[str, int]) -> bytes:
    """Return a PNG of counts, a bar each, named below; every bar carries its figure where there are few."""

    def draw(axes: Axes) -> None:
        drawn = axes.bar(range(len(bars)), list(bars.values()), color=COLOURS[0], width=0.78)
        if len(bars) <= FEW_BARS:
            axes.bar_label(drawn, labels=[f"{count:,}" for count in bars.values()], padding=3, color=INK)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
        _name_some(axes, list(bars), FEW_BARS)

    return _drawn("counts", draw, format="png", dpi=120, metadata={"Software": None})


def _by_weight(points: Sequence[HistoryPoint]) -> list[str]:
    approved = Counter[str]()
    for point in points:
        approved[point.currency] += point.approved
    return sorted((name for name in approved if approved[name]), key=lambda name: (-approved[name], name))[:MOST_LINES]


def _bars_by_day(axes: Axes, days: Sequence[date], heights: Sequence[float]) -> None:
    colours = [COLOURS[0] if number == len(days) - 1 else "#9dbfe0" for number in range(len(days))]
    axes.bar(range(len(days)), heights, color=colours, width=0.78)
    axes.yaxis.set_major_formatter(lambda value, _: compact(value))
    _name_days(axes, days)


def _balance_lines(axes: Axes, points: Sequence[BalancePoint], scale: int) -> None:
    days = sorted({point.business_date for point in points})
    for number, name in enumerate(sorted({point.balance_name for point in points})[:MOST_LINES]):
        mine = {point.business_date: point.amount_minor / scale for point in points if point.balance_name == name}
        shown = [number_of for number_of, day in enumerate(days) if day in mine]
        line: dict[str, Any] = {"color": COLOURS[number], "linestyle": DASHES[number], "linewidth": 1.4}
        axes.plot(shown, [mine[days[at]] for at in shown], label=_label(name), marker="o", markersize=2, **line)
    axes.yaxis.set_major_formatter(lambda value, _: compact(value))
    axes.margins(y=0.12)
    above: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0.2}  # where no line runs
    axes.legend(**above, frameon=False, fontsize=8, handlelength=3, labelcolor=INK)
    _name_days(axes, days)


def compact(value: float) -> str:
    """Return a number of an axis: 1.2k, 3.4M; axes have round numbers, so that no two look the same."""
    sizes = ((1e9, "bn"), (1e6, "M"), (1e3, "k"), (1, ""))
    size, letter = next((pair for pair in sizes if abs(value) >= pair[0]), sizes[-1])
    return f"{value / size:.12g}{letter}".replace("-", MINUS)


def _label(name: str) -> str:
    """Return a name for the legend, which would leave out one that begins with an underscore."""
    shown = printable(name)
    shown = f" {shown}" if shown.startswith("_") else shown
    return shown if len(shown) <= 34 else f"{shown[:33]}…"


def _name_days(axes: Axes, days: Sequence[date]) -> None:
    _name_some(axes, [f"{day.day} {day:%b}" for day in days], 4)


def _name_some(axes: Axes, names: Sequence[str], few: int) -> None:
    """Name the last place of an axis, and so many of the others that about `few` are named."""
    step = max(1, len(names) // few)
    shown = range((len(names) - 1) % step, len(names), step)
    axes.set_xticks(list(shown), [names[at] for at in shown])


def _svg(name: str, draw: Callable[[Axes], None]) -> str:
    drawn = _drawn(
        name, draw, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type"))
    )
    return _as_part_of_a_page(drawn.decode(), name)


def _drawn(name: str, draw: Callable[[Axes], None], **options: Any) -> bytes:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    style: Any = {
        "svg.hashsalt": name,  # the ids of a file are made from it: the same chart, the same bytes
        "svg.fonttype": "none",
        "text.parse_math": False,  # a merchant's "$" is no formula
        "font.family": "sans-serif",
        "font.size": 8.5,
        "axes.edgecolor": FAINT,
        "xtick.color": FAINT,
        "ytick.color": FAINT,
    }
    with mpl.rc_context(style), warnings.catch_warnings():
        # drawn by the fonts of whoever reads the page, which hold more than the one measured with
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.add_subplot()
        axes.set_axisbelow(True)
        axes.grid(axis="y", color=GRID, linewidth=0.7)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.tick_params(length=0)
        draw(axes)
        out = io.BytesIO()
        figure.savefig(out, **options)
    return out.getvalue()


def _as_part_of_a_page(text: str, name: str) -> str:
    """Leave out the XML head; let the page set the size; ids must differ between the charts of one page."""
    text = text[text.index("<svg") :]
    text = re.sub(r' (width|height)="[^"]*"', "", text, count=2)
    prefix = re.sub(r"[^A-Za-z0-9-]", "-", name)
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    text = re.sub(r"(href=\"|url\()#", rf"\1#{prefix}-", text)
    return text.replace("<svg ", '<svg role="img" aria-hidden="true" ', 1)
