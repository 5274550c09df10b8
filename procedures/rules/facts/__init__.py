"""What is known when a request is judged. Everywhere here None is *unknown*, never *fine*.

The reader of written cases fills every field, because its author vouches for the case (`is_complete`). The live clinic
leaves None where nothing is on file; what rests only on that becomes a pending finding.
"""

from procedures.rules.facts.asking import Intake, Request, Wanted
from procedures.rules.facts.knowing import Facts
from procedures.rules.facts.records import (
    Allergy,
    Authorization,
    Coverage,
    Implant,
    Lab,
    Medication,
    Presentation,
    Stent,
    Surgery,
    Vaccine,
)
from procedures.rules.facts.sessions import Score, Session, by_date

__all__ = [
    "Allergy",
    "Authorization",
    "Coverage",
    "Facts",
    "Implant",
    "Intake",
    "Lab",
    "Medication",
    "Presentation",
    "Request",
    "Score",
    "Session",
    "Stent",
    "Surgery",
    "Vaccine",
    "Wanted",
    "by_date",
]
