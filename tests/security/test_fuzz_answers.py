"""Whatever JSON an answer holds: client and sandbox, made apart, sign the same text; every row lands in one place."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fixtures.examples import examples
from pipelines.ingest.balances import normalize_balances
from pipelines.ingest.fraud import FRAUD
from pipelines.ingest.normalize import concat, normalize
from pipelines.ingest.operations import OPERATIONS
from pipelines.ingest.schema import json_text
from resources.data_api import signature
from resources.sandbox import DEMO_SECRET as SECRET
from resources.sandbox import signing
from resources.sandbox.fields import KNOWN

AT = datetime(2024, 3, 5, tzinfo=UTC)
FUZZ = settings(
    max_examples=examples(100), deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)

unicode = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
keys = st.one_of(
    st.sampled_from(["1", "01", "10", "2", "k9", "k10", "K", "signature", "operations", "ключ", "%s", ".5", "-1"]),
    unicode.map(lambda text: text.replace(":", "")),
)
colons = st.text(st.sampled_from("a0:19 ."), max_size=5)  # of which two paths may become the same


def nested(of_keys, scalars):
    return st.recursive(
        scalars,
        lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(of_keys, inner, max_size=4)),
        max_leaves=12,
    )


signed_scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), unicode, st.floats(allow_nan=False, allow_infinity=False)
)


@FUZZ
@given(st.dictionaries(keys, nested(keys, signed_scalars), max_size=5))
def test_what_the_client_signs_the_sandbox_signs_alike(params):
    assert signature.sign(params, SECRET) == signing.sign(params, SECRET)
    assert signing.verify({**params, "signature": signature.sign(params, SECRET)}, SECRET)


@FUZZ
@given(st.dictionaries(keys, nested(keys, signed_scalars), max_size=5))
def test_what_the_sandbox_signs_the_client_accepts_and_reads_as_it_is(document):
    document.pop("signature", None)
    body = json.dumps(document | {"signature": signing.sign(document, SECRET)}).encode()
    read = signature.decode(body, SECRET)
    del read["signature"]
    assert read == json.loads(json.dumps(document), parse_float=Decimal)


@FUZZ
@given(st.dictionaries(colons, nested(colons, signed_scalars), max_size=4))
def test_where_two_paths_may_be_one_the_client_accepts_what_is_signed_or_says_why_not(document):
    document.pop("signature", None)
    body = json.dumps(document | {"signature": signing.sign(document, SECRET)}).encode()
    refused = None
    try:
        read = signature.decode(body, SECRET)
    except signature.UndecodableBody as error:
        refused = str(error)
    if refused is not None:
        assert "\n" not in refused
        return
    del read["signature"]
    assert read == json.loads(json.dumps(document), parse_float=Decimal)


numbers = st.one_of(
    st.integers(-(2**70), 2**70),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.sampled_from([Decimal("1e400"), Decimal("-0"), Decimal("9" * 80)]),
)
likely = st.sampled_from(
    ["1", "EUR", "success", "sale", "2024-03-05T10:00:00Z", "2024-03-05 10:00:00", "10.00", "", "\x00", "9999-12-31"]
)
json_values = nested(st.one_of(keys, colons), st.one_of(st.none(), st.booleans(), numbers, unicode, likely))


def answers(fields):
    """Lists of rows: most are objects of the API's fields and others, with any JSON in them; some are anything."""
    row = st.dictionaries(st.one_of(st.sampled_from(sorted(fields)), keys), st.one_of(likely, json_values), max_size=8)
    return st.lists(st.one_of(row, row, row, json_values), max_size=6)


@FUZZ
@given(answers({*KNOWN, "operation_id"}), st.booleans())
def test_every_row_of_an_answer_of_operations_is_typed_or_kept_as_a_reject(rows, with_ids):
    if with_ids:
        rows = [{**row, "operation_id": str(at)} if isinstance(row, dict) else row for at, row in enumerate(rows)]
    batch = normalize(OPERATIONS.schema, rows, AT)
    assert batch.table.num_rows + len(batch.rejects) == len(rows)
    left = [json_text(row) for row in rows]
    for reject in batch.rejects:
        left.remove(reject.raw_json)
        assert reject.reason
    assert len(left) == batch.table.num_rows


@FUZZ
@given(answers(set(FRAUD.schema.columns)))
def test_every_report_of_fraud_is_typed_or_kept_as_a_reject(rows):
    reports = concat(FRAUD.schema, [normalize(FRAUD.schema, rows, AT)])
    assert len(reports.frame) + len(reports.rejects) == len({json_text(row) for row in rows})
    assert all(reject.reason for reject in reports.rejects)


@FUZZ
@given(answers({"name", "EUR", "JPY", "eur"}))
def test_every_entry_of_a_balance_answer_is_typed_or_kept_as_a_reject(entries):
    balances, rejects = normalize_balances(entries, AT)
    assert len({balance.position for balance in balances}) + len(rejects) == len(entries)
    assert all(reject.reason for reject in rejects)
