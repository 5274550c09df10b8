"""The pathways that courses follow, from the product's own file of steps; its names are those of pathways.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from procedures import yaml_files
from procedures.pathways import Pathway, pathways_of
from procedures.tables.files import DATA

STEPS = DATA / "pathway_steps.yaml"


@cache
def shipped_pathways() -> Mapping[str, Pathway]:
    """Return the pathways as shipped, by id."""
    names = {row["id"]: row["name"] for row in yaml_files.read(DATA / "pathways.yaml")[0]["pathways"]}
    return pathways_of(yaml_files.read(STEPS)[0]["pathways"], names=names)
