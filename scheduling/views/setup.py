"""Set-up: the index, sites, and the people, rooms and devices."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from django.contrib import messages as toasts
from django.db.models import Count
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import NoReverseMatch, reverse
from django.views.decorators.http import require_GET, require_http_methods

from pain_clinic import web
from pain_clinic.accounts.actors import Actor
from pain_clinic.accounts.gates import requires
from pain_clinic.accounts.models import Site
from pain_clinic.errors import DomainError
from scheduling import agenda
from scheduling import resources as verbs
from scheduling.agenda.shapes import FormPage, Listing, Row, SettingsGroup, SettingsLink, SettingsPage, Tab
from scheduling.forms import ResourceForm, SiteForm
from scheduling.models import Closure, Kind, Resource
from scheduling.views import doors

GROUPS = (
    (
        "The clinic",
        (
            ("Sites", "scheduling:sites", "Where we treat: address, time zone, closed days", "scheduling.manage_resources"),
            (
                "Travel between sites",
                "scheduling:travel",
                "How long people need from one site to another",
                "scheduling.manage_resources",
            ),
            (
                "People, rooms and devices",
                "scheduling:resources",
                "Who and what we work with, and what physicians may perform",
                "scheduling.manage_resources",
            ),
            (
                "Leave and breakdowns",
                "scheduling:absences",
                "When somebody is away or something is out of service",
                "scheduling.manage_resources",
            ),
            (
                "Blocks",
                "scheduling:blocks",
                "Weekly time kept for a physician or a kind of procedure",
                "scheduling.manage_resources",
            ),
        ),
    ),
    (
        "What patients get",
        (
            (
                "Messages to patients",
                "scheduling:message_settings",
                "When each leaves, the clinic's own words, and the switch that stops them",
                "scheduling.manage_messages",
            ),
        ),
    ),
    ("What we do", (("Procedures", "procedures:list", "Times, needs and what is on offer", "procedures.view_catalogue"),)),
    (
        "Elsewhere",
        (
            (
                "Calendar addresses",
                "scheduling:feeds",
                "A physician's or room's times in your calendar",
                "scheduling.make_feed",
            ),
        ),
    ),
    ("People with accounts", (("Staff", "staff", "Accounts, roles and sites", "accounts.manage_staff"),)),
)


@require_GET
@requires("procedures.view_catalogue")
def index(request: HttpRequest) -> HttpResponse:
    """Show the parts of set-up that this person may open."""
    may = Actor.of(request).may
    groups = []
    for title, links in GROUPS:
        shown = tuple(
            SettingsLink(label, url, _warned(request, name) or hint)
            for label, name, hint, permission in links
            if may(permission) and (url := _address(name))
        )
        if shown:
            groups.append(SettingsGroup(title, shown))
    return web.respond(request, "scheduling/settings/index.html", {"page": SettingsPage(tuple(groups))})


def _warned(request: HttpRequest, name: str) -> str:
    """Return what has to be said of a part of set-up before anything else: that people would travel in no time."""
    unsaid = ways_unsaid(agenda.sites_of(request.user)) if name == "scheduling:travel" else ()  # type: ignore[arg-type]
    return f"Nobody has said how long it takes {unsaid[0]}: it counts as no time at all" if unsaid else ""


def ways_unsaid(sites: Sequence[Site]) -> tuple[str, ...]:
    """Return in words the ways between sites of which nobody has said how long they take."""
    names = {site.pk: site.name for site in sites}
    ways = verbs.ways_between(sites) if len(sites) > 1 else {}
    return tuple(f"from {names[one]} to {names[other]}" for (one, other), minutes in ways.items() if minutes is None)


def _address(name: str) -> str:
    """Return the address of a lower floor's page, empty where it has none."""
    try:
        return reverse(name)
    except NoReverseMatch:
        return ""


def form_page(request: HttpRequest, page: FormPage, status: int = 200) -> HttpResponse:
    return web.respond(request, "scheduling/settings/form.html", {"page": page}, status=status)


def list_page(request: HttpRequest, page: Listing) -> HttpResponse:
    return web.respond(request, "scheduling/settings/list.html", {"page": page})


# --- sites -----------------------------------------------------------------------------------------------------------


@require_GET
@requires("scheduling.manage_resources")
def sites(request: HttpRequest) -> HttpResponse:
    """List the sites of this user."""
    rows = list(Site.objects.visible_to(request.user).annotate(count=Count("resources")).order_by("name", "pk"))
    unsaid = ways_unsaid([row for row in rows if row.is_active])
    page = Listing(
        title="Sites",
        hint="Each site has its own clock; times are always shown as its clocks show them."
        + (f" Nobody has said how long it takes {unsaid[0]}: it counts as no time at all." if unsaid else ""),
        new_url=reverse("scheduling:site_new"),
        new_label="New site",
        heads=("Name", "Time zone", "Address", "People, rooms, devices"),
        rows=tuple(
            Row(
                reverse("scheduling:site", args=[row.public_id]),
                (row.name, row.time_zone, row.address, str(row.count)),
                not row.is_active,
                "" if row.is_active else "not in use",
            )
            for row in rows
        ),
        back_url=reverse("scheduling:settings"),
        links=(SettingsLink("Travel between sites", reverse("scheduling:travel")),) if len(rows) > 1 else (),
    )
    return list_page(request, page)


@require_http_methods(["GET", "POST"])
@requires("scheduling.manage_resources")
def site(request: HttpRequest, public_id: uuid.UUID | None = None) -> HttpResponse:
    """Make or change a site."""
    row = get_object_or_404(Site.objects.visible_to(request.user), public_id=public_id) if public_id else None
    form = SiteForm(request.POST) if request.method == "POST" else SiteForm(initial=_site_values(row) if row else None)
    if request.method == "GET":
        return _site_page(request, row, form)
    if not form.is_valid():
        return _site_page(request, row, form, status=422)
    values = dict(form.cleaned_data)
    closures = values.pop("closures")
    try:
        doors.act_once(
            request,
            "scheduling.save_site",
            lambda: verbs.save_site(site=row, values=values, closures=closures, by=Actor.of(request), at=web.now()),
        )
    except DomainError as error:
        web.refused(request, error, act="scheduling.save_site", subject=row, site_id=row.pk if row else None)
        return _site_page(request, row, form, error=error, status=error.status)
    toasts.success(request, f"{values['name']} is saved.")
    return web.redirect_to(request, "scheduling:sites")


def _site_values(row: Site) -> dict[str, Any]:
    closed = "\n".join(f"{each.date.isoformat()} {each.name}" for each in Closure.objects.filter(site=row).order_by("date", "pk"))
    names = (
        "name", "slug", "time_zone", "address", "directions", "directions_es", "phone", "email", "state", "place_of_service",
        "is_active",
    )  # fmt: skip
    return {**{name: getattr(row, name) for name in names}, "closures": closed}


def _site_page(
    request: HttpRequest, row: Site | None, form: SiteForm, *, error: DomainError | None = None, status: int = 200
) -> HttpResponse:
    page = FormPage(
        title=row.name if row else "New site",
        form=form,
        action=request.path,
        cancel_url=reverse("scheduling:sites"),
        request_key=key(request, error),
        refusal=doors.refusal_of(error) if error else None,
    )
    return form_page(request, page, status)


def key(request: HttpRequest, error: DomainError | None = None) -> str:
    """Return the form's key, a new one when the old one is used up."""
    is_new = request.method == "GET" or (error is not None and error.code == "key_reused")
    return doors.new_key() if is_new else doors.key_of(request)


# --- people, rooms, devices ------------------------------------------------------------------------------------------


@require_GET
@requires("scheduling.manage_resources")
def resources(request: HttpRequest) -> HttpResponse:
    """List people, rooms and devices, all or of one kind."""
    url = reverse("scheduling:resources")
    kind = request.GET.get("kind", "")
    rows = Resource.objects.visible_to(request.user).select_related("site").in_order()  # type: ignore[arg-type]
    if kind in Kind.values:
        rows = rows.filter(kind=kind)
    page = Listing(
        title="People, rooms and devices",
        hint="",
        new_url=reverse("scheduling:resource_new"),
        new_label="New person, room or device",
        tabs=(
            Tab("All", url, kind == ""),
            *(Tab(str(label), f"{url}?kind={value}", kind == value) for value, label in Kind.choices),
        ),
        heads=("Name", "Kind", "Site", "Capabilities"),
        rows=tuple(
            Row(
                reverse("scheduling:resource", args=[row.public_id]),
                (row.name, str(row.get_kind_display()), row.site.name, ", ".join(row.attributes)),
                not row.is_active,
                "" if row.is_active else "no longer in use",
            )
            for row in rows
        ),
        empty="Nobody and nothing of this kind yet.",
        back_url=reverse("scheduling:settings"),
    )
    return list_page(request, page)


@require_http_methods(["GET", "POST"])
@requires("scheduling.manage_resources")
def resource(request: HttpRequest, public_id: uuid.UUID | None = None) -> HttpResponse:
    """Make or change a person, room or device."""
    row = the_resource(request, public_id) if public_id else None
    initial = _resource_values(row) if row else {"kind": request.GET.get("kind", "")}
    data = request.POST if request.method == "POST" else None
    form = ResourceForm(data, initial=initial, user=request.user, resource=row)
    if request.method == "GET":
        return _resource_page(request, row, form)
    if not form.is_valid():
        return _resource_page(request, row, form, status=422)
    values = dict(form.cleaned_data)
    may_perform, version = list(values.pop("may_perform")), values.pop("version")
    try:
        made = doors.act_once(
            request,
            "scheduling.save_resource",
            lambda: verbs.save_resource(
                resource=row, values=values, may_perform=may_perform, version=version, by=Actor.of(request), at=web.now()
            ),
        )
    except DomainError as error:
        web.refused(request, error, act="scheduling.save_resource", subject=row, site_id=row.site_id if row else None)
        return _resource_page(request, row, form, error=error, status=error.status)
    toasts.success(request, f"{values['name']} is saved.")
    return web.redirect_to(request, "scheduling:resources" if row else reverse("scheduling:hours", args=[made]))


def the_resource(request: HttpRequest, public_id: uuid.UUID) -> Resource:
    """Return a resource of a site of this user; 404 otherwise."""
    rows = Resource.objects.visible_to(request.user).select_related("site")  # type: ignore[arg-type]
    found: Resource = get_object_or_404(rows, public_id=public_id)
    return found


def _resource_values(row: Resource) -> dict[str, Any]:
    names = ("version", "kind", "name", "short_name", "extra_turnover_minutes", "position", "is_active")
    return {
        **{name: getattr(row, name) for name in names},
        "site": row.site_id,
        "user": row.user_id,
        "attributes": ", ".join(row.attributes),
        "may_perform": list(row.privileges.values_list("procedure_id", flat=True)),
    }


def _resource_page(
    request: HttpRequest, row: Resource | None, form: ResourceForm, *, error: DomainError | None = None, status: int = 200
) -> HttpResponse:
    links: tuple[SettingsLink, ...] = ()
    if row is not None:
        links = (
            SettingsLink("Hours", reverse("scheduling:hours", args=[row.public_id])),
            SettingsLink("Leave or breakdown", f"{reverse('scheduling:absence_new')}?resource={row.public_id}"),
        )
        if row.kind == Kind.PHYSICIAN:
            links += (SettingsLink("Privileges in detail", reverse("scheduling:privileges", args=[row.public_id])),)
    page = FormPage(
        title=row.name if row else "New person, room or device",
        form=form,
        action=request.path,
        cancel_url=reverse("scheduling:resources"),
        request_key=key(request, error),
        refusal=doors.refusal_of(error) if error else None,
        links=links,
    )
    return form_page(request, page, status)
