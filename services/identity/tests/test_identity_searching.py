"""What people are found by."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.searching import plain, terms_asked, terms_of

EWA = terms_of("Ewa Łucja Brzęczyszczykiewicz-O'Neil", "Ewa@Example.test", "+48600700800")


@pytest.mark.parametrize(
    "query",
    [
        "ewa", "EWA łuc", "ew lu brzecz", "brzeczyszczykiewicz", "O'Neil", "neil ewa", "BRZĘ neil EWA",
        "ewa@example.TEST", "ewa EWA@example.test", "600700800", "700 800", "+48 600-700-800", "0048600700800",
        "(600) 700 800", "ewa 800", "e",
    ],
)  # fmt: skip
def test_beginnings_of_names_an_address_and_the_end_of_a_number_find_a_person(query: str) -> None:
    asked = terms_asked(query)
    assert asked
    assert asked <= EWA


@pytest.mark.parametrize(
    "query", ["wa", "ewa nowak", "ewan", "ewa@example", "600700", "80", "example", "brzeczyszczykiewiczx"]
)
def test_what_does_not_fit_finds_nobody(query: str) -> None:
    assert not terms_asked(query) <= EWA


@pytest.mark.parametrize("query", ["", " ", "---", "'", "+"])
def test_a_query_without_a_word_asks_for_nothing(query: str) -> None:
    assert terms_asked(query) == set()


def test_case_and_accents_do_not_matter_in_any_language_we_speak() -> None:
    assert plain("Żółć Ñandú Straße Ærø Đorđe İSTANBUL") == "zolc nandu strasse aero dorde istanbul"


@given(st.text(max_size=60), st.data())
def test_every_beginning_of_every_word_of_any_name_finds_it(name: str, data: st.DataObject) -> None:
    own = terms_of(name, None, None)
    words = name.split()
    for word in words:
        beginning = word[: data.draw(st.integers(1, len(word)))]
        # A beginning may end within what is one letter in another spelling (a mark that follows its letter).
        if plain(word).startswith(plain(beginning)) and "@" not in beginning and not any(map(str.isdecimal, beginning)):
            assert terms_asked(beginning) <= own
