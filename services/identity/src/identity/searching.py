"""What people are found by, before it is hashed: the beginnings of name words, the whole address, the ends of numbers.

Pure text in, terms out; `PeopleKeys.tokens` makes what is stored of them.
"""

import re
import unicodedata

LONGEST_PREFIX = 24
SHORTEST_NUMBER = 3

# Letters that Unicode does not take apart into a base letter and a mark.
_FOLDED = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "ı": "i", "ħ": "h", "ŧ": "t", "ŋ": "n"}
)
_WORD = re.compile(r"[^\W_]+")
_NUMBER = re.compile(r"[\d\s+()./-]+")


def plain(text: str) -> str:
    """The text without case and accents: `Łukasz Brzęczyk` and `LUKASZ BRZECZYK` are one."""
    apart = unicodedata.normalize("NFKD", text.casefold().translate(_FOLDED))
    return "".join(letter for letter in apart if not unicodedata.combining(letter)).casefold()


def terms_of(name: str | None, email: str | None, phone: str | None) -> set[str]:
    """All terms that a person with this name, address and number (E.164) is found by."""
    terms = {
        f"word {word[:length]}"
        for word in _WORD.findall(plain(name or ""))
        for length in range(1, min(len(word), LONGEST_PREFIX) + 1)
    }
    if email:
        terms.add(f"mail {email.casefold()}")
    digits = _digits(phone or "")
    return terms | {f"tail {digits[start:]}" for start in range(len(digits) - SHORTEST_NUMBER + 1)}


def terms_asked(query: str) -> set[str]:
    """The terms that a person has to have, all of them, to be found; none when nothing in the query can be."""
    if _NUMBER.fullmatch(query) and len(digits := _digits(query)) >= SHORTEST_NUMBER:
        return {f"tail {digits}"}
    terms: set[str] = set()
    for part in query.split():
        if "@" in part.strip("@"):
            terms.add(f"mail {part.casefold()}")
        elif _NUMBER.fullmatch(part) and len(digits := _digits(part)) >= SHORTEST_NUMBER:
            terms.add(f"tail {digits}")
        else:
            terms.update(f"word {word[:LONGEST_PREFIX]}" for word in _WORD.findall(plain(part)))
    return terms


def _digits(phone: str) -> str:
    """The digits, without the zeros that only say that an area or a country follows."""
    return "".join(letter for letter in phone if letter.isdecimal() and letter.isascii()).lstrip("0")
