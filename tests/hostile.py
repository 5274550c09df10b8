"""Twenty-eight texts that break careless programs, and real names that careless programs refuse. TRUST I1 to I6."""

from __future__ import annotations

# A word that stands in nothing else: where it appears as a tag, somebody forgot to escape.
MARK = "zqxss"

HOSTILE: dict[str, str] = {
    "script": f"<script>{MARK}()</script>",
    "image": f'"><img src=x onerror={MARK}()>',
    "svg": f"'><svg/onload={MARK}()>",
    "attribute": f'" autofocus onfocus="{MARK}()" x="',
    "json in script": f"</script><script>{MARK}()</script>",
    "comment": f"--><b>{MARK}</b><!--",
    "address": f"javascript:{MARK}()",
    "template": "{{ 7|add:35 }}{% load static %}{% include 'base.html' %}",
    "other template": "${7*6} #{7*6} <%= 7*6 %> {{7*6}}",
    "nul": "Ann\x00a",
    "half character": "Ann\ud800a",
    "bidi override": "Ann\u202eelobon\u202ca",
    "bidi isolate": "Ann\u2067a\u2069",
    "zero width": "A\u200bn\u200cn\u2060a\ufeff",
    "soft hyphen": "A\u00adnna",
    "marks": "A" + "\u0301" * 300 + "nna",
    "right to left": "\u0634\u0647\u0631\u0632\u0627\u062f \u05e9\u05b8\u05dc\u05d5\u05b9\u05dd",
    "emoji": "Ann \U0001f9d1\u200d\U0001f9bc \U0001f3f4\U000e0067\U000e0062\U000e007f a",
    "20 kB": "n" * 20_000,
    "sql quote": "Ann'; DROP TABLE patients_patient; --",
    "sql union": "' OR '1'='1' UNION SELECT NULL,NULL--",
    "like": "%_\\%' ESCAPE '",
    "formula": '=HYPERLINK("http://evil.example","x")',
    "formula at": "@SUM(1+1)*cmd|' /C calc'!A0",
    "header": "Ann\r\nBcc: evil@evil.example\r\nX-Evil: 1",
    "calendar": "Ann\nEND:VEVENT\nBEGIN:VEVENT\nSUMMARY:x;y,z\\",
    "path": "../../../../etc/passwd\\..\\x.pdf",
    "controls": "Ann\x1b[31m\x07\x7f\x85a",
}

REAL_NAMES: tuple[tuple[str, str], ...] = (
    ("O", "Y"),
    ("O'Brien-d'Arc", "Zoë"),
    ("Nuñez y Íñigo", "José María"),
    ("Þórðarson", "Örn"),
    ("Łukasiewicz", "Żaneta"),
    ("van der Waßberg", "Jürgen"),
    ("Nguyễn", "Thị Hương"),
    ("الحسيني", "شهرزاد"),
    ("כהן", "שָׁלוֹם"),
    ("李", "小龍"),
    ("Иванова", "Анна"),
    ("Null", "True"),
    ("Smith 🦊", "Ann"),
    ("Begum", "Mst. Fátima-Zahra Jr. III"),
)

# What reading people cannot tell from nothing: none of it may stand in a kept name.
UNSEEN = "\u200b\u200c\u200d\u2060\ufeff\u00ad\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\x00\x1b\x07\x7f\x85\r\n"


def is_told_as_text(page: str) -> bool:
    """Say whether none of the texts has become a tag, a handler or an evaluated template in a page."""
    breaks = (f"<script>{MARK}", f"onerror={MARK}()>", f"onload={MARK}()>", f'onfocus="{MARK}', f"<b>{MARK}")
    runs = (f'{name}="javascript:' for name in ("href", "src", "action", "formaction", "hx-get", "hx-post"))
    return not any(each in page for each in (*breaks, *runs))
