"""Read what is true of patients into the facts that rules judge: for one or for many, in one statement.

What is not on file stays unknown: None, never an empty list. That somebody asked and there was nothing is a row (`Asked`).
"""

from patients.facts.knowing import Known
from patients.facts.reading import Reading, facts_of, read

__all__ = ["Known", "Reading", "facts_of", "read"]
