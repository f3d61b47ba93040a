"""Two rows of numbers beside each other: as characters for a terminal, as a picture."""

from collections.abc import Sequence
from xml.sax.saxutils import escape

WIDTH = 48
_BLOCKS = "▁▂▃▄▅▆▇█"
_PLAIN_BLOCKS = ".:-=+*%@"

_SIZE = (640, 260)
_MARGIN = (20, 60, 40, 80)  # top, right, bottom, left
_COLOURS = ("#c2410c", "#0f766e")


def row(values: Sequence[float], top: float, *, encoding: str | None) -> str:
    """Draw values as one character each, from 0 to *top*.

    Args:
        values: What to draw.
        top: What the highest character stands for.
        encoding: Of where it is shown; plain characters where it has no blocks.
    """
    try:
        _BLOCKS.encode(encoding or "ascii")
        blocks = _BLOCKS
    except (UnicodeEncodeError, LookupError):
        blocks = _PLAIN_BLOCKS
    most = len(blocks) - 1
    return "".join(
        blocks[min(most, max(0, round(most * value / top)))] if top > 0 else blocks[0]
        for value in values
    )


def spread(values: Sequence[float], count: int = WIDTH) -> list[float]:
    """Take so many of the values, evenly, the first and the last among them."""
    if len(values) <= count:
        return list(values)
    last = len(values) - 1
    return [values[round(number * last / (count - 1))] for number in range(count)]


def picture(title: str, series: Sequence[tuple[str, Sequence[float]]], unit: str) -> str:
    """Draw series as lines over the same axes, as an SVG document.

    Readable on light and on dark ground; each line bears its name at its end.

    Args:
        title: What is shown.
        series: Name and values of each line.
        unit: Of the values.
    """
    width, height = _SIZE
    top, right, bottom, left = _MARGIN
    highest = max(max(values) for _, values in series) or 1.0
    inner_width, inner_height = width - left - right, height - top - bottom
    lines = []
    for (name, values), colour in zip(series, _COLOURS, strict=False):
        shown = spread(values, 200)
        step = inner_width / max(1, len(shown) - 1)
        points = [
            (left + step * number, top + inner_height * (1 - max(0.0, value) / highest))
            for number, value in enumerate(shown)
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        x, y = points[-1]
        lines.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5"/>'
            f'<text x="{x - 6:.1f}" y="{y - 8:.1f}" text-anchor="end" fill="{colour}">'
            f"{escape(name)}: {values[-1]:,.1f} {escape(unit)}</text>"
        )
    axis = (
        f'<path d="M{left} {top}V{height - bottom}H{width - right}" fill="none" stroke="#888"/>'
        f'<text x="{left - 8}" y="{top + 5}" text-anchor="end" fill="#888">'
        f"{highest:,.1f} {escape(unit)}</text>"
        f'<text x="{left - 8}" y="{height - bottom}" text-anchor="end" fill="#888">0</text>'
        f'<text x="{width - right}" y="{height - bottom + 20}" text-anchor="end" fill="#888">'
        "requests</text>"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"'
        f' font-family="system-ui, sans-serif" font-size="13"><title>{escape(title)}</title>'
        f"{axis}{''.join(lines)}</svg>\n"
    )
