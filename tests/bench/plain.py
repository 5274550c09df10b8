"""The board as an ordinary Django view would make it: the same rows and the same facts, ORM objects and one template."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, datetime, time, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, Prefetch
from django.template import engines

from patients.models import Patient
from scheduling.models import Allocation, Appointment, AppointmentFinding, Resource, WeeklyHours
from tests.bench.clinic import ZONE, BenchClinic

LEAN = """<!doctype html><html><head><title>Board</title></head><body><main>{% for unit, bars in columns %}<section><h2>{{ unit.name }}</h2><ol>
{% for bar in bars %}<li class="bar s{{ bar.slot }} n{{ bar.span }} {{ bar.status }}"><a href="/appointments/{{ bar.public_id }}/">
<b>{{ bar.starts|time:"H:i" }}-{{ bar.ends|time:"H:i" }}</b> {{ bar.first }} {{ bar.last|slice:":1" }}. {{ bar.born|date:"Y" }}
<span>{{ bar.procedure }}</span> <span>{{ bar.side }}</span></a></li>{% endfor %}</ol></section>{% endfor %}</main></body></html>"""

PATIENT = """<!doctype html><html lang="en"><head><title>{{ patient.short_name }}</title></head><body><main><h1>{{ patient.first_name }} {{ patient.last_name }}</h1>
<p>born {{ patient.birth_date|date:"j M Y" }}, {{ patient.sex }}, record {{ patient.record_number }}, {{ patient.home_site.name }}{% if twins %}, another patient has this name{% endif %}</p>
<dl><dt>Telephone</dt><dd>{{ patient.phone|default:"not on file" }}</dd><dt>E-mail</dt><dd>{{ patient.email }}</dd><dt>Payer</dt><dd>{{ patient.payer|default:"not on file" }}</dd></dl>
<ul>{% for case in cases %}<li><a href="/appointments/{{ case.public_id }}/">{{ case.starts_at|date:"D j M H:i" }}</a> {{ case.procedure.name }} {{ case.side }} {{ case.get_status_display }}{% for used in case.allocations.all %} {{ used.resource.short_name }}{% endfor %}</li>{% endfor %}</ul></main></body></html>"""

DAY = """<!doctype html><html lang="en"><head><title>Board</title></head><body><main>{% for unit, hours, cases in columns %}<section><h2>{{ unit.name }}</h2>
<p>{% for span in hours %}{{ span.starts|time:"H:i" }}-{{ span.ends|time:"H:i" }}{% endfor %}</p><ol>
{% for case in cases %}<li class="bar {{ case.row.procedure.category }} {{ case.row.status }} at{{ case.slot }} for{{ case.span }}">
<i class="prep for{{ case.prep }}"></i><i class="recovery for{{ case.recovery }}"></i>
<a href="/board/?day={{ day|date:"Y-m-d" }}&amp;case={{ case.row.public_id }}" data-panel="/appointments/{{ case.row.public_id }}/" data-version="{{ case.row.version }}">
<b>{{ case.starts|time:"H:i" }} {{ case.row.patient.short_name }}</b>{% if case.row.has_twin %}<i class="twin">Another patient has this name.</i>{% endif %}{% if case.row.is_waiting %}<i class="wait">Not ready.</i>{% endif %}
<span>{{ case.row.procedure.short_name }} <b>{{ case.row.levels|join:", " }} {{ case.row.side }}</b></span> <span>{{ case.room }} {{ case.device }}</span> <span class="sr">{{ case.row.get_status_display }}</span>
</a></li>{% endfor %}</ol></section>{% endfor %}</main></body></html>"""

WEEK = """<!doctype html><html lang="en"><head><title>Week</title></head><body><main><table>{% for unit, days in rows %}<tr><th>{{ unit.name }}</th>
{% for day, cases in days %}<td>{% for case in cases %}<a class="chip {{ case.row.procedure.category }} {{ case.row.status }}" href="/board/?day={{ day|date:"Y-m-d" }}&amp;case={{ case.row.public_id }}" data-panel="/appointments/{{ case.row.public_id }}/">
<b>{{ case.starts|time:"H:i" }}</b> <span>{{ case.row.patient.short_name }}</span> <span class="sr">{{ case.row.procedure.short_name }} {{ case.row.levels|join:", " }} {{ case.row.side }}, {{ case.row.get_status_display }}</span></a>{% endfor %}</td>{% endfor %}</tr>{% endfor %}</table></main></body></html>"""


def board(clinic: BenchClinic, first: date, days: int) -> str:
    """Return the day or the week of the physicians as plain Django reads and writes it, without sign-in and frame."""
    begins = datetime.combine(first, time(), ZONE)
    ends = begins + timedelta(days=days)
    units = list(Resource.objects.filter(site=clinic.site, kind="physician").order_by("position", "name"))
    hours: dict[int, list[WeeklyHours]] = defaultdict(list)
    for span in WeeklyHours.objects.filter(site=clinic.site, resource__in=units, weekday=first.weekday()):
        hours[span.resource_id].append(span)
    # Only a day says which rooms and devices; a week needs the physician alone.
    kinds = ("physician", "room", "c_arm") if days == 1 else ("physician",)
    taken = Allocation.objects.filter(released_at=None, kind__in=kinds).select_related("resource")
    rows = (
        Appointment.objects.filter(site=clinic.site, starts_at__gte=begins, starts_at__lt=ends)
        .select_related("patient", "procedure")
        .annotate(
            has_twin=Exists(
                Patient.objects.filter(search_name=OuterRef("patient__search_name")).exclude(pk=OuterRef("patient_id"))
            ),
            is_waiting=Exists(AppointmentFinding.objects.filter(appointment=OuterRef("pk"), severity="pending")),
        )
        .prefetch_related(Prefetch("allocations", queryset=taken))
        .order_by("starts_at", "pk")
    )
    shown: dict[tuple[int, date], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        case = _case(row, begins)
        for used in row.allocations.all():
            if used.resource.kind == "physician":
                shown[used.resource_id, case["starts"].date()].append(case)
    if days == 1:
        columns = [(unit, hours[unit.pk], shown[unit.pk, first]) for unit in units]
        return str(engines["django"].from_string(DAY).render({"columns": columns, "day": first}))
    dates = [first + timedelta(days=n) for n in range(days)]
    table = [(unit, [(on, shown[unit.pk, on]) for on in dates]) for unit in units]
    return str(engines["django"].from_string(WEEK).render({"rows": table}))


def _case(row: Appointment, begins: datetime) -> dict[str, Any]:
    step = timedelta(minutes=5)
    names: dict[str, str] = {used.resource.kind: used.resource.short_name for used in row.allocations.all()}
    return {
        "row": row, "starts": row.starts_at.astimezone(ZONE), "slot": (row.starts_at - begins) // step,
        "span": (row.ends_at - row.starts_at) // step, "prep": (row.starts_at - row.arrives_at) // step,
        "recovery": (row.leaves_at - row.ends_at) // step, "room": names.get("room", ""), "device": names.get("c_arm", ""),
    }  # fmt: skip


def lean_board(clinic: BenchClinic, first: date, days: int) -> str:
    """Return times, names and sides of the physicians' cases alone: less than the board says, so a harder reference."""
    begins = datetime.combine(first, time(), ZONE)
    units = list(Resource.objects.filter(site=clinic.site, kind="physician").order_by("position"))
    bars: dict[int, list[dict[str, Any]]] = defaultdict(list)
    rows = (
        Allocation.objects.filter(
            resource__in=units, released_at=None, starts_at__lt=begins + timedelta(days=days), ends_at__gt=begins
        )
        .select_related("appointment__patient", "appointment__procedure")
        .order_by("starts_at")
    )
    for row in rows:
        case = row.appointment
        starts, ends = row.starts_at.astimezone(ZONE), row.ends_at.astimezone(ZONE)
        bars[row.resource_id].append({
            "slot": starts.hour * 12 + starts.minute // 5, "span": (ends - starts).seconds // 300, "status": case.status,
            "public_id": case.public_id, "starts": starts, "ends": ends, "first": case.patient.first_name,
            "last": case.patient.last_name, "born": case.patient.birth_date, "procedure": case.procedure.short_name, "side": case.side,
        })  # fmt: skip
    template = engines["django"].from_string(LEAN)
    return template.render({"columns": [(unit, bars[unit.pk]) for unit in units]})


def patient(key: int) -> str:
    """Return a patient's facts and the 25 newest appointments, as plain Django reads and writes them."""
    one = Patient.objects.select_related("home_site").get(pk=key)
    twins = Patient.objects.filter(search_name=one.search_name).exclude(pk=key).exists()
    used = Allocation.objects.filter(released_at=None, kind__in=("physician", "room")).select_related("resource")
    cases = one.appointments.select_related("procedure", "site").prefetch_related(Prefetch("allocations", queryset=used))
    context = {"patient": one, "twins": twins, "cases": cases.order_by("-starts_at", "-pk")[:25]}
    return str(engines["django"].from_string(PATIENT).render(context))
