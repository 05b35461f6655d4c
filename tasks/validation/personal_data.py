"""Personal data in a text: e-mail addresses, telephone numbers, payment cards and bank accounts; found and masked."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

import phonenumbers

from data_contracts.errors import InputError
from tasks.modeling.words import spans_of

Kind = Literal["card", "iban", "email", "phone"]
# Where two kinds claim the same characters, the one that a checksum speaks for is named.
KINDS: tuple[Kind, ...] = ("card", "iban", "email", "phone")

# No number of theirs has fewer than seven digits, so most texts are let pass by one look.
SEVEN_DIGITS = re.compile(r"\d(?:\W{0,3}\d){6}")
# RFC 5321, 4.5.3.1.1 allows 64 characters before the sign.
EMAIL = re.compile(r"(?<![\w.%+-])\w[\w.%+'-]{0,63}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}(?![\w-])")
# Groups of three and more digits: dates, prices and lists of small numbers have shorter ones.
CARD = re.compile(r"(?<!\w)(?<!\d[.,])\d{3,19}(?!\w)(?:[ -]\d{3,15}(?!\w))*")
IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}[A-Z0-9]{0,30}(?!\w)(?: [A-Z0-9]{1,4}(?!\w))*")
GROUP = re.compile(r"\w+")
# An account's 34 characters, written in fours.
MOST_GROUPS = 9
# {first digits: numbers of digits} (ISO/IEC 7812; https://en.wikipedia.org/wiki/Payment_card_number).
ISSUERS: dict[str, Sequence[int]] = {
    "4": (13, 16, 19),  # Visa
    "5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720": (16,),  # Mastercard
    "3[47]": (15,),  # American Express
    "6011|64[4-9]|65": range(16, 20),  # Discover
    "30[0-5]|3[689]": range(14, 20),  # Diners Club
    "352[89]|35[3-8]": range(16, 20),  # JCB
    "62": range(16, 20),  # UnionPay
    "220[0-4]": range(16, 20),  # Mir
    "5018|5020|5038|5893|6304|6759|676[1-3]": range(13, 20),  # Maestro
    "9704": (16, 19),  # Napas, of the banks of Vietnam
}
# A word with these is an address or an identifier, and its digits are no telephone number.
ADDRESS = re.compile(r"://|www\.|\.[a-z]{2,}/|[=#]|[A-Z]-\d")
INTERNET_ADDRESS = re.compile(r"(?:0|[1-9]\d{0,2})(?:\.(?:0|[1-9]\d{0,2})){3}")

Span = tuple[int, int]


class Found(NamedTuple):
    """Personal data of one kind, from character `start` up to and without character `end`."""

    kind: Kind
    start: int
    end: int


def find_personal_data(text: str, kinds: Sequence[Kind] = KINDS, regions: Sequence[str] = ()) -> list[Found]:
    """What stands in the text, from left to right, without overlaps.

    `regions` are the countries (ISO 3166-1, such as "US" and "VN") whose telephone numbers count as they are written
    at home; numbers written with + and a country code count always. Masked data is not found again.
    """
    _check_regions(regions)
    if not SEVEN_DIGITS.search(text):
        kinds = ("email",) if "email" in kinds and "@" in text else ()
    found: list[Found] = []
    for kind in KINDS:
        if kind in kinds:
            spans = _phones(text, regions) if kind == "phone" else FINDERS[kind](text)
            found += [
                Found(kind, start, end)
                for start, end in spans
                if not any(start < other.end and other.start < end for other in found)
                and _mask(text[start:end]) != text[start:end]
            ]
    return sorted(found, key=lambda one: one.start)


def masked(text: str, found: Iterable[Found]) -> str:
    """The text, as long as before: in what was found each letter is "x" and each digit "0", and marks stay."""
    parts, position = [], 0
    for one in sorted(found, key=lambda one: one.start):
        parts += [text[position : one.start], _mask(text[one.start : one.end])]
        position = one.end
    return "".join([*parts, text[position:]])


def mask_tokens(text: str, masked_text: str, tokens: Sequence[str]) -> list[str]:
    """The tokens as the masked text has them: what stands in it where they stand in the text.

    Raises ValueError where a token does not occur in the rest of the text.
    """
    return [masked_text[start:end] for start, end in spans_of(tokens, text)]


def _mask(found: str) -> str:
    return "".join("x" if sign.isalpha() else "0" if sign.isalnum() else sign for sign in found)


def _emails(text: str) -> Iterator[Span]:
    return (match.span() for match in EMAIL.finditer(text))


def _cards(text: str) -> Iterator[Span]:
    return (span for match in CARD.finditer(text) for span in _runs(text, match, _is_card))


def _ibans(text: str) -> Iterator[Span]:
    return (span for match in IBAN.finditer(text) for span in _runs(text, match, _is_iban))


def _runs(text: str, within: re.Match[str], valid: Callable[[str], bool]) -> Iterator[Span]:
    """The longest runs of whole groups that are valid without the marks between: a code or a year may follow."""
    groups = [group.span() for group in GROUP.finditer(text, *within.span())]
    position = 0
    for first, (start, _) in enumerate(groups):
        if start < position:
            continue
        ends = [end for _, end in groups[first : first + MOST_GROUPS] if valid(re.sub(r"\W", "", text[start:end]))]
        if ends:
            position = ends[-1]
            yield start, position


def _is_card(digits: str) -> bool:
    """Of a known issuer and with the check digit of Luhn (US patent 2950048; ISO/IEC 7812-1, annex B)."""
    if not any(len(digits) in lengths and re.match(first, digits) for first, lengths in ISSUERS.items()):
        return False
    doubled = [sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2]]
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0


def _is_iban(account: str) -> bool:
    """With the check digits of ISO 7064, MOD 97-10 (ISO 13616)."""
    if not 15 <= len(account) <= 34 or not account[2:4].isdecimal():
        return False
    return int("".join(str(int(sign, 36)) for sign in account[4:] + account[:4])) % 97 == 1


def _phones(text: str, regions: Sequence[str]) -> Iterator[Span]:
    """Numbers that a country's numbering plan knows, by Google's libphonenumber."""
    seen: list[Span] = []
    for region in regions or (None,):
        for match in phonenumbers.PhoneNumberMatcher(text, region, phonenumbers.Leniency.VALID):
            span = (match.start, match.end)
            if any(start < span[1] and span[0] < end for start, end in seen) or _is_address(text, *span):
                continue
            seen.append(span)
            yield span


def _is_address(text: str, start: int, end: int) -> bool:
    """Whether the word around the number is an address in the internet or an identifier."""
    before, after = text[max(0, start - 80) : start], text[end : end + 80]
    word = re.split(r"\s", before)[-1] + text[start:end] + re.split(r"\s", after)[0]
    return bool(ADDRESS.search(word) or INTERNET_ADDRESS.fullmatch(text[start:end].lstrip("(")))


def _check_regions(regions: Sequence[str]) -> None:
    unknown = [region for region in regions if region not in phonenumbers.SUPPORTED_REGIONS]
    if unknown:
        raise InputError(
            f"telephone numbers of {', '.join(unknown)} are not known: a region is a country's two capital letters of "
            "ISO 3166-1, such as US, VN or GB"
        )


FINDERS: dict[str, Callable[[str], Iterator[Span]]] = {"card": _cards, "iban": _ibans, "email": _emails}
