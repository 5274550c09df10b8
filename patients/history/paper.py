"""The two-page summary of a history on paper: the same page, cut to what two sheets hold."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from html import escape
from pathlib import Path
from typing import Any

from patients.history.beyond import Plan, Visit
from patients.history.charts import LANE, TOP, Chart, day_words
from patients.history.shapes import Allowance, HistoryPage, Medicine, Target

SOURCE = Path(__file__).resolve().parents[1] / "data" / "history.typ"
WIDTH, MARGIN = 1000, 24  # of the drawing; a percent of the chart is ten of it
MOST_TARGETS, MOST_ENTRIES, MOST_MEDICINES, MOST_ALLOWANCES, MOST_NEXT, LONGEST = 14, 32, 12, 6, 5, 110
LONGEST_PLAN = 200  # why something comes next is worth two lines
TONES = {"most": "#8fbfa0", "half": "#d5ebdb", "little": "#fdf2dd", "none": "#ffffff"}


def content(page: HistoryPage, *, clinic: str, printed_by: str, wall: datetime) -> Mapping[str, Any]:
    """Return what the paper says, every list cut to what fits, with the count of what was left out.

    `wall` is when it is printed, as the clocks of the patient's home site say it.
    """
    targets = [*(target for region in page.map.regions for row in region.rows for target in row.targets), *page.map.body]
    targets.sort(key=lambda target: target.last_on, reverse=True)
    entries = page.timeline.entries[:MOST_ENTRIES]
    return {
        "title": f"Summary of the history of {page.name}",
        "clinic": clinic,
        "name": page.name,
        "about": f"born {day_words(page.born)}, {page.age}, {page.sex}, record {page.record_number}"
        + (f", died on {day_words(page.died_on)}" if page.died_on else "")
        + (f" · {page.same_name}" if page.same_name else ""),
        "footer": f"{page.name}, born {day_words(page.born)}, record {page.record_number} · {clinic}, printed by {printed_by} on "
        f"{day_words(wall.date())} at {wall:%H:%M}",
        "chips": [{"label": chip.label, "text": _cut(chip.text), "state": chip.state} for chip in page.chips],
        "targets": [_target(target) for target in targets[:MOST_TARGETS]],
        "more_targets": max(len(targets) - MOST_TARGETS, 0),
        "chart": "" if page.chart.is_empty else svg(page.chart),
        "chart_says": page.chart.summary,
        "chart_span": f"{day_words(page.chart.first)} to {day_words(page.chart.last)}",
        "ledgers": [
            {
                "label": one.label, "total": one.total, "limit": f"of {one.limit}" if one.share is not None else one.limit,
                "is_over": one.is_over, "notes": "; ".join(one.notes),
            }
            for one in page.ledgers
        ],
        "coverage": [f"{pair.label}, {pair.value}" for pair in page.coverage],
        "allowances": _few([_allowance(one) for one in page.allowances], MOST_ALLOWANCES),
        "coming": _few([_visit(one) for one in page.beyond.coming], MOST_NEXT),
        "plans": _few([_plan(one) for one in page.beyond.plans or ()], MOST_NEXT),
        "mme": f"{page.mme}{', reassess' if page.mme_is_high else ''}" if page.mme else "",
        "medicines": _few([_medicine(one) for one in page.medicines], MOST_MEDICINES),
        "entries": [
            {
                "on": day_words(one.on), "title": _cut(one.title), "more": _cut(one.more), "harm": one.harm,
                "relief": one.relief.text if one.relief else "",
            }
            for one in entries
        ],
        "more_entries": max(page.timeline.page["total"] - len(entries), 0),
    }  # fmt: skip


def _cut(text: str, longest: int = LONGEST) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _few(rows: list[str], most: int) -> list[str]:
    return rows if len(rows) <= most else [*rows[:most], f"and {len(rows) - most} more"]


def _target(target: Target) -> dict[str, Any]:
    return {
        "label": _cut(target.label),
        "side": target.side if target.side != "midline" else "",
        "count": target.count,
        "last": day_words(target.last_on),
        "relief": target.relief.text,
    }


def _allowance(one: Allowance) -> str:
    told = (one.what, one.state.lower(), one.number, f"until {one.until}" if one.until else "", one.left)
    return _cut(", ".join(part for part in told if part))


def _medicine(one: Medicine) -> str:
    since = f", since {day_words(one.since)}" if one.since else ""
    return _cut(f"{one.name} {one.dose}{since}")


def _visit(one: Visit) -> str:
    status = one.status.replace("_", " ")
    return _cut(f"{day_words(one.on)}, {one.starts_at:%H:%M}: {one.procedure}, {one.where}, {status}")


def _plan(one: Plan) -> str:
    told = (f"{one.name} {one.what}".strip(), one.when, "; ".join(one.why))
    return _cut(": ".join(part for part in told if part), LONGEST_PLAN)


def svg(chart: Chart) -> str:
    """Return the chart as a drawing that stands alone: black on white, no style sheet."""

    def x(percent: str) -> float:
        return MARGIN + float(percent) * (WIDTH - MARGIN) / 100

    def path(points: str) -> str:
        pairs = (point.split(",") for point in points.split())
        return " ".join(f"{x(along):.1f},{down}" for along, down in pairs)

    parts = [
        f'<line x1="{MARGIN}" x2="{WIDTH}" y1="{down}" y2="{down}" stroke="#ccc"/>'
        f'<text x="{MARGIN - 5}" y="{down + 4}" text-anchor="end">{value}</text>'
        for value, down in chart.levels
    ]
    parts += [
        f'<line x1="{x(tick.x):.1f}" x2="{x(tick.x):.1f}" y1="{chart.plot_end}" y2="{chart.height - 18}" stroke="#ccc"/>'
        f'<text x="{x(tick.x) + 3:.1f}" y="{chart.label_y}">{tick.label}</text>'
        for tick in chart.ticks
    ]
    parts += [
        f'<line x1="{x(mark.x):.1f}" x2="{x(mark.x):.1f}" y1="{TOP}" y2="{mark.y}" stroke="#666" stroke-dasharray="2 3"/>'
        f'<path d="M{x(mark.x):.1f} {mark.y - 5}l5 9h-10z" fill="#333"/>'
        for mark in chart.marks
    ]
    parts += [
        f'<rect x="{x(band.x):.1f}" y="{band.y}" width="{float(band.width) * (WIDTH - MARGIN) / 100:.1f}" height="{LANE - 3}" '
        f'rx="2" fill="{TONES.get(band.tone, "#fff")}" stroke="#1d6b3a"/>'
        + (f'<text x="{x(band.x) + 4:.1f}" y="{band.text_y}">{escape(band.label)}</text>' if band.label else "")
        for band in chart.bands
    ]
    if chart.mme_path:
        parts.append(f'<polygon points="{path(chart.mme_path)}" fill="#e8edef" stroke="#46555e"/>')
        parts.append(f'<text x="{MARGIN - 5}" y="{chart.mme_top + 9}" text-anchor="end">{chart.mme_most}</text>')
    looks = ('stroke="#0b5f5a" stroke-width="2"', 'stroke="#7443b3" stroke-width="1.5" stroke-dasharray="5 3"')
    for line, look in zip(chart.lines, looks, strict=True):
        if line.path:
            parts.append(f'<polyline points="{path(line.path)}" fill="none" {look}/>')
    parts += [f'<circle cx="{x(dot.x):.1f}" cy="{dot.y}" r="3" fill="#0b5f5a"/>' for dot in chart.lines[0].dots]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {chart.height}" font-family="DejaVu Sans" font-size="11">'
        f"{''.join(parts)}</svg>"
    )
