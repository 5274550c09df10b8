"""Everything that may be said of a case, part by part, in the words of the clinic's own tables."""

from __future__ import annotations

from functools import lru_cache

from procedures.families import name_of
from procedures.rules.book import Book
from scheduling.forms.assess.asks import ROLES, SEVERAL, SIDES, UNSAID, YES_NO, Ask, Part, choices, rare, words

TECHNIQUES = ("thermal", "cooled", "pulsed", "cryo", "chemical", "laser", "endoscopic", "low_temperature")


@lru_cache(maxsize=2)  # the clinic's book, and the one before it was changed
def parts_of(book: Book, named: tuple[tuple[str, str], ...]) -> tuple[Part, ...]:
    """Return everything that may be said of a case, with the words of a book and the clinic's names of its procedures."""
    names = dict(named)
    offered = sorted(((names.get(code, words(code)), code) for code in book.offers), key=lambda pair: pair[0].casefold())
    procedures = [UNSAID, *((code, name) for name, code in offered)]
    covered = [UNSAID, *((family, f"All {name_of(family)}") for family in sorted(book.families, key=name_of)), *procedures[1:]]
    steroids = [UNSAID, ("none", "None"), *((name, words(name)) for name in sorted(book.steroid_ids))]
    drugs = [UNSAID, *((name, book.thinners.drugs[name].name) for name in sorted(book.drug_ids))]
    payers = [UNSAID, ("none", "No payer rules"), *book.payer_names.items()]
    intakes = choices(*sorted(book.intakes))
    target = (
        Ask("levels", "Levels", "words", hint="As L4-L5, L5-S1; several with commas."),
        Ask("side", "Side", "choice", SIDES),
        Ask("role", "Role", "choice", ROLES),
        Ask("site", "Joint or body part"),
        Ask("drug", "Steroid", "choice", steroids),
        Ask("dose_mg", "Dose in mg", "number"),
    )
    return (
        Part(
            "request", "What is asked for", (
                Ask("procedure", "Procedure", "choice", procedures), *target[:2],
                Ask("date", "Date", "date"),
                Ask("time", "Start", "time", hint="Where hours matter: blood thinners, fasting."),
                *target[2:],
                Ask("sedation", "Sedation", "choice", choices("none", "minimal", "moderate", "deep", "mac", "general")),
                Ask("guidance", "Guidance", "choice", choices("fluoroscopy", "ct", "ultrasound", "mri", "none")),
                Ask("contrast", "Contrast", "choice", choices("iodinated", "gadolinium", "none")),
            ), is_open=True,
        ),
        Part(
            SEVERAL, "Also done on the same day", (
                Ask("procedure", "Procedure", "choice", procedures), *target,
                *rare(
                    Ask("guidance", "Guidance", "choice", choices("fluoroscopy", "ct", "ultrasound", "mri", "none")),
                    Ask("contrast", "Contrast", "choice", choices("iodinated", "gadolinium", "none")),
                    Ask("bilateral_reason", "Why both sides"), Ask("body_areas", "Body areas", "words"),
                    Ask("muscles", "Muscles", "words"),
                    Ask("technique", "Technique of the lesion", "choice", choices(*TECHNIQUES)),
                    Ask("temperature_c", "Temperature in °C", "number"), Ask("modic_type", "Modic type", "number"),
                    Ask("bleeding_class", "Bleeding class", "choice", choices("low", "intermediate", "high")),
                ),
            ), is_rows=True, one="Procedure", said="Nothing else.",
        ),
        Part(
            "coverage", "Who pays, and where it is done", (
                Ask("payer_rules", "Payer's rules", "choice", payers),
                Ask("plan_type", "Plan", "choice", choices("original_medicare", "medicare_advantage", "commercial", "self_pay")),
                Ask("state", "State", key="request", hint="Two letters."),
                Ask("place_of_service", "Place of service", key="request", hint="Two digits; 11 is the office."),
                Ask("year_anchor", "Plan year starts", "date"),
                Ask("site_reason", "Why not in the office", key="request"),
            ), is_open=True,
        ),
        Part(
            "history", "What was done or is booked", (
                Ask("date", "Date", "date"),
                Ask("procedure", "Procedure", "choice", [*procedures, ("other", "Another injection")]),
                *target[:3],
                Ask("status", "State", "choice", choices("performed", "booked", "cancelled", "no_show")),
                Ask("relief", "Relief in %", "number"), Ask("held_until", "Held until", "date"),
                Ask("function_gain", "Better function in %", "number"),
                *rare(
                    *target[3:], Ask("elsewhere", "Done elsewhere", "choice", YES_NO), Ask("indication", "Indication"),
                    Ask("before", "Score before", "score"), Ask("after", "Score after", "score"),
                    Ask("function_improved", "Function improved", "choice", YES_NO),
                    Ask("medication_reduced", "Medicine reduced", "choice", YES_NO),
                    Ask("medication_reduction", "Less medicine in %", "number"),
                    Ask("relief_matched_agent", "Relief fitted the anaesthetic", "choice", YES_NO),
                    Ask("kx", "Billed with KX", "choice", YES_NO), Ask("lead_removed", "Lead removed on", "date"),
                    Ask("follow_up", "Later records", "lines", hint="One a line: 2027-01-20 60, percent relief on a day."),
                ),
            ), is_rows=True, one="Session", said="Nothing was done before.",
        ),
        Part(
            "medications", "Blood thinners and the like", (
                Ask("drug", "Drug", "choice", drugs),
                Ask("last_dose", "Last dose", hint="2027-03-12, or 2027-03-12T09:00."),
                Ask("still_taking", "Still taken", "choice", YES_NO), Ask("dose", "Dose"), Ask("indication", "For what"),
                Ask("prescriber_clearance", "Prescriber's clearance", "choice", YES_NO),
                Ask("decision_recorded", "Decision recorded", "choice", YES_NO),
            ), is_rows=True, one="Medicine", said="None is taken.",
        ),
        Part(
            "patient", "Patient", (
                Ask("sex", "Sex", "choice", choices("female", "male", "other")), Ask("age", "Age", "number"),
                Ask("pregnant", "Pregnant", "choice", [*YES_NO, ("unknown", "Unknown")]),
                Ask("conditions", "Conditions", "several", choices("diabetes", "osteoporosis", "osteopenia", "postmenopausal")),
                Ask("bleeding_risk_factors", "What raises the risk of bleeding", "words"),
                Ask("infection", "Infection", "choice", choices("active", "none")),
                Ask("antibiotics_until", "Antibiotics until", "date"),
                Ask("glp1", "GLP-1 medicine", "choice", choices("weekly", "daily", "none")),
            ),
        ),
        Part(
            "presentation", "The problem treated", (
                Ask("indication", "Indication", hint="As the tables write it; left out, a covered one."), Ask("icd10", "ICD-10"),
                Ask("pain_weeks", "Weeks of pain", "number"), Ask("conservative_weeks", "Weeks of conservative care", "number"),
                Ask("pain_score", "Pain, 0 to 10", "number"), Ask("provocation_tests", "Positive provocation tests", "number"),
                Ask("imaging_months", "Age of the imaging in months", "number"),
                Ask("episode_started", "Episode of care began", "date"),
                Ask("missing", "Not met or not on file", "lines", hint="Words of the tables; left out, everything is."),
            ),
        ),
        Part(
            "coverage.authorizations", "Authorisations", (
                Ask("covers", "For", "choice", covered),
                Ask("status", "State", "choice", choices("approved", "pending", "refused")),
                Ask("decided", "Decided on", "date"), Ask("valid_until", "Valid until", "date"),
            ), is_rows=True, one="Authorisation", said="The payer has authorised nothing.",
        ),
        Part(
            "labs", "Results", (
                Ask("test", "Test", "choice", choices("inr", "crcl", "hba1c", "glucose")), Ask("date", "Date", "date"),
                Ask("value", "Value", "number"),
            ), is_rows=True, one="Result", said="None is on file.",
        ),
        Part(
            "allergies", "Allergies", (
                Ask("agent", "To what", "choice", choices("iodinated_contrast", "shellfish", "steroid_preservative")),
                Ask("severity", "How bad", "choice", choices("mild", "moderate", "severe")),
            ), is_rows=True, one="Allergy", said="None that matters here.",
        ),
        Part(
            "implants", "Implanted devices", (
                Ask("device", "Device", "choice", choices("pacemaker", "icd", "scs", "dbs", "it_pump")),
                Ask("device_plan", "Plan recorded", "choice", YES_NO),
            ), is_rows=True, one="Device", said="None.",
        ),
        Part(
            "vaccines", "Vaccines", (
                Ask("type", "Kind", "choice", choices("covid_mrna", "covid_vector", "live", "inactivated")),
                Ask("date", "Date", "date"),
            ), is_rows=True, one="Vaccine", said="None given or planned.",
        ),
        Part(
            "patient.stents", "Coronary stents", (
                Ask("kind", "Kind", "choice", choices("drug_eluting", "bare")), Ask("placed", "Placed on", "date"),
                Ask("after_acs", "After an acute coronary syndrome", "choice", YES_NO),
            ), is_rows=True, one="Stent", said="None.",
        ),
        Part(
            "patient.planned_surgery", "Planned operations", (
                Ask("kind", "Kind", "choice", choices("arthroplasty")), Ask("site", "Where"), Ask("date", "Date", "date"),
            ), is_rows=True, one="Operation", said="None.",
        ),
        Part(
            "request.intake", "What was eaten or drunk", (
                Ask("what", "What", "choice", intakes), Ask("end", "Until", hint="2027-01-11T06:00."),
            ), is_rows=True, one="Meal or drink", said="Nothing that is told.",
        ),
        Part(
            "", "The day, and reasons", (
                Ask("as_of", "Booked on", hint="2027-01-04, or 2027-01-04T09:30; left out: today."),
                Ask("driver", "A driver comes", "choice", YES_NO, key="request"),
                Ask("rationale", "Why this, now", key="request"),
                Ask("bilateral_reason", "Why both sides", key="request"),
                Ask("planned_series", "One of a fixed series", "choice", YES_NO, key="request"),
                Ask("body_areas", "Body areas", "words", key="request"), Ask("muscles", "Muscles", "words", key="request"),
                Ask("technique", "Technique of the lesion", "choice", choices(*TECHNIQUES), key="request"),
                Ask("temperature_c", "Temperature in °C", "number", key="request"),
                Ask("modic_type", "Modic type", "number", key="request"),
                Ask("bleeding_class", "Bleeding class", "choice", choices("low", "intermediate", "high"), key="request",
                    hint="Only where the catalogue leaves it to the target."),
                Ask("premedication", "Contrast premedication", "choice", choices("oral_prednisone", "oral_methylprednisolone",
                    "iv_accelerated", "none"), key="request"),
            ),
        ),
    )  # fmt: skip
