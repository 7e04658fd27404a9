"""Draw a year's volume as SVG without a plotting library; ``python -m bench.draw_volume`` writes it to docs/."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

from generators import get_generator

YEAR = 2024
TARGET = Path(__file__).resolve().parents[1] / "docs" / f"volume-{YEAR}.svg"
WIDTH, HEIGHT = 980, 340
LEFT, RIGHT, TOP, BOTTOM = 62, 16, 56, 34
SHOWN = {
    date(YEAR, 2, 14): "Valentine's Day",
    date(YEAR, 5, 12): "Mother's Day",
    date(YEAR, 7, 4): "Independence Day",
    date(YEAR, 11, 29): "Black Friday",
    date(YEAR, 12, 25): "Christmas",
}
ANCHORS = {"Black Friday": ("end", 6), "Christmas": ("middle", -12)}
"""The year's end is crowded: labels that are not centred over their day."""
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
INK, MUTED, GRID, BAR, WEEKEND, EVENT, LINE = (
    "#1f2430",
    "#667085",
    "#e4e7ec",
    "#8fb3d9",
    "#c3d6ea",
    "#d9480f",
    "#1f2430",
)


def days() -> list[date]:
    """Every day of the year."""
    first = date(YEAR, 1, 1)
    return [first + timedelta(days=i) for i in range((date(YEAR + 1, 1, 1) - first).days)]


def draw() -> str:
    """Return the picture: a bar for each day's rows, a line for what was expected, the events named."""
    generator = get_generator("bnpl")
    year = days()
    rows = [generator.plan(day).rows for day in year]
    expected = [generator.expected(day) for day in year]
    top = (max(*rows, *expected) // 500 + 1) * 500
    step = (WIDTH - LEFT - RIGHT) / len(year)

    def x(index: float) -> float:
        return LEFT + index * step

    def y(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / top)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'font-family="system-ui, sans-serif" font-size="12" fill="{INK}">',
        f"<title>Rows of bnpl/transactions on each day of {YEAR}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="20" font-size="14" font-weight="600">bnpl/transactions, rows a day in {YEAR}</text>',
        f'<text x="{WIDTH - RIGHT}" y="20" text-anchor="end" fill="{MUTED}">bars: generated (weekends pale), '
        "line: expected, 1,000 on an ordinary day</text>",
    ]
    for value in range(0, int(top) + 1, 500):
        parts.append(f'<path d="M{LEFT} {y(value):.1f}H{WIDTH - RIGHT}" stroke="{GRID}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end" fill="{MUTED}">{value:,}</text>')
    for index, (day, count) in enumerate(zip(year, rows, strict=True)):
        colour = EVENT if day in SHOWN else WEEKEND if day.isoweekday() > 5 else BAR
        height = y(0) - y(count)
        parts.append(
            f'<rect x="{x(index):.1f}" y="{y(count):.1f}" width="{step * 0.86:.1f}" '
            f'height="{height:.1f}" fill="{colour}"/>'
        )
        if day.day == 1:
            parts.append(f'<text x="{x(index):.1f}" y="{HEIGHT - 12}" fill="{MUTED}">{MONTHS[day.month - 1]}</text>')
        if day in SHOWN:
            above = TOP - 10
            anchor, shift = ANCHORS.get(SHOWN[day], ("middle", 0))
            parts.append(f'<path d="M{x(index + 0.4):.1f} {above + 4}V{y(count):.1f}" stroke="{EVENT}"/>')
            parts.append(
                f'<text x="{x(index + 0.4) + shift:.1f}" y="{above}" text-anchor="{anchor}" '
                f'fill="{EVENT}">{SHOWN[day]}</text>'
            )
    points = " ".join(f"{x(i + 0.4):.1f},{y(value):.1f}" for i, value in enumerate(expected))
    parts.append(f'<polyline points="{points}" fill="none" stroke="{LINE}" stroke-width="0.8"/>')
    return "\n".join([*parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    TARGET.write_text(draw(), encoding="utf-8")
    print(f"wrote {TARGET.relative_to(Path.cwd())}")
