"""The repeat-session planner: a pathway, what is known and a day in; the next step, or why there is none, out. Pure."""

from procedures.pathways.beside import KEPT_APART, Apart, Beside, KeptApart, next_step_beside, proposed_on
from procedures.pathways.compiling import faults_of, pathways_of
from procedures.pathways.following import follow, is_mine
from procedures.pathways.looking import Ahead, ways_ahead
from procedures.pathways.planning import calm_days, next_step, open_days
from procedures.pathways.words import (
    Aim,
    Answer,
    Companion,
    Done,
    Match,
    Opened,
    Owner,
    Pathway,
    Proposed,
    Step,
    Stopped,
    Visit,
    Waiting,
    Way,
)

__all__ = [
    "KEPT_APART",
    "Ahead",
    "Aim",
    "Answer",
    "Apart",
    "Beside",
    "Companion",
    "Done",
    "KeptApart",
    "Match",
    "Opened",
    "Owner",
    "Pathway",
    "Proposed",
    "Step",
    "Stopped",
    "Visit",
    "Waiting",
    "Way",
    "calm_days",
    "faults_of",
    "follow",
    "is_mine",
    "next_step",
    "next_step_beside",
    "open_days",
    "pathways_of",
    "proposed_on",
    "ways_ahead",
]
