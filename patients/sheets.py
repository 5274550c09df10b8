"""Tables as other systems export them: CSV of unknown encoding, delimiter, header and date order. No database."""

from __future__ import annotations

import codecs
import csv
import json
import re
import unicodedata
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date, time
from pathlib import Path
from typing import IO, Any, Protocol

import yaml

DELIMITERS = ";,\t|"
LONGEST_CELL = 1_000_000
SHOWN = 200  # problems told at the terminal when there is a report
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")
MONTHS = {
    name: number
    for number, names in enumerate(
        ("jan january ene enero", "feb february febrero", "mar march marzo", "apr april abr abril", "may mayo",
         "jun june junio", "jul july julio", "aug august ago agosto", "sep sept september septiembre",
         "oct october octubre", "nov november noviembre", "dec december dic diciembre"), start=1)
    for name in names.split()
}  # fmt: skip


class Writes(Protocol):
    """A terminal."""

    def write(self, msg: str, /) -> object: ...


class SheetError(Exception):
    """The file as a whole cannot be read as a table; the text says why."""


class CellError(ValueError):
    """One cell cannot be read; the text says why, without the cell's value."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a row, or one field of it, did not go in. `is_refused`: the whole row stayed out."""

    line: int
    field: str
    reason: str
    is_refused: bool = True
    external_id: str = ""


@dataclass(frozen=True, slots=True)
class SheetRow:
    """One row by our own field names; `problem` when the row as such is broken."""

    line: int
    cells: Mapping[str, str]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Names:
    """A clinic's own names: their column to our field, and their values to ours."""

    columns: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sheet:
    """An opened table: what was found out about it, and its rows in a stream."""

    path: Path
    encoding: str
    delimiter: str
    fields: tuple[str | None, ...]
    ignored: tuple[str, ...]
    skipped_lines: int
    values: Mapping[str, Mapping[str, str]]

    def rows(self) -> Iterator[SheetRow]:
        """Give the rows one by one; empty lines are passed over."""
        with self.path.open(encoding=self.encoding, errors="replace", newline="") as file:
            reader = _reader(file, self.delimiter)
            for _ in range(self.skipped_lines):
                next(reader)
            while True:
                line = reader.line_num + 1
                try:
                    cells = next(reader)
                except StopIteration:
                    return
                except csv.Error:
                    yield SheetRow(line, {}, "this line is not readable as CSV")
                    continue
                if any(cell.strip() for cell in cells):
                    yield self._row(line, cells)

    def _row(self, line: int, cells: list[str]) -> SheetRow:
        named: dict[str, str] = {}
        for name, cell in zip(self.fields, cells, strict=False):
            if name is not None and not named.get(name):
                named[name] = self._meant(name, cell.strip())
        if any(cell.strip() for cell in cells[len(self.fields) :]):
            return SheetRow(line, named, "the row has more cells than the header; is a text with a delimiter unquoted?")
        if "�" in "".join(cells):
            return SheetRow(line, named, "the row holds bytes that the file's encoding does not have")
        return SheetRow(line, named)

    def _meant(self, name: str, cell: str) -> str:
        return self.values.get(name, {}).get(cell.casefold(), cell)


def open_sheet(
    path: Path,
    *,
    synonyms: Mapping[str, Sequence[str]],
    required: Sequence[str],
    mapping: Names | None = None,
    encoding: str = "",
) -> Sheet:
    """Find out how a file is written and which of its columns are ours.

    Raises:
        SheetError: it cannot be read, is empty, or lacks a required column.
    """
    try:
        known = encoding or _encoding_of(path)
        with path.open(encoding=known, errors="replace", newline="") as file:
            first = file.readline()
            skipped = 0
            told = re.fullmatch(r"sep=(.)\s*", first)
            if told:
                first, skipped = file.readline(), 1
    except (OSError, LookupError) as error:
        raise SheetError(f"{path.name} cannot be read: {error.__class__.__name__}") from error
    if not first.strip():
        raise SheetError(f"{path.name} has no header line")
    delimiter = told.group(1) if told else _delimiter_of(first)
    with path.open(encoding=known, errors="replace", newline="") as file:
        reader = _reader(file, delimiter)
        header = [next(reader) for _ in range(skipped + 1)][-1]
    own = mapping or Names()
    fields, ignored = _fields(header, synonyms, own.columns)
    missing = [name for name in required if name not in fields]
    if missing:
        raise SheetError(
            f"{path.name} has no column for {', '.join(missing)}; its columns are: {', '.join(header)}. "
            "Name the columns with --map FILE."
        )
    return Sheet(path, known, delimiter, fields, ignored, skipped + 1, own.values)


def read_mapping(data: object, fields: Sequence[str]) -> Names:
    """Read what a `--map` file holds: our field to their column or the reverse, plain or under `columns`; and `values`.

    Raises:
        SheetError: it is not such a table, or names a field that does not exist.
    """
    if not isinstance(data, Mapping):
        raise SheetError("the map must be a table of column names")
    columns = data.get("columns", {key: value for key, value in data.items() if key not in {"columns", "values"}})
    values = data.get("values", {})
    if not isinstance(columns, Mapping) or not isinstance(values, Mapping):
        raise SheetError("'columns' and 'values' of the map must be tables")
    ours: dict[str, str] = {}
    for key, value in columns.items():
        if str(key) in fields:
            ours[_bare(str(value))] = str(key)
        elif str(value) in fields:
            ours[_bare(str(key))] = str(value)
        else:
            raise SheetError(f"the map names neither side of {key}: {value} as one of: {', '.join(fields)}")
    meant: dict[str, dict[str, str]] = {}
    for name, table in values.items():
        if str(name) not in fields or not isinstance(table, Mapping):
            raise SheetError(f"the map's values speak of {name}, which is not one of: {', '.join(fields)}")
        meant[str(name)] = {str(theirs).casefold(): str(mine) for theirs, mine in table.items()}
    return Names(ours, meant)


def read_date(text: str, order: str = "") -> date:
    """Read a date with a four-digit year; `order` ("dmy" or "mdy") decides where day and month could be exchanged.

    Raises:
        CellError: it is no date, or could be two.
    """
    bare = re.sub(r"[T ]0{1,2}:00(:00(\.0+)?)?(Z|[+-]00:?00)?$", "", text.strip())
    iso = re.fullmatch(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})", bare) or re.fullmatch(r"(\d{4})(\d{2})(\d{2})", bare)
    if iso:
        return _date(int(iso[1]), int(iso[2]), int(iso[3]))
    named = re.fullmatch(r"(\d{1,2})[-. ]+([^\W\d]+)[-., ]+(\d{4})", bare)
    if named and (month := MONTHS.get(named[2].casefold())):
        return _date(int(named[3]), month, int(named[1]))
    named = re.fullmatch(r"([^\W\d]+)[. ]+(\d{1,2}),? +(\d{4})", bare)
    if named and (month := MONTHS.get(named[1].casefold())):
        return _date(int(named[3]), month, int(named[2]))
    spoken = re.fullmatch(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})", bare)
    if not spoken:
        if re.fullmatch(r"\d{1,2}[-/.]\d{1,2}[-/.]\d{2}", bare):
            raise CellError("the year has two digits only")
        raise CellError("this is not a date; write 1958-03-02")
    one, two, year = int(spoken[1]), int(spoken[2]), int(spoken[3])
    if one <= 12 and two <= 12 and one != two and order not in {"dmy", "mdy"}:
        raise CellError("day and month could be exchanged; say --date-order dmy or mdy")
    month_first = order == "mdy" if one <= 12 and two <= 12 else two > 12
    return _date(year, one, two) if month_first else _date(year, two, one)


def read_time(text: str) -> time:
    """Read a wall time: 9:15, 09:15:00, 9.15, 0915, 9:15 AM.

    Raises:
        CellError: it is no time.
    """
    found = re.fullmatch(r"(\d{1,2})(?:[:.h](\d{2})(?:[:.](\d{2})(?:\.\d+)?)?)?\s*([ap])?\.?(?:m\.?)?", text.strip().casefold())
    found = found or re.fullmatch(r"(\d{2})(\d{2})()()", text.strip())
    if not found or not (found[2] or found[4]):
        raise CellError("this is not a time; write 09:15")
    hour, minute, second, half = int(found[1]), int(found[2] or 0), int(found[3] or 0), found[4]
    if half:
        if not 1 <= hour <= 12:
            raise CellError("this is not a time; write 09:15")
        hour = hour % 12 + (12 if half == "p" else 0)
    try:
        return time(hour, minute, second)
    except ValueError as error:
        raise CellError("this is not a time; write 09:15") from error


def neutral(cell: str) -> str:
    """Return a cell that a spreadsheet shows as text and never runs as a formula."""
    return f"'{cell}" if cell.startswith(FORMULA_SIGNS) else cell


class Report:
    """Says every problem: the first ones to the person at the terminal, all of them in the report file."""

    def __init__(self, stack: ExitStack, path: str, terminal: Writes) -> None:
        self.count, self.path, self.terminal = 0, path, terminal
        self.table = None
        if path:
            file = stack.enter_context(Path(path).open("w", encoding="utf-8-sig", newline=""))  # noqa: SIM115  the stack closes it
            self.table = csv.writer(file, lineterminator="\r\n")
            self.table.writerow(["line", "external_id", "field", "reason", "row"])

    def tell(self, problem: Problem) -> None:
        """Say one problem."""
        self.count += 1
        if self.count <= SHOWN or self.table is None:
            state = "row refused" if problem.is_refused else "field left out"
            self.terminal.write(f"line {problem.line}: {problem.field}: {problem.reason} ({state})")
        elif self.count == SHOWN + 1:
            self.terminal.write("More problems are in the report.")
        if self.table is not None:
            state = "refused" if problem.is_refused else "taken without this field"
            self.table.writerow([problem.line, *map(neutral, (problem.external_id, problem.field, problem.reason)), state])

    def close(self) -> None:
        """Say where the report is."""
        if self.table is not None:
            self.terminal.write(f"{self.count} problems written to {self.path}.")


def add_file_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", help="CSV file with a header line")
    parser.add_argument("--dry-run", action="store_true", help="do everything, keep nothing")
    parser.add_argument("--map", default="", help="YAML or JSON file: our field to their column; and 'values' per field")
    parser.add_argument("--date-order", choices=("dmy", "mdy"), default="", help="decides dates such as 03/04/1958")
    parser.add_argument("--encoding", default="", help="encoding of the file, where the guess is wrong")
    parser.add_argument("--site", default="", help="site (its short name in addresses) where a row names none")
    parser.add_argument("--report", default="", help="CSV file for everything that was refused or left out")
    parser.add_argument("--user", default="", help="name of the member of staff who answers for this import")


def mapping_of(path: str, fields: tuple[str, ...]) -> Names | None:
    """Read the `--map` file, YAML or JSON.

    Raises:
        SheetError: it cannot be read.
    """
    if not path:
        return None
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
        data = json.loads(text) if path.endswith(".json") else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise SheetError(f"{path} cannot be read as a map: {error.__class__.__name__}") from error
    return read_mapping(data, fields)


def _date(year: int, month: int, day: int) -> date:
    try:
        return date(year, month, day)
    except ValueError as error:
        raise CellError("there is no such day") from error


def _reader(file: IO[str], delimiter: str) -> Any:
    csv.field_size_limit(LONGEST_CELL)
    return csv.reader(file, delimiter=delimiter, skipinitialspace=True)


def _encoding_of(path: Path) -> str:
    """Return UTF-8 if every byte fits, else the Windows superset of Latin-1, which every byte fits but five."""
    with path.open("rb") as file:
        head = file.read(4)
        if head.startswith(codecs.BOM_UTF8):
            return "utf-8-sig"
        if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        file.seek(0)
        strict = {name: codecs.getincrementaldecoder(name)() for name in ("utf-8", "cp1252")}
        while chunk := file.read(1 << 20):
            strict = {name: decoder for name, decoder in strict.items() if _decodes(decoder, chunk)}
        strict = {name: decoder for name, decoder in strict.items() if _decodes(decoder, b"", final=True)}
    return next(iter(strict), "latin-1")


def _decodes(decoder: codecs.IncrementalDecoder, chunk: bytes, *, final: bool = False) -> bool:
    try:
        decoder.decode(chunk, final)
    except UnicodeDecodeError:
        return False
    return True


def _delimiter_of(header: str) -> str:
    outside = re.sub(r'"[^"]*"', "", header)
    return max(DELIMITERS, key=outside.count) if any(sign in outside for sign in DELIMITERS) else ","


def _bare(name: str) -> str:
    plain = unicodedata.normalize("NFKD", name.casefold())
    return "".join(sign for sign in plain if sign.isalnum())


def _fields(
    header: Sequence[str], synonyms: Mapping[str, Sequence[str]], own: Mapping[str, str]
) -> tuple[tuple[str | None, ...], tuple[str, ...]]:
    known = {_bare(word): name for name, words in synonyms.items() for word in (name, *words)}
    # What the clinic's own map says of a field replaces every synonym of it.
    known = {word: name for word, name in known.items() if name not in own.values()} | dict(own)
    fields = tuple(known.get(_bare(column)) for column in header)
    ignored = tuple(column for column, name in zip(header, fields, strict=True) if name is None)
    return fields, ignored
