"""A pathway as a picture: every step a box, every way an arrow with its number, no two arrows in one place."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest

from procedures import yaml_files
from procedures.pathwaydrawing import LETTERS, draw
from procedures.tables.courses import STEPS

ROWS: list[dict[str, Any]] = yaml_files.read(STEPS)[0]["pathways"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row["id"]))
def test_every_step_and_way_is_drawn_inside_and_apart(row: dict[str, Any]) -> None:
    picture = draw(row)
    assert [box.name for box in picture.boxes] == [step["name"] for step in row["steps"]]
    assert [arrow.number for arrow in picture.arrows] == list(range(1, 1 + sum(len(step["then"]) for step in row["steps"])))
    assert all(0 < arrow.x < picture.width and 0 < arrow.y < picture.height for arrow in picture.arrows)
    assert all(one.y + picture.box_height < other.y for one, other in zip(picture.boxes, picture.boxes[1:], strict=False))
    assert all(box.name_y < line.y < box.y + picture.box_height - 6 for box in picture.boxes for line in box.lines)
    assert all(len(line.text) <= LETTERS for box in picture.boxes for line in box.lines)
    for one, other in combinations(picture.arrows, 2):
        assert abs(one.x - other.x) + abs(one.y - other.y) >= 12, (one, other)
        assert one.line != other.line


def test_what_is_done_in_a_step_is_named_and_not_by_its_code() -> None:
    row = next(row for row in ROWS if row["id"] == "facet_dual_block_to_rfa")
    boxes = draw(row).boxes
    assert [line.text for line in boxes[0].lines] == ["Medial branch blocks"]
    assert [line.text for line in boxes[2].lines] == [
        "Radiofrequency ablation of facet", "joint nerves, cooled ablation of", "facet joint nerves",
    ]  # fmt: skip


def test_a_way_that_is_off_is_drawn_as_such() -> None:
    row = next(row for row in ROWS if row["id"] == "tpi_series")
    way = {**row["steps"][0]["then"][0], "is_off": True}
    off = {**row, "steps": [{**row["steps"][0], "then": [way]}]}
    assert [arrow.is_off for arrow in draw(off).arrows] == [True]
    assert [arrow.label for arrow in draw(off).arrows] == ["1: from 6 weeks"]
