"""Prove that tables fit any terminal and that lists come out whole in every form."""

import csv
import io
import json
from itertools import count, islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.core.cli.letters import width_of
from telemetry.core.cli.listing import write_list
from telemetry.core.cli.screen import Screen, screen_for
from telemetry.core.cli.table import Cell, Column, table_lines

_VALUES = st.one_of(st.text(max_size=40), st.integers(), st.none(), st.booleans(), st.lists(st.integers(), max_size=3))
_ROWS = st.lists(st.tuples(_VALUES, _VALUES, _VALUES), min_size=1, max_size=8)


def screen(**traits) -> Screen:
    """Return a screen in memory."""
    return Screen(io.StringIO(), io.StringIO(), **traits)


def columns() -> list[Column[tuple]]:
    """Return three columns: one that may be cut, one that may not, one that goes first."""
    return [
        Column(name="first", value=lambda row: row[0], least=5),
        Column(name="second", value=lambda row: row[1], is_right=True),
        Column(name="third", value=lambda row: row[2], rank=1, least=3, style="dim"),
    ]


@given(_ROWS, st.integers(45, 120))
def test_table_fits_and_has_a_line_a_row(rows, width: int):
    """No line is wider than the terminal; each row has one, below one heading."""
    wide = [row for row in rows if width_of(str(row[1])) > 40]
    rows = [row for row in rows if row not in wide]

    lines = list(table_lines(screen(width=width), columns(), rows))

    assert (len(rows) + 1 if rows else 0) == len(lines)
    assert all(width_of(line) <= width for line in lines)


def test_columns_go_by_rank_and_empty_ones_at_once():
    """Space is made by cutting first, then by leaving out the column of the highest rank."""
    rows = [("a" * 30, 12345, "b" * 30)]

    wide, cut, narrow = (list(table_lines(screen(width=width), columns(), rows)) for width in (80, 40, 15))
    empty = list(table_lines(screen(), columns(), [("a", None, "")]))

    assert f"{'a' * 30}   12345  {'b' * 30}" == wide[1]
    assert "…" in cut[1]
    assert "THIRD" in cut[0]
    assert ["FIRST", "SECOND"] == narrow[0].split()
    assert ["FIRST", "a"] == empty


def test_a_narrow_column_comes_back_where_a_wide_one_had_to_go():
    """What fits is shown, and nothing that is shown is cut for it; the caller learns what found no room."""
    rows = [("a" * 20, "b" * 24, "c" * 5)]
    three = [
        Column(name="first", value=lambda row: row[0], least=5),
        Column(name="second", value=lambda row: row[1], rank=1),
        Column(name="third", value=lambda row: row[2], rank=2),
    ]
    left_out: list[str] = []

    lines = list(table_lines(screen(width=30), three, rows, note_left_out=left_out.extend))

    assert [f"{'FIRST':<20}  THIRD", f"{'a' * 20}  ccccc"] == lines
    assert ["second"] == left_out


def test_a_column_is_cut_to_the_room_that_is_left():
    """Down to its scant width; below that it stays out."""
    rows = [("a" * 20, "b" * 24)]
    two = [
        Column(name="first", value=lambda row: row[0]),
        Column(name="second", value=lambda row: row[1], rank=1, least=26, scant=12),
    ]

    cut, out = (list(table_lines(screen(width=width), two, rows)) for width in (34, 33))

    assert f"{'a' * 20}  {'b' * 11}…" == cut[1]
    assert "a" * 20 == out[1]


def test_colour_does_not_shift_columns():
    """Codes take no columns, and stand around letters only."""
    row = [("a", 1, "b"), ("aa", 1, "bb")]

    plain = list(table_lines(screen(), columns(), row))
    coloured = list(table_lines(screen(has_color=True), columns(), row))

    assert "\x1b[2mb\x1b[0m" in coloured[1]
    assert plain == [line.replace("\x1b[2m", "").replace("\x1b[0m", "") for line in coloured]


def test_endless_rows_stream():
    """Only the first 200 rows are waited for."""
    taken = []

    def rows():
        for number in count():
            taken.append(number)
            yield (number, number, number)

    lines = list(islice(table_lines(screen(), columns(), rows()), 3))

    assert 3 == len(lines)
    assert 200 == len(taken)


@given(_ROWS)
def test_every_form_says_the_same(rows):
    """JSON, lines of JSON and CSV give the values back; columns in a pipe have as many fields on each line."""
    rows = [tuple("\n\tx" if value == "" else value for value in row) for row in rows]
    written = {}
    for form in ("json", "nl", "csv", "tsv", None):
        sheet = screen()
        write_list(sheet, form, columns(), rows)
        written[form] = sheet.out.getvalue()

    dicts = [dict(zip(("first", "second", "third"), row, strict=True)) for row in rows]
    assert dicts == json.loads(written["json"])
    assert dicts == [json.loads(line) for line in written["nl"].split("\n") if line]
    assert len(rows) == len(list(csv.reader(io.StringIO(written["csv"], newline="")))) - 1
    assert {2} == {line.count("\t") for line in written["tsv"].split("\n") if line}
    assert written["tsv"] == written[None]


def test_empty_lists_are_empty_in_every_form():
    """No row is an empty array, no line, or a heading alone."""
    written = []
    for form in ("json", "nl", "csv", "tsv"):
        sheet = screen()
        write_list(sheet, form, columns(), [])
        written.append(sheet.out.getvalue())

    assert ["[\n]\n", "", "first,second,third\n", "first\tsecond\tthird\n"] == written


def test_columns_for_the_eye_only_stay_out_of_pipes():
    """And the other way round."""
    both = [
        Column(name="id", value=lambda row: row, cell=lambda row: Cell("short")),
        Column(name="ago", value=lambda row: None, cell=lambda row: Cell("1 s ago"), is_piped=False),
        Column(name="exact", value=lambda row: 1.5, is_shown=False),
    ]
    terminal, pipe = screen(is_terminal=True), screen()

    write_list(terminal, None, both, ["r1"])
    write_list(pipe, None, both, ["r1"])

    assert ["ID     AGO", "short  1 s ago"] == terminal.out.getvalue().splitlines()
    assert ["id\texact", "r1\t1.5"] == pipe.out.getvalue().splitlines()


@pytest.mark.parametrize(
    ("choice", "environ", "is_terminal", "has_color"),
    [
        ("auto", {}, True, True),
        ("auto", {}, False, False),
        ("auto", {"NO_COLOR": "1"}, True, False),
        ("auto", {"NO_COLOR": ""}, True, True),
        ("auto", {"TERM": "dumb"}, True, False),
        ("auto", {"FORCE_COLOR": "1"}, False, True),
        ("auto", {"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
        ("always", {"NO_COLOR": "1"}, False, True),
        ("never", {"FORCE_COLOR": "1"}, True, False),
    ],
)
def test_colours_follow_terminal_and_wishes(monkeypatch, choice, environ, is_terminal, has_color):
    """What is said on the command line wins, then NO_COLOR, then FORCE_COLOR, then the terminal."""

    class Stream(io.StringIO):
        encoding = "utf-8"

        def isatty(self) -> bool:
            return is_terminal

    monkeypatch.setattr("sys.stdout", Stream())

    assert has_color is screen_for(choice, environ).has_color


def test_signs_are_ascii_where_nothing_else_can_be_written(monkeypatch):
    """A C locale gets letters that it knows."""

    class Stream(io.StringIO):
        encoding = "ascii"

    monkeypatch.setattr("sys.stdout", Stream())
    poor = screen_for()

    assert "+ success" == poor.status("success")
    assert poor.sparkline([0, 1, 2]).isascii()


def test_sparklines_go_from_nothing_to_the_largest():
    """One bar a value; all alike where there is nothing."""
    assert "▁▅█" == screen().sparkline([0, 5, 9])
    assert "▁▁" == screen().sparkline([0, 0])
