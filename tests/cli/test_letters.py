"""Prove that text on the terminal is harmless and fits."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from telemetry.core.cli.letters import cut, cut_in_front, one_line, padded, printable, width_of, wrapped

_TEXTS = st.text(max_size=60)


@given(st.text(), st.integers(0, 80))
def test_cut_text_is_never_wider_than_asked(text: str, width: int):
    """Whatever the letters, wide or combining, the cut text takes the columns it was given at most."""
    text = one_line(text)

    shown = cut(text, width)

    assert width_of(shown) <= width
    assert shown == text or width_of(text) > width


def test_end_of_a_path_is_kept():
    """File and line tell where to look, not the folder that all have in common."""
    assert "…/telemetry.toml:2" == cut_in_front("/home/me/project/telemetry.toml:2", 18)
    assert "short" == cut_in_front("short", 5)


@given(st.text())
def test_harmless_text_moves_no_cursor(text: str):
    """No control character, no mark of writing direction and no lone surrogate comes out but the newline."""
    shown = printable(text)

    controls = [letter for letter in shown if "Cc" == unicodedata.category(letter) and letter != "\n"]
    assert [] == controls
    assert set() == set("\u061c\u200e\u200f\u202a\u202e\u2066\u2069\ud800\udfff") & set(shown)


def test_escape_codes_are_shown_and_not_obeyed():
    """An error text that would clear the screen stands there as text."""
    assert r"\x1b[2J\u202eabc\udc80" == printable("\x1b[2J\u202eabc\udc80")


def test_one_line_joins_what_stood_on_several():
    """Newlines, tabs and stretches of blanks become one blank."""
    assert "a b c" == one_line("  a\n\tb   c\r\n")


def test_wide_letters_count_twice_and_accents_not():
    """Columns are counted as a terminal has them."""
    assert (4, 1, 3) == (width_of("日本"), width_of("e\u0301"), width_of("abc"))
    assert "日… " == padded(cut("日本語", 3), 4)
    assert "  日本" == padded("日本", 6, is_right=True)


@given(_TEXTS, st.integers(10, 40))
def test_wrapped_lines_fit_and_lose_no_word(text: str, width: int):
    """Every line fits, and read together they say the same."""
    text = one_line(text)

    lines = wrapped(text, width)

    assert all(width_of(line) <= width for line in lines)
    assert text.replace(" ", "") == "".join(lines).replace(" ", "")
