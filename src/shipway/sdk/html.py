"""Objects as HTML for a notebook: a card with what matters, no script, no style sheet. Pure.

Everything that a user chose (names, messages, labels of metrics) is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from shipway.deploy.documents import numbers
from shipway.deploy.progress import Point, Progress, State
from shipway.kinds import Model, ModelJob, ModelService, Object, Route
from shipway.sdk import curves
from shipway.sdk.values import Metrics

_CARD = "border:1px solid rgba(127,127,127,.35);border-radius:6px;padding:8px 12px;margin:4px 0;font-size:13px"
_TABLE = "border-collapse:collapse;color:inherit;font-size:inherit"  # a page without a doctype would not inherit them
_CELL = "text-align:left;padding:1px 14px 1px 0;vertical-align:top"
_GOOD, _BAD, _BUSY, _DIM = "#1f9d61", "#d64545", "#b7791f", "#808080"  # middle tones: seen on light and on dark ground
_GATE = {None: "", True: "passed", False: "failed: the version is kept and not rolled out"}
_MARKS: dict[State, tuple[str, str]] = {
    "waiting": ("·", _DIM),
    "running": ("…", _BUSY),
    "retrying": ("↻", _BUSY),
    "done": ("✓", _GOOD),
    "cached": ("✓", _GOOD),
    "failed": ("✗", _BAD),
    "kept": ("-", _BUSY),
}


def job(one: ModelJob, metrics: Metrics) -> str:
    """A job: how it stands and why, its gate, what it logged, its curves."""
    status, complete = one.status, one.status.condition("Complete")
    colour = {"Succeeded": _GOOD, "Failed": _BAD}.get(status.phase, _BUSY)
    rows = [
        ("reason", _told(complete.reason, complete.message) if complete else ""),
        ("version", escape(status.version or "") + (" (an equal run was known)" if status.cached else "")),
        ("gate", _GATE[status.promoted]),
        ("metrics", escape(numbers(status.metrics))),
        ("log", _code(status.log)),
    ]
    tail = f'<pre style="white-space:pre-wrap;margin:4px 0">{escape(status.tail)}</pre>' if status.tail else ""
    drawn = curves.drawn([(curve.name, curve.steps, curve.values) for curve in metrics.values()]) if metrics else ""
    return _card(one, status.phase, colour, _facts(rows) + tail + drawn)


def service(one: ModelService, route: Route | None, curl: str) -> str:
    """A service: how many replicas answer, what they serve and where, who gets the traffic, a request to paste."""
    status, rolled = one.status, one.status.condition("RolledOut")
    wanted = status.replicas or one.spec.replicas
    state = f"{status.ready_replicas}/{wanted} ready"
    colour = _GOOD if 0 < wanted <= status.ready_replicas else _BUSY
    if rolled is not None and rolled.status == "False":
        colour = _BAD
    shares = [f"{share.revision} {share.weight} %" for share in (route.status.live_backends if route else ())]
    rows = [
        ("url", _link(status.url)),
        ("serves", escape(f"{status.model.name}:{status.model.version}" if status.model else "")),
        ("revision", escape(status.ready_revision)),
        ("traffic", escape(", ".join(shares))),
        ("rollout", _told(rolled.reason, rolled.message) if rolled else ""),
        ("try it", _code(curl)),
    ]
    return _card(one, state, colour, _facts(rows))


def model(one: Model, live: Mapping[int, Sequence[str]]) -> str:
    """A model: a line for each version that is listed, newest first. ``live``: number to the services that serve it."""
    names: dict[int, list[str]] = {}
    for alias, number in one.status.aliases.items():
        names.setdefault(number, []).append(alias)
    rows = [
        (
            f"{one.name}:{version.number}",
            ", ".join(names.get(version.number, ())),
            numbers(version.metrics),
            f"{version.gate}: {version.gate_reason}" if version.gate_reason else version.gate,
            version.format,
            f"{version.created_at:%Y-%m-%d %H:%M}",
            ", ".join(live.get(version.number, ())),
        )
        for version in reversed(one.status.versions)
    ]
    header = ("version", "aliases", "metrics", "gate", "format", "made", "live in")
    count = one.status.count
    state = f"{count:,} version{'' if count == 1 else 's'}"
    about = f"<div>{escape(one.spec.description)}</div>" if one.spec.description else ""
    more = f"<div>and {count - len(rows):,} older</div>" if count > len(rows) else ""
    return _card(one, state, _GOOD if rows else _DIM, about + (_table(header, rows) + more if rows else ""))


def other(one: Object) -> str:
    """Any other object: its conditions."""
    rows = [(found.type, found.status, found.reason, found.message) for found in one.status.conditions]
    return _card(one, "", _DIM, _table(("condition", "status", "reason", "message"), rows) if rows else "")


def progress(state: Progress, latest: Mapping[str, Mapping[str, Point]]) -> str:
    """The steps of an ``up``; ``latest``: by job and metric name, the newest points."""
    rows = []
    for step in state.steps:
        mark, colour = _MARKS[step.state]
        detail = step.detail
        if step.state == "running" and step.subject[0] == "ModelJob" and not detail:
            points = latest.get(step.subject[1], {})
            detail = ", ".join(f"{point.name} {point.value:.4g}" for point in points.values())
        took = "" if step.elapsed is None else f"{step.elapsed:.1f} s"
        rows.append(
            f'<tr><td style="{_CELL};color:{colour}">{mark}</td>'
            + "".join(f'<td style="{_CELL}">{escape(text)}</td>' for text in (step.text, took, detail))
            + "</tr>"
        )
    return f'<div style="{_CARD}"><table style="{_TABLE}">{"".join(rows)}</table></div>'


def _card(one: Object, state: str, colour: str, body: str) -> str:
    mark = f' <span style="color:{colour};font-weight:600">{escape(state)}</span>' if state else ""
    return (
        f'<div style="{_CARD}"><div style="margin-bottom:4px"><span style="opacity:.65">{escape(one.kind)}</span> '
        f"<b>{escape(one.name)}</b>{mark}</div>{body}</div>"
    )


def _facts(rows: Iterable[tuple[str, str]]) -> str:
    """Names and values; the values are HTML already, and rows without one are left out."""
    lines = [
        f'<tr><td style="{_CELL};opacity:.65">{name}</td><td style="{_CELL}">{value}</td></tr>'
        for name, value in rows
        if value
    ]
    return f'<table style="{_TABLE}">{"".join(lines)}</table>' if lines else ""


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    titles = "".join(f'<th style="{_CELL};font-weight:600;opacity:.65">{title}</th>' for title in header)
    lines = ["".join(f'<td style="{_CELL}">{escape(cell)}</td>' for cell in row) for row in rows]
    body = "".join(f"<tr>{line}</tr>" for line in lines)
    return f'<table style="{_TABLE}"><tr>{titles}</tr>{body}</table>'


def _told(reason: str, message: str) -> str:
    return escape(f"{reason}: {message}" if message else reason)


def _code(text: str) -> str:
    return f'<code style="white-space:pre-wrap">{escape(text)}</code>' if text else ""


def _link(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        return escape(url)
    return f'<a style="color:inherit" href="{escape(url)}/" rel="noreferrer">{escape(url)}</a>'
