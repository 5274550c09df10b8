"""The clinic's pathways as its physicians read and change them: what may be edited, and the verb that makes a new version.

A physician sets which steps there are, what may follow each and when, gates, counts and whether it is on. What a gate
means, and what has to be booked together, is code.
"""

from procedures.pathwayrows.changing import Wish, applied, carried, change, compiled, proposed
from procedures.pathwayrows.shaping import MORE, reshaped
from procedures.pathwayrows.telling import Version, edits, versions
from procedures.pathwayrows.words import (
    CHANGE,
    GATES,
    PER,
    SPANS,
    UNITS,
    MayNotChange,
    PathwayChanged,
    Span,
    UnusablePathway,
    WhyMissing,
    gate_told,
    length,
    read_span,
    span_told,
    step_names,
    stops_of,
    ways_of,
)

__all__ = [
    "CHANGE",
    "GATES",
    "MORE",
    "PER",
    "SPANS",
    "UNITS",
    "MayNotChange",
    "PathwayChanged",
    "Span",
    "UnusablePathway",
    "Version",
    "WhyMissing",
    "Wish",
    "applied",
    "carried",
    "change",
    "compiled",
    "edits",
    "gate_told",
    "length",
    "proposed",
    "read_span",
    "reshaped",
    "span_told",
    "step_names",
    "stops_of",
    "versions",
    "ways_of",
]
