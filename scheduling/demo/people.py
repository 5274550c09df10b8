"""Invented patients: names of many kinds, two people of one name, missing telephones."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta


def _names(text: str) -> tuple[str, ...]:
    return tuple(" ".join(name.split()) for name in text.split(","))


FIRST = {
    "female": _names(
        """
        Ada, Amélie, Beatriz, Carmen, Chloé, Dolores, Edith, Fatima, Grace, Hannah, Ines, Ingrid, Joan, Josephine,
        Keiko, Leila, Lucía, Mary-Jo, Mei, Nadia, Ngozi, Olga, Priya, Rosa, Ruth, Siobhán, Teresa, Vera, Wanda,
        Yasmin, Zoë
        """
    ),
    "male": _names(
        """
        Aaron, Abdul, Bjørn, Carlos, Chen, Daniel, Diego, Earl, Félix, George, Hassan, Henry, Ivan, Jamal, José, Kofi,
        Lars, Luis, Marcus, Nikolai, Omar, Otto, Pavel, Quentin, Ravi, Samuel, Tomás, Viktor, Walter, Xavier, Yusuf
        """
    ),
}
LAST = _names(
    """
    Abara, Acheson, Adeyemi, Ahlgren, Álvarez, Banerjee, Beaumont, Bergström, Castillo, Chaudhry, Cohen-Levy,
    D'Angelo, Delacroix, Dvořák, Eastman, Eriksen, Fairweather, Ferreira, Fitzgerald, García, Gutiérrez, Hallström,
    Harrington, Ibrahim, Ishikawa, Jankowski, Johansson, Kaplan, Kovács, Kowalczyk, Larkin, Lefèvre, Lindholm,
    MacAllister, Marchetti, Medina, Nakamura, Ndiaye, Novak, Núñez, O'Connell, Okonkwo, Ortega, Papadopoulos,
    Pennington, Quiñones, Ramírez, Rasmussen, Rosenthal, Saint-Clair, Sørensen, Şahin, Tanaka, Thornbury, Tremblay,
    Underhill, van der Berg, Vasquez, Wójcik, Whitlock, Yamamoto, Youssef, Zielinski
    """
)
SPANISH = {"Álvarez", "Castillo", "García", "Gutiérrez", "Medina", "Núñez", "Ortega", "Quiñones", "Ramírez", "Vasquez"}
PAYERS = ("Bluewater Health", "Harbour Mutual", "Lakeland Plan", "Public plan A", "Public plan B", "Workers' fund", "Self-pay")
AREA_CODES = ("212", "312", "617", "718", "773", "845")
# People every demo has: (first, last, born, sex), first of all the pairs that must not be mixed up.
KNOWN = (
    ("Vera", "Marlow", date(1958, 3, 2), "female"),
    ("Vera", "Marlow", date(1961, 11, 20), "female"),
    ("James", "Carter", date(1949, 7, 14), "male"),
    ("James", "Carter", date(1949, 7, 24), "male"),
    ("Aoife", "O'Brien-d'Arc", date(1975, 1, 30), "female"),
    ("Zoë", "Müller-Åkesson", date(1984, 2, 29), "female"),
    ("محمد", "الحسن", date(1966, 5, 9), "male"),
    ("רחל", "לוי", date(1953, 9, 1), "female"),
    ("美玲", "李", date(1990, 12, 12), "female"),
    ("O", "Ng", date(1969, 4, 4), "other"),
    ("Maria del Carmen", "Fernández de la Vega y Ruiz-Montoya", date(1972, 8, 8), "female"),
)


@dataclass(slots=True)
class Person:
    """One invented patient, and what they come for."""

    key: int
    public_id: uuid.UUID
    first_name: str
    last_name: str
    birth_date: date
    sex: str
    email: str
    phone: str
    language: str
    payer: str
    site: int
    accepts_email: bool
    deceased_on: date | None
    complaint: int  # index into `cases.COMPLAINTS`
    side: str
    height: float  # where along the spine, 0 to 1
    since: datetime
    last_visit: date | None = None
    busy: set[date] | None = None
    steroids: set[date] = field(default_factory=set)  # days on which one is given or planned
    is_told: bool = False  # one of those whose story is written, see `stories`


def invent(
    *, count: int, keys: list[int], sites: list[int], complaints: list[float], rng: random.Random, at: datetime
) -> list[Person]:
    """Return this many people; two thirds have the first site as their home."""
    people = []
    for place in range(count):
        if place < len(KNOWN):
            first, last, born, sex = KNOWN[place]
        else:
            sex = rng.choices(("female", "male", "other", "unknown"), (54, 44, 1, 1))[0]
            first, last = rng.choice(FIRST.get(sex) or FIRST["female"] + FIRST["male"]), rng.choice(LAST)
            if rng.random() < 0.06:
                last = f"{last}-{rng.choice(LAST)}"
            age = min(96, max(19, int(rng.gauss(60, 15))))
            born = at.date() - timedelta(days=age * 365 + rng.randrange(365))
        email = "" if rng.random() < 0.12 else f"patient{place + 1}@example.org"
        phone = "" if rng.random() < 0.06 else f"+1{rng.choice(AREA_CODES)}55501{rng.randrange(100):02d}"
        died = at.date() - timedelta(days=rng.randrange(30, 900)) if place >= len(KNOWN) and rng.random() < 0.01 else None
        people.append(
            Person(
                key=keys[place],
                public_id=uuid.UUID(int=rng.getrandbits(128), version=4),
                first_name=first,
                last_name=last,
                birth_date=born,
                sex=sex,
                email=email,
                phone=phone,
                language="es" if last in SPANISH and rng.random() < 0.6 else "en",
                payer=rng.choices(PAYERS, (20, 18, 14, 24, 10, 8, 6))[0],
                site=sites[0] if rng.random() < 0.64 else sites[-1],
                accepts_email=rng.random() > 0.05,
                deceased_on=died,
                complaint=rng.choices(range(len(complaints)), complaints)[0],
                side=rng.choice(("left", "right")),
                height=rng.random(),
                since=at - timedelta(days=rng.randrange(20, 1800)),
                busy=set(),
            )
        )
    return people
