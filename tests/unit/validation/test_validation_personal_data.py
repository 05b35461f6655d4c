"""What counts as personal data, what only looks like it, and how it is masked."""

import json
from pathlib import Path

import pytest

from data_contracts.errors import InputError
from tasks.modeling.words import words_of
from tasks.validation.personal_data import KINDS, Found, find_personal_data, mask_tokens, masked

SAMPLES = Path(__file__).resolve().parents[3] / "data_contracts" / "samples" / "support"
REGIONS = ("US", "VN")


def found_in(text: str, regions: tuple[str, ...] = REGIONS) -> list[tuple[str, str]]:
    """(kind, characters) of what is found."""
    return [(one.kind, text[one.start : one.end]) for one in find_personal_data(text, regions=regions)]


@pytest.mark.parametrize(
    ("text", "email"),
    [
        ("write to ana.nguyen+shop@mail.example.com, please", "ana.nguyen+shop@mail.example.com"),
        ("(o'neil_7@example.co.uk)", "o'neil_7@example.co.uk"),
        ("Thư: hà@ví-dụ.vn.", "hà@ví-dụ.vn"),
    ],
)
def test_an_email_address_is_found_without_the_marks_around_it(text: str, email: str) -> None:
    assert found_in(text) == [("email", email)]


@pytest.mark.parametrize("text", ["see you @home", "10 lamps @ 5.99 each", "a@b", "@ana.example", "name@.com"])
def test_a_sign_alone_is_no_email_address(text: str) -> None:
    assert found_in(text) == []


@pytest.mark.parametrize(
    ("text", "phone"),
    [
        ("call (212) 566-8082 today", "(212) 566-8082"),
        ("gọi 0912 345 678 nhé", "0912 345 678"),
        ("SĐT: 0901234567.", "0901234567"),
        ("024 3825 1234", "024 3825 1234"),
        ("my number is +49 30 123456", "+49 30 123456"),
    ],
)
def test_a_telephone_number_of_the_regions_or_with_a_country_code_is_found(text: str, phone: str) -> None:
    assert found_in(text) == [("phone", phone)]


def test_a_number_as_it_is_written_at_home_counts_in_its_region_only() -> None:
    text = "gọi 0912 345 678 hoặc +84 912 345 678"
    assert found_in(text, regions=("US",)) == [("phone", "+84 912 345 678")]
    assert found_in(text, regions=()) == [("phone", "+84 912 345 678")]
    assert found_in(text, regions=("VN",)) == [("phone", "0912 345 678"), ("phone", "+84 912 345 678")]


@pytest.mark.parametrize(
    "text",
    [
        "order LF-6502530000 and #2125668082",
        "Tracking JD0041882300, serial CC-0091847",
        "mỗi lần 2.350.000đ, tổng 12.450.000 đ",
        "bought on 2026-01-05 at 10:30:15, again on 05/01/2026",
        "server 70.241.90.252 answered",
        "https://shop.example/t/2125668082 and shop.example/t/2125668082/ and id=2125668082",
        "between 7 and 12 of 150, 1 200 or 3,500 pieces",
    ],
)
def test_orders_dates_prices_and_addresses_are_no_telephone_numbers(text: str) -> None:
    assert found_in(text) == []


def test_the_luhn_digit_of_a_card_is_checked() -> None:
    # From the right, 4111111111111111 has eight ones as they are and seven doubled, and 4 doubled: 8 + 14 + 8 = 30.
    assert found_in("card 4111111111111111 ok") == [("card", "4111111111111111")]
    for last in "023456789":
        assert found_in(f"card 411111111111111{last} ok") == []


@pytest.mark.parametrize(
    "card",
    [
        "4111 1111 1111 1111",
        "5555-5555-5555-4444",
        "2223 0031 2200 3222",
        "3782 822463 10005",
        "30569309025904",
        "6011111111111117",
        "3530111333300000",
    ],
)
def test_cards_of_known_issuers_are_found_with_spaces_and_dashes(card: str) -> None:
    # The numbers that the issuers publish for tests.
    assert found_in(f"it says {card}, why?") == [("card", card)]


def test_what_stands_beside_a_card_is_no_part_of_it() -> None:
    text = "order 12345 4111 1111 1111 1111 123 and 5555 5555 5555 4444 2027"
    assert found_in(text) == [("card", "4111 1111 1111 1111"), ("card", "5555 5555 5555 4444")]


@pytest.mark.parametrize(
    "text",
    [
        # Each passes Luhn's check: of no issuer, too short a group, an identifier, a decimal.
        "EAN 7622210449283",
        "41 11 11 11 11 11 11 11",
        "LF4111111111111111",
        "0.4111111111111111",
    ],
)
def test_other_long_numbers_are_no_cards(text: str) -> None:
    assert found_in(text) == []


@pytest.mark.parametrize(
    ("text", "account"),
    [
        ("to DE44 5001 0517 5407 3249 31 AM MONTAG", "DE44 5001 0517 5407 3249 31"),
        ("IBAN GB82WEST12345698765432.", "GB82WEST12345698765432"),
    ],
)
def test_a_bank_account_with_right_check_digits_is_found(text: str, account: str) -> None:
    assert found_in(text) == [("iban", account)]
    assert found_in(text.replace("DE44", "DE45").replace("GB82", "GB83")) == []


def test_only_the_kinds_asked_for_are_found() -> None:
    text = "ana@example.com, 0912 345 678, 4111111111111111"
    assert [kind for kind, _ in found_in(text)] == ["email", "phone", "card"]
    for kind in KINDS:
        assert {one.kind for one in find_personal_data(text, [kind], REGIONS)} <= {kind}
    assert find_personal_data(text, ["email"], REGIONS) == [Found("email", 0, 15)]


def test_digits_of_an_email_address_are_no_telephone_number_of_their_own() -> None:
    assert found_in("0912345678@example.com") == [("email", "0912345678@example.com")]


def test_a_region_that_is_not_one_is_named() -> None:
    with pytest.raises(InputError, match=r"telephone numbers of UK, vn are not known.* such as US, VN or GB"):
        find_personal_data("hello", regions=("US", "UK", "vn"))


def test_no_sample_row_holds_personal_data_but_orders_prices_dates_and_serials() -> None:
    texts = [json.loads(line)["text"] for path in SAMPLES.rglob("*.jsonl") for line in path.open(encoding="utf-8")]
    assert len(texts) > 3000
    assert sum(any(sign.isdigit() for sign in text) for text in texts) > 500
    assert [text for text in texts if find_personal_data(text, regions=REGIONS)] == []


def test_masking_keeps_marks_and_length_and_what_was_not_found() -> None:
    text = "I am Ana: ana.b7@example.com, +84 912 345 678."
    hidden = masked(text, find_personal_data(text))
    assert hidden == "I am Ana: xxx.x0@xxxxxxx.xxx, +00 000 000 000."
    assert masked("nothing", []) == "nothing"


def test_masked_data_is_not_found_again() -> None:
    text = "ana@example.com, 0912 345 678, 4111111111111111, GB82WEST12345698765432"
    found = find_personal_data(text, regions=REGIONS)
    assert len(found) == 4
    assert find_personal_data(masked(text, found), regions=REGIONS) == []


def test_tokens_are_cut_out_of_the_masked_text_where_they_stood() -> None:
    text = "Ana's mail is ana@example.com, not ana@example.org"
    tokens = words_of(text)
    hidden = masked(text, find_personal_data(text))
    cut = mask_tokens(text, hidden, tokens)
    assert tokens[:3] == cut[:3] == ["Ana", "'", "s"]
    assert cut[5:11] == ["xxx", "@", "xxxxxxx", ".", "xxx", ","]
    assert "".join(cut) == hidden.replace(" ", "")
    with pytest.raises(ValueError, match="token 1, 'Bob', does not stand in the text"):
        mask_tokens(text, hidden, ["Bob"])


def test_a_long_run_of_digit_groups_ends() -> None:
    # Comparing every run of groups with every other would take very long.
    assert find_personal_data("123 456 789 " * 5_000, ["card", "iban", "email"]) == []
