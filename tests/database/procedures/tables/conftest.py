"""A copy of the tables with something changed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from procedures import tables
from tests.database.procedures.tables.altering import Folder


@pytest.fixture
def altered(tmp_path: Path) -> Folder:
    """Return a function that writes the tables with some rows of one file changed."""

    def write(change: Callable[[dict[str, Any]], None], name: str = "catalogue") -> Path:
        folder = tmp_path / "tables"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(tables.DATA, folder)
        content = yaml.load((folder / f"{name}.yaml").read_text(), Loader=yaml.CSafeLoader)
        change(content)
        (folder / f"{name}.yaml").write_text(yaml.dump(content, Dumper=yaml.CSafeDumper, sort_keys=False))
        return folder

    return write
