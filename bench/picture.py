"""Draws figures as horizontal bars, in SVG: text that any browser shows and any diff can read."""

from __future__ import annotations

from html import escape

_COLOURS = ("#8a9bb5", "#b9c3d2", "#b4372f", "#e08a56", "#6b8e5a")
_BAR, _GAP, _LEFT, _WIDE = 18, 26, 250, 420


def bars(title: str, rows: dict[str, dict[str, float]]) -> str:
    """One group of bars for each row, one bar for each name in it; the numbers stand beside."""
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    most = max(value for row in rows.values() for value in row.values())
    y, pieces = 40, [f'<text x="10" y="22" font-size="16">{escape(title)}</text>']
    for label, row in rows.items():
        y += _GAP
        pieces.append(f'<text x="10" y="{y - 6}" font-weight="bold">{escape(label)}</text>')
        for name, value in row.items():
            wide = max(_WIDE * value / most, 1)
            colour = _COLOURS[names.index(name) % len(_COLOURS)]
            pieces += [
                f'<text x="{_LEFT - 8}" y="{y + 13}" text-anchor="end">{escape(name)}</text>',
                f'<rect x="{_LEFT}" y="{y}" width="{wide:.0f}" height="{_BAR - 3}" '
                f'fill="{colour}"/>',
                f'<text x="{_LEFT + wide + 6:.0f}" y="{y + 13}">{value:.0f}</text>',
            ]
            y += _BAR
    width, height = _LEFT + _WIDE + 80, y + 20
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13">\n'
        f'<rect width="100%" height="100%" fill="#fff"/>\n' + "\n".join(pieces) + "\n</svg>\n"
    )
