"""Curves as SVG: small multiples that need no script, no style sheet and no network. Pure.

Text and axes are drawn in the page's own colour, so that they can be read on a light and on a dark ground.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

_WIDTH, _HEIGHT = 260, 132
_LEFT, _RIGHT, _TOP, _BOTTOM = 8, 8, 30, 20  # what is left free around the line
_MOST_POINTS = 240  # more than this many cannot be told apart on so many pixels
_COLOURS = ("#3b82f6", "#e0781f", "#16a085", "#c2499d", "#8b6fd8", "#b08900")  # middle tones: seen on both grounds

Series = tuple[str, Sequence[int], Sequence[float]]  # name, steps, values
_Point = tuple[float, float]


def drawn(series: Iterable[Series]) -> str:
    """A picture for each series, side by side."""
    pictures = [_picture(one, _COLOURS[number % len(_COLOURS)]) for number, one in enumerate(series)]
    return f'<div style="display:flex;flex-wrap:wrap;gap:12px;margin:6px 0">{"".join(pictures)}</div>'


def _picture(series: Series, colour: str) -> str:
    name, steps, values = series
    points = [(float(step), value) for step, value in zip(steps, values, strict=True) if math.isfinite(value)]
    last = f"{values[-1]:.4g}" if values else ""
    told = f"{name}: {last}" + (f" at step {steps[-1]}" if steps else "")
    body = _line(_thinned(points), colour) if points else _text(_WIDTH / 2, _HEIGHT / 2, "no finite value", "middle")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
        f' role="img" aria-label="{escape(told)}" font-family="system-ui,sans-serif" font-size="11"'
        ' fill="currentColor">'
        f"<title>{escape(told)}</title>"
        f'<text x="{_LEFT}" y="13" font-weight="600">{escape(_short(name))}</text>'
        f'<text x="{_WIDTH - _RIGHT}" y="13" text-anchor="end">{escape(last)}</text>'
        f"{body}</svg>"
    )


def _line(points: Sequence[_Point], colour: str) -> str:
    left, right = points[0][0], points[-1][0]
    low, high = min(y for _, y in points), max(y for _, y in points)
    across, down = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def place(point: _Point) -> tuple[float, float]:
        x = (point[0] - left) / (right - left) if right > left else 0.5
        y = (point[1] - low) / (high - low) if high > low else 0.5
        return round(_LEFT + x * across, 1), round(_TOP + (1 - y) * down, 1)

    placed = [place(one) for one in points]
    path = " ".join(f"{x},{y}" for x, y in placed)
    x, y = placed[-1]
    bottom = _TOP + down
    return (
        f'<path d="M{_LEFT} {_TOP}V{bottom}H{_WIDTH - _RIGHT}" fill="none" stroke="currentColor" stroke-opacity=".3"/>'
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6" stroke-linejoin="round"/>'
        f'<circle cx="{x}" cy="{y}" r="2.6" fill="{colour}"/>'
        + _text(_LEFT + 4, _TOP + 2, f"{high:.4g}", "start")
        + (_text(_LEFT + 4, bottom - 4, f"{low:.4g}", "start") if high > low else "")
        + _text(_LEFT, _HEIGHT - 6, f"step {left:g}", "start")
        + (_text(_WIDTH - _RIGHT, _HEIGHT - 6, f"{right:g}", "end") if right > left else "")
    )


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" font-size="9.5" opacity=".65">{escape(text)}</text>'


def _thinned(points: Sequence[_Point]) -> Sequence[_Point]:
    """At most so many points, with the least and the greatest of each stretch: a spike must stay to be seen."""
    if len(points) <= _MOST_POINTS:
        return points
    size = math.ceil(len(points) / (_MOST_POINTS / 2))
    kept: list[_Point] = []
    for start in range(0, len(points), size):
        stretch = points[start : start + size]
        extremes = {min(stretch, key=lambda one: one[1]), max(stretch, key=lambda one: one[1])}
        kept += sorted(extremes)
    return [points[0], *kept, points[-1]]


def _short(name: str) -> str:
    return name if len(name) <= 26 else f"{name[:25]}…"
