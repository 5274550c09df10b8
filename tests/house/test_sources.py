"""Rules of our own over the sources: what is never written here, whoever writes it. TRUST O9, I1, I9, Z2.

Each rule is a function over one syntax tree, shown something that breaks it and something that does not. What breaks a rule
for a reason stands in `MEANT` with the reason; a reason that is no longer needed fails too.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
APPS = ("pain_clinic", "procedures", "patients", "scheduling")
Found = Iterator[tuple[ast.AST, str]]
Rule = Callable[[ast.Module], Found]
CONSTANT = re.compile(r"_*[A-Z][A-Z0-9_]*")


def called(node: ast.AST) -> str:
    """Return the last name of what is called: `execute` of `cursor.execute(...)`."""
    if not isinstance(node, ast.Call):
        return ""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def calls(tree: ast.AST, *names: str) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call) and called(node) in names)


def keywords(call: ast.Call) -> dict[str, ast.expr]:
    return {one.arg: one.value for one in call.keywords if one.arg}


def functions(tree: ast.Module) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


# --- the rules -------------------------------------------------------------------------------------------------------


def statements_are_written_out(tree: ast.Module) -> Found:
    """SQL is a text of ours: nothing but constants is ever put into it, values go beside it."""
    for call in calls(tree, "execute", "executemany"):
        if call.args and not _is_ours(call.args[0], tree):
            yield call, ast.unparse(call.args[0])
    for call in calls(tree, "raw", "extra", "RawSQL"):
        yield call, ast.unparse(call.func)


def _is_ours(text: ast.expr, tree: ast.Module) -> bool:
    """Say whether a statement is a literal, a constant, these put together, or composed by the driver's own `sql`."""
    match text:
        case ast.Constant(value=str()):
            return True
        case ast.Name(id=name):
            given = [
                node.value
                for node in ast.walk(tree)
                if isinstance(node, ast.Assign) and [getattr(one, "id", "") for one in node.targets] == [name]
            ]
            return bool(CONSTANT.fullmatch(name)) or (bool(given) and all(_is_ours(one, tree) for one in given))
        case ast.IfExp(body=body, orelse=orelse):
            return _is_ours(body, tree) and _is_ours(orelse, tree)
        case ast.JoinedStr(values=parts):
            return all(_is_ours(one.value if isinstance(one, ast.FormattedValue) else one, tree) for one in parts)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _is_ours(left, tree) and _is_ours(right, tree)
        case ast.Call(func=ast.Attribute(attr="join", value=ast.Constant())) | ast.BinOp(op=ast.Mult()):
            return all(
                CONSTANT.fullmatch(one.id) or one.id in ("len", "made") for one in ast.walk(text) if isinstance(one, ast.Name)
            )
        case ast.Call(func=ast.Attribute(attr="format", value=ast.Call(func=ast.Attribute(attr="SQL")))):
            return True  # psycopg2.sql quotes every identifier
    return False


def markup_is_escaped(tree: ast.Module) -> Found:
    """Nothing is called safe; `format_html` escapes, and its form is a literal."""
    for call in calls(tree, "mark_safe", "SafeString", "SafeText"):
        if not (call.args and isinstance(call.args[0], ast.Constant)):
            yield call, ast.unparse(call.func)
    for call in calls(tree, "format_html", "format_html_join"):
        if call.args and not isinstance(call.args[0], ast.Constant) and not CONSTANT.fullmatch(ast.unparse(call.args[0])):
            yield call, ast.unparse(call)


def forms_are_checked(tree: ast.Module) -> Found:
    """No door gives up the check of where a form comes from."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == "csrf_exempt":
            yield node, node.id


def fields_are_named(tree: ast.Module) -> Found:
    """Forms and serializers name their fields: a new column is not writable because it exists."""
    for node in ast.walk(tree):
        names = [getattr(one, "id", "") for one in node.targets] if isinstance(node, ast.Assign) else []
        if names == ["exclude"] or (names == ["fields"] and ast.unparse(node).endswith("'__all__'")):
            yield node, ast.unparse(node)


def cookies_are_closed(tree: ast.Module) -> Found:
    """A cookie that we set is out of scripts' reach and stays on this site."""
    for call in calls(tree, "set_cookie", "set_signed_cookie"):
        given = keywords(call)
        if ast.unparse(given.get("httponly", call)) != "True" or "samesite" not in given or "secure" not in given:
            yield call, ast.unparse(call)


def redirects_stay_here(tree: ast.Module) -> Found:
    """Where a redirect goes is said by one function, which looks whether that is on this site."""
    for call in calls(tree, "redirect", "HttpResponseRedirect", "HttpResponsePermanentRedirect"):
        yield call, ast.unparse(call)


def nothing_is_run(tree: ast.Module) -> Found:
    """No text becomes code, and no foreign bytes an object."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            given = keywords(node)
            is_loose = name in ("eval", "exec", "compile", "__import__") or name.split(".")[0] in ("pickle", "marshal", "shelve")
            if is_loose or (name == "yaml.load" and "Safe" not in ast.unparse(node)) or "shell" in given:
                yield node, name
            if ast.unparse(given.get("verify", node)) == "False":
                yield node, f"{name} without a look at the certificate"


def days_are_of_a_place(tree: ast.Module) -> Found:
    """The day of a moment is asked for on the wall of a place: moments are kept in UTC, where an evening is tomorrow already."""
    for call in calls(tree, "date", "weekday", "isoweekday"):
        if isinstance(call.func, ast.Attribute) and not call.args:
            whose = call.func.value
            name = getattr(whose, "attr", "") or getattr(whose, "id", "")
            if called(whose) == "now" or name in ("at", "done_at") or name.endswith("ed_at"):
                yield call, ast.unparse(call)


def days_of_now_are_of_a_place(tree: ast.Module) -> Found:
    """What a test dates by the present day it dates by a place's day: at noon both are the same, in the evening they are not."""
    for function in functions(tree):
        named = {name for node in ast.walk(function) if isinstance(node, ast.Assign) for name in _named_now(node)}
        for call in calls(function, "date", "weekday", "isoweekday"):
            whose = call.func.value if isinstance(call.func, ast.Attribute) else call
            if _is_now(whose) or getattr(whose, "id", "") in named:
                yield call, f"{function.name}: {ast.unparse(call)}"


def _named_now(node: ast.Assign) -> Iterator[str]:
    for target in node.targets:
        pairs = [(target, node.value)]
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            pairs = list(zip(target.elts, node.value.elts, strict=False))
        yield from (one.id for one, value in pairs if isinstance(one, ast.Name) and _is_now(value))


def _is_now(node: ast.expr) -> bool:
    """Say whether this is the present moment in UTC."""
    if not isinstance(node, ast.Call) or called(node) != "now":
        return False
    given = [*node.args, *keywords(node).values()]
    return all(ast.unparse(one).endswith("UTC") for one in given)


SCOPES = frozenset({"visible_to", "open_to", "sites", "site_ids"})
BY_ID = frozenset({"pk", "id", "public_id", "pk__in", "public_id__in"})
UNDER = frozenset({"user", "patient", "performed", "appointment"})  # rows of what was reached already, or of the person


def objects_are_reached_as_somebody(tree: ast.Module) -> Found:
    """A door that looks something up by an id says, in the same function or one that it calls here, whose it may be."""
    here = {one.name: one for one in functions(tree)}
    for function in functions(tree):
        for call in calls(function, "get_object_or_404", "get", "filter"):
            is_lookup = called(call) == "get_object_or_404" or ".objects" in ast.unparse(call.func)
            named = [value for name, value in keywords(call).items() if name in BY_ID]
            is_known = all(isinstance(value, ast.Attribute) and value.attr == "pk" for value in named)
            if is_lookup and not is_known and not _is_under(call) and not _says_whose(function, here, set()):
                yield call, f"{function.name}: {ast.unparse(call)[:90]}"


def _is_under(call: ast.Call) -> bool:
    """Say whether it looks only among the rows of somebody or something that was reached already."""
    inner = [one for one in ast.walk(call) if isinstance(one, ast.Call)]
    return any(UNDER & set(keywords(one)) for one in inner) or any(called(one) == "of" for one in inner)


def _says_whose(function: ast.FunctionDef, here: dict[str, ast.FunctionDef], seen: set[str]) -> bool:
    seen.add(function.name)
    for node in ast.walk(function):
        name = getattr(node, "attr", "") or getattr(node, "id", "")
        if name in SCOPES or name in REACHING:
            return True
        if name in here and name not in seen and _says_whose(here[name], here, seen):
            return True
    return False


# Functions of other modules that give only what somebody may see; each is held to the rule where it stands.
REACHING = frozenset({"visible", "cases"})
EVERYWHERE: tuple[Rule, ...] = (
    statements_are_written_out, markup_is_escaped, forms_are_checked, fields_are_named, cookies_are_closed, redirects_stay_here,
    nothing_is_run, days_are_of_a_place,
)  # fmt: skip
AT_DOORS: tuple[Rule, ...] = (objects_are_reached_as_somebody,)
STATEMENTS, MARKUP = "statements_are_written_out", "markup_is_escaped"
FORMS, OBJECTS, DAYS = "forms_are_checked", "objects_are_reached_as_somebody", "days_are_of_a_place"
OF_THE_WHOLE_CLINIC = "the catalogue and the rules belong to no patient and no site"
COMPILED = "the names of columns come from our models, once; every value goes beside the statement"
DRAWN = "numbers and words of ours, put into shapes of ours"
ON_THE_WALL = "the demo is built with the moment as the wall has it, see `building.build`"
MEANT: dict[tuple[str, str], str] = {
    ("pain_clinic/statements.py", STATEMENTS): COMPILED,
    ("patients/history/reading.py", STATEMENTS): COMPILED,
    (
        "patients/reports/reading.py",
        STATEMENTS,
    ): "the parts are constants chosen by an enumeration, and dates",
    ("scheduling/booking/reading.py", STATEMENTS): "a function of the module that hands its constants on",
    ("scheduling/messages/looking.py", STATEMENTS): COMPILED,
    ("scheduling/demo/building.py", STATEMENTS): "the name of a table of ours, quoted by the driver; the demo clinic only",
    ("scheduling/demo/writing.py", STATEMENTS): "names of tables of ours; the demo clinic only",
    **{
        (f"scheduling/demo/{name}.py", DAYS): ON_THE_WALL
        for name in ("clinic", "coverage", "days", "facts", "people", "ready", "stories")
    },
    ("patients/forms/people.py", DAYS): "no home site was chosen, which is refused whatever the day",
    ("pain_clinic/templatetags/clinic/shapes.py", MARKUP): DRAWN,
    ("pain_clinic/templatetags/clinic/spine.py", MARKUP): DRAWN,
    ("scheduling/agenda/markup.py", MARKUP): "forms of ours, filled by one function that escapes",
    ("scheduling/views/answers/opening.py", FORMS): "whoever opens a mail has no session; presses carry the page's own mark",
    ("scheduling/views/hooks.py", FORMS): "mail providers report here and show a secret",
    ("procedures/yaml_files.py", "nothing_is_run"): "a loader of ours that knows plain values only",
    ("procedures/api/rest.py", OBJECTS): OF_THE_WHOLE_CLINIC,
    ("procedures/views.py", OBJECTS): OF_THE_WHOLE_CLINIC,
    ("scheduling/views/rules.py", OBJECTS): OF_THE_WHOLE_CLINIC,
    ("scheduling/views/pathways.py", OBJECTS): OF_THE_WHOLE_CLINIC,
    ("scheduling/views/move.py", OBJECTS): "the pool is that of a case that was reached",
}


@pytest.mark.parametrize(
    ("rule", "bad", "good"),
    [
        (statements_are_written_out, 'c.execute(f"SELECT {name}")', 'c.execute("SELECT %s", [name])'),
        (statements_are_written_out, 'c.execute("SELECT %s" % name)', 'c.execute(f"{_ROWS} {LOCK}", [name])'),
        (statements_are_written_out, 'c.execute("SELECT " + name)', 'c.execute("SELECT " + COLUMNS)'),
        (statements_are_written_out, "Patient.objects.raw(text)", "Patient.objects.filter(pk=1)"),
        (markup_is_escaped, "mark_safe(name)", 'mark_safe("<br>")'),
        (markup_is_escaped, 'format_html(f"<b>{name}</b>")', 'format_html("<b>{}</b>", name)'),
        (forms_are_checked, "@csrf_exempt\ndef take(request): ...", "@csrf_protect\ndef take(request): ..."),
        (fields_are_named, "class Meta:\n    fields = '__all__'", "class Meta:\n    fields = ['name']"),
        (fields_are_named, "class Meta:\n    exclude = ['role']", "class Meta:\n    fields = ['name']"),
        (cookies_are_closed, "r.set_cookie('a', 'b')", "r.set_cookie('a', 'b', httponly=True, samesite='Lax', secure=is_tls)"),
        (redirects_stay_here, "redirect(request.GET['next'])", "web.redirect_to(request, case)"),
        (nothing_is_run, "eval(text)", "ast.literal_eval(text)"),
        (nothing_is_run, "yaml.load(text)", "yaml.load(text, Loader=yaml.CSafeLoader)"),
        (nothing_is_run, "requests.get(url, verify=False)", "requests.get(url)"),
        (nothing_is_run, "subprocess.run(text, shell=True)", "subprocess.run([text])"),
        (days_are_of_a_place, "today = web.now().date()", "today = web.now().astimezone(zone).date()"),
        (days_are_of_a_place, "first = row.created_at.weekday()", "first = row.site.day_at(row.created_at).weekday()"),
        (
            days_of_now_are_of_a_place,
            "def test():\n    who, at = 1, datetime.now(tz=UTC)\n    assert at.date()",
            "def test():\n    who, at = 1, datetime.now(tz=NEW_YORK)\n    assert at.date()",
        ),
        (
            days_of_now_are_of_a_place,
            "def test():\n    assert clock.now().date()",
            "def test():\n    assert clock.now().astimezone(UTC).date()",
        ),
        (
            objects_are_reached_as_somebody,
            "def one(request, key):\n    return get_object_or_404(Patient, public_id=key)",
            "def one(request, key):\n    return get_object_or_404(Patient.objects.visible_to(request.user), public_id=key)",
        ),
        (
            objects_are_reached_as_somebody,
            "def one(request, key):\n    return Patient.objects.get(public_id=key)",
            "def one(request, key):\n    return get_object_or_404(mine(request), pk=key)\n"
            "def mine(request):\n    return Patient.objects.filter(site__in=request.user.sites.all())",
        ),
    ],
)  # fmt: skip
def test_each_rule_sees_what_breaks_it_and_nothing_else(rule: Rule, bad: str, good: str) -> None:
    assert list(rule(ast.parse(textwrap.dedent(bad)))) != []
    assert list(rule(ast.parse(textwrap.dedent(good)))) == []


@cache
def sources() -> dict[str, ast.Module]:
    paths = [path for app in APPS for path in sorted((ROOT / app).rglob("*.py")) if "migrations" not in path.parts]
    return {str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8")) for path in paths}


def is_door(name: str) -> bool:
    return bool(re.search(r"/(views|api)(/|\.py$)", name))


@cache
def broken() -> dict[tuple[str, str], list[str]]:
    """Return what breaks which rule where, by file and rule."""
    found: dict[tuple[str, str], list[str]] = {}
    for name, tree in sources().items():
        for rule in (*EVERYWHERE, *(AT_DOORS if is_door(name) else ())):
            for node, told in rule(tree):
                line = getattr(node, "lineno", 0)
                found.setdefault((name, rule.__name__), []).append(f"{line}: {told}")
    return found


def test_no_source_breaks_a_rule_without_a_reason() -> None:
    assert {place: told for place, told in broken().items() if place not in MEANT} == {}


def test_tests_date_nothing_by_the_day_in_utc() -> None:
    paths = sorted((ROOT / "tests").rglob("*.py"))
    found = {
        str(path.relative_to(ROOT)): [(node.lineno, told) for node, told in days_of_now_are_of_a_place(tree)]
        for path in paths
        for tree in (ast.parse(path.read_text(encoding="utf-8")),)
    }
    assert len(found) > 200
    assert {name: told for name, told in found.items() if told} == {}


def test_every_reason_is_still_needed() -> None:
    assert set(MEANT) - set(broken()) == set()


# --- templates -------------------------------------------------------------------------------------------------------

TEMPLATES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in sorted((ROOT / "templates").rglob("*.html"))
}
# Presses on a link carry the page's own mark instead: whoever opens a mail has no session that could be borrowed.
WITHOUT_TOKEN = "templates/scheduling/link/"


def test_templates_escape_everything() -> None:
    assert len(TEMPLATES) > 50
    for name, text in TEMPLATES.items():
        assert not re.search(r"\|\s*safe\b|\|\s*safeseq\b|autoescape\s+off", text), name


def test_every_form_that_changes_something_carries_the_token() -> None:
    for name, text in TEMPLATES.items():
        for form in re.findall(r'<form\b[^>]*method="post".*?</form>', text, re.DOTALL | re.IGNORECASE):
            assert ("{% csrf_token %}" in form) is not name.startswith(WITHOUT_TOKEN), (name, form[:120])


def test_moments_of_rows_are_shown_by_the_clocks_of_a_place() -> None:
    """Pages of patients are given rows, whose moments are in UTC; those of the floor above are given what is local already."""
    pages = {name: text for name, text in TEMPLATES.items() if name.startswith("templates/patients/")}
    shown = [(name, told) for name, text in pages.items() for told in re.findall(r"\w+ed_at\|\w+", text)]
    assert len(shown) > 8
    assert [(name, told) for name, told in shown if not told.endswith("|timezone")] == []


def test_what_opens_in_another_tab_cannot_reach_back() -> None:
    for name, text in TEMPLATES.items():
        for link in re.findall(r'<a\b[^>]*target="_blank"[^>]*>', text):
            assert 'rel="noopener' in link, (name, link)
