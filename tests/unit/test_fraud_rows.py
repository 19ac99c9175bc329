"""Reports of fraud: typed without a float, told apart by what identifies them, in two units of money that agree."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.ingest.fraud import CLASH, FRAUD, minor_units
from pipelines.ingest.normalize import Batch, Frame, concat, normalize
from pipelines.ingest.schema import json_text
from resources.currencies import exponents

AT = datetime(2024, 4, 1, tzinfo=UTC)
ROW = {
    "payment_id": "order-1",
    "operation_id": 1234567890123456789,
    "tr_amount": "180.00",
    "tr_ccy": "EUR",
    "project_id": "198",
    "arn": "00012",
    "fraud_type": "stolen card",
    "received_on": "2024-03-02 10:00:00",
    "fraud_report_date": "2024-03-01 00:00:00",
    "report_and_purchase_date_difference": 12,
}


def answer(*rows, at=AT) -> Batch:
    return normalize(FRAUD.schema, rows, at)


def united(*answers: Batch) -> Frame:
    return concat(FRAUD.schema, answers)


def records(*rows):
    return united(answer(*rows)).frame.to_dict("records")


def reasons(*rows):
    return [reject.reason for reject in answer(*rows).rejects]


def test_a_report_is_typed_exactly():
    (row,) = records(ROW)
    assert list(row) == list(FRAUD.schema.frame_columns)
    assert row["operation_id"] == "1234567890123456789", "an integer here is the text that operations have"
    assert (row["tr_amount"], row["tr_amount_minor"]) == ("180.00", 18_000)
    assert row["arn"] == "00012"
    assert row["received_on"].isoformat() == "2024-03-02T10:00:00+00:00"
    assert row["report_and_purchase_date_difference"] == 12


@pytest.mark.parametrize(
    ("currency", "amount", "minor"),
    [("JPY", "180", 180), ("KWD", "1.234", 1234), ("CLF", "0.0001", 1), ("EUR", "-1.50", -150), ("EUR", "1.5000", 150)],
)
def test_minor_units_follow_the_exponent_of_iso_4217(currency, amount, minor):
    (row,) = records({**ROW, "tr_amount": amount, "tr_ccy": currency})
    assert (row["tr_amount"], row["tr_amount_minor"]) == (amount, minor)


def test_an_unknown_currency_keeps_its_major_units_and_has_no_minor_ones():
    rows = united(answer({**ROW, "tr_ccy": "QQQ"}))
    assert rows.rejects == ()
    assert rows.frame["tr_amount"].to_list() == ["180.00"]
    assert rows.frame["tr_amount_minor"].isna().to_list() == [True]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"tr_amount": "1.005"}, "tr_amount is 1.005 EUR, which is no whole number of minor units"),
        ({"tr_amount": "1e3"}, "tr_amount is '1e3', not a decimal number of major units"),
        ({"tr_amount": 1.5}, "tr_amount is '1.5', not a decimal number of major units"),
        ({"tr_amount": "180,00"}, "tr_amount is '180,00', not a decimal number of major units"),
        (
            {"tr_amount": "12345678901234567.120000000001"},
            "tr_amount is 12345678901234567.120000000001 EUR, which is no whole number of minor units",
        ),
        (
            {"report_and_purchase_date_difference": "4.5"},
            "report_and_purchase_date_difference is '4.5', not a whole number",
        ),
        ({"tr_amount": "9" * 20}, f"tr_amount is {'9' * 20} EUR, larger than a bigint holds in minor units"),
        ({"operation_id": None}, "operation_id is missing"),
        ({"received_on": "yesterday"}, "received_on is 'yesterday', not a time (YYYY-MM-DD hh:mm:ss)"),
        ({"report_and_purchase_date_difference": 2**31}, None),
        ({"new": {"deep": ["\x00"]}}, "an unknown field contains U+0000, which PostgreSQL cannot store"),
    ],
)
def test_what_cannot_be_typed_is_kept_with_its_reason(change, reason):
    found = reasons({**ROW, **change})
    assert len(found) == 1
    assert reason is None or found == [reason]


@pytest.mark.parametrize(
    ("literal", "text"),
    [("200.09999999999999", "200.09999999999999"), ("2.5E-17", "0.000000000000000025"), ("1e2", "100")],
)
def test_a_decimal_literal_of_the_json_is_exact(literal, text):
    assert records({**ROW, "channel_amount_in_usd": Decimal(literal)})[0]["channel_amount_in_usd"] == text
    (row,) = records({**ROW, "tr_amount": Decimal("90071992547409.93")})
    assert (row["tr_amount"], row["tr_amount_minor"]) == ("90071992547409.93", 9_007_199_254_740_993)


def test_a_corrected_report_keeps_its_key_and_a_different_report_has_another():
    key = records(ROW)[0]["report_key"]
    for change in ({"fraud_type": "other"}, {"tr_amount": "1.00"}, {"row_updated_at": "2024-03-05 00:00:00"}):
        assert records({**ROW, **change})[0]["report_key"] == key
    assert records({**ROW, "received_on": "2024-03-02T10:00:00+00:00"})[0]["report_key"] == key, "only the format"
    for change in ({"operation_id": 2}, {"received_on": "2024-03-02 10:00:01"}, {"project_id": "199"}):
        assert records({**ROW, **change})[0]["report_key"] != key


def test_two_different_reports_of_one_identity_are_not_merged_silently():
    rows = united(answer(ROW, ROW, {**ROW, "fraud_type": "other"}))
    assert len(rows.frame) == 1
    assert [reject.reason for reject in rows.rejects] == [CLASH]


def test_an_unknown_field_is_kept_in_extra():
    assert records({**ROW, "score": 7})[0]["extra"] == '{"score":7}'


def test_of_a_report_met_twice_the_later_observation_counts():
    later = answer({**ROW, "fraud_type": "corrected"}, at=AT + timedelta(seconds=1))
    earlier = answer(ROW, {**ROW, "operation_id": 2})
    for order in ([earlier, later], [later, earlier]):
        frame = united(*order).frame
        assert sorted(frame["fraud_type"]) == ["corrected", "stolen card"]
        assert list(frame["report_key"]) == sorted(frame["report_key"])
    assert list(united().frame.columns) == list(FRAUD.schema.frame_columns)


@given(minor=st.integers(-(2**63), 2**63 - 1), currency=st.sampled_from(sorted(exponents())))
def test_major_and_minor_units_are_the_same_amount(minor, currency):
    assert minor_units(Decimal(minor).scaleb(-exponents()[currency]), currency) == minor


VALUES = st.sampled_from(["", None, "1.50", "EUR", 7, "2024-03-02 10:00:00", [], "\x00"])
ROWS = st.dictionaries(st.sampled_from([*ROW, "unknown"]), VALUES, max_size=4).map(lambda change: {**ROW, **change})


@given(st.lists(ROWS | st.sampled_from([None, "text", 1]), max_size=6))
def test_every_row_is_typed_or_rejected_and_none_vanishes(rows):
    reports = united(answer(*rows))
    assert len(reports.frame) + len(reports.rejects) == len({json_text(row) for row in rows})
