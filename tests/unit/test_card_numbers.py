"""What is taken for a card number in a text, and what is not."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.examples import examples
from pipelines.checks import RANGES, has_card_number

VISA = "4111111111111111"
CARDS = {
    "Visa": VISA,
    "Visa of 13 digits": "4222222222222",
    "Visa of 19 digits": "4000000000000000006",
    "Mastercard": "5555555555554444",
    "Mastercard of the newer range": "2223003122003222",
    "American Express": "378282246310005",
    "Diners Club": "30569309025904",
    "Discover": "6011111111111117",
    "JCB": "3530111333300000",
    "UnionPay": "6200000000000005",
    "Maestro": "6759649826438453",
    "Maestro of 12 digits": "501800000009",
    "Mir": "2200000000000004",
    "groups of four": "4111 1111 1111 1111",
    "dashes": "4111-1111-1111-1111",
    "spaces that do not break": "4111\u00a01111\u00a01111\u00a01111",
    "groups of a charge card": "3782 822463 10005",
    "mixed": "411111 1111-111111",
    "in a sentence": f"please charge {VISA}, thank you",
    "with a word before it": f"PAN:{VISA};",
    "behind another number": f"order 12 {VISA}",
    "before an expiry": f"{VISA} 12/27",
    "before a security code": "4111 1111 1111 1111 123",
    "of an address": f"{VISA}@example.com",
    "in brackets": f"({VISA})",
    "the second of two": "4111111111111112 5555555555554444",
    "in two lines": f"card\n{VISA}\n",
}
OTHERS = {
    "nothing": "",
    "masked": "411111******1111",
    "masked with letters": "411111XXXXXX1111",
    "the first and the last digits": "4111 11.. .... 1111",
    "a wrong check digit": "4111111111111112",
    "no issuer's range": "9111111111111111",
    "no issuer's length": "41111111111116",
    "too long": f"{VISA}00004",
    "an id of 22 digits that holds one": f"000{VISA}000",
    "a hash": f"a{VISA}f",
    "a code": f"ORD{VISA}",
    "decimals": f"0.{VISA}",
    "an amount": f"{VISA}.50",
    "a time": "2024-03-01 12:00:00",
    "seconds since 1970": "1700000000000",
    "a telephone number": "+49 30 123456789012",
    "an account": "DE89 3704 0044 0532 0130 00",
    "digits one by one": " ".join(VISA),
    "digits of another script": VISA.translate(str.maketrans(string.digits, "٠١٢٣٤٥٦٧٨٩")),
    "an address of the network": "203.0.113.195",
    "a UUID": "123e4567-e89b-12d3-a456-426614174000",
}


def with_check_digit(digits: str) -> str:
    """The digits and the one that makes them a card number."""
    doubled = [int(digit) * (2 - place % 2) for place, digit in enumerate(reversed(digits))]
    return f"{digits}{-sum(value // 10 + value % 10 for value in doubled) % 10}"


@pytest.mark.parametrize("name", CARDS)
def test_a_card_number_is_found(name):
    assert has_card_number(CARDS[name])


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_none_is_not_taken_for_one(name):
    assert not has_card_number(OTHERS[name])


@st.composite
def numbers(draw):
    """A number of some issuer's."""
    low, high, lengths = draw(st.sampled_from(RANGES))
    prefix = str(draw(st.integers(int(low), int(high))))
    length = draw(st.sampled_from(sorted(lengths)))
    rest = length - len(prefix) - 1
    return with_check_digit(prefix + draw(st.text("0123456789", min_size=rest, max_size=rest)))


@settings(max_examples=examples(100), deadline=None)
@given(numbers(), st.data())
def test_each_issuers_numbers_are_found_and_with_one_digit_changed_they_are_not(number, data):
    assert has_card_number(f"card {number}.")
    place = data.draw(st.integers(0, len(number) - 1))
    other = data.draw(st.sampled_from([digit for digit in "0123456789" if digit != number[place]]))
    assert not has_card_number(f"card {number[:place]}{other}{number[place + 1 :]}.")


@settings(max_examples=examples(100), deadline=None)
@given(st.text("0123456789 -.a\u00a0", max_size=200))
def test_any_text_is_looked_through(text):
    has_card_number(text)
