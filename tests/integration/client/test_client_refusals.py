"""Refusals in the platform's own words, with what to check; and no secret in any of it."""

from __future__ import annotations

import json
import logging
import traceback

import pytest

from fixtures.client import (
    EMPTY,
    FIRST,
    LAST,
    NOW,
    ROWS,
    TWICE,
    always,
    api_of,
    balances,
    failure,
    operations,
    raw,
    signed,
)
from resources.data_api.errors import (
    BadRequest,
    DataApiError,
    Forbidden,
    RateLimited,
    Redirected,
    Retryable,
    ServerError,
    Unauthorized,
)
from resources.errors import ConfigError, kind_of
from resources.sandbox import (
    DEMO_SECRET,
    DEMO_TOKEN,
    Account,
    Behaviour,
    SandboxServer,
    World,
)

# Refusals: the type, the exit code, the platform's own words, and what to check


@pytest.mark.parametrize(
    ("status", "kind", "exit_code", "check"),
    [
        (400, BadRequest, 2, "check the dates, the project ids and the fields asked for"),
        (401, Unauthorized, 2, "check DATA_API_TOKEN and DATA_API_SECRET"),
        (403, Forbidden, 2, "check DATA_API_TOKEN and DATA_API_SECRET"),
        (404, BadRequest, 2, "check DATA_API_BASE_URL (it ends in /v1"),
        (405, BadRequest, 2, "check DATA_API_BASE_URL (it ends in /v1"),
        (408, ServerError, 1, "an error of the platform"),
        (418, BadRequest, 2, "check the dates, the project ids and the fields asked for"),
        (422, BadRequest, 2, "check the dates, the project ids and the fields asked for"),
        (429, RateLimited, 1, "too many requests"),
        (301, Redirected, 2, "redirects are not followed: check DATA_API_BASE_URL"),
        (304, Redirected, 2, "redirects are not followed: check DATA_API_BASE_URL"),
        (500, ServerError, 1, "an error of the platform"),
        (503, ServerError, 1, "an error of the platform"),
        (599, ServerError, 1, "an error of the platform"),
        (206, ServerError, 1, "an error of the platform"),
    ],
)
def test_a_status_gives_an_error_that_says_what_the_platform_said_and_what_to_check(status, kind, exit_code, check):
    body = {"name": "Any", "message": "You have no access to project_id = 22", "code": 0, "status": status}
    if status == 304:
        body = ""  # by definition without a body
    with raw(always(status, body)) as server, api_of(server.url, policy=TWICE) as api:
        message = failure(kind, api)
    said = "You have no access to project_id = 22" if body else "(no message)"
    assert message.startswith(f"the platform answered {status} to balance/get: {said} — ")
    assert check in message
    assert kind.exit_code == exit_code
    assert issubclass(kind, ConfigError) == (exit_code == 2)
    assert len(server.bodies) == (2 if issubclass(kind, Retryable) else 1)


def test_what_a_person_has_to_change_first_is_never_asked_again():
    world = World.of(ROWS, now=NOW)
    refused = [
        ("x" * 30, DEMO_SECRET, {}, 401, Unauthorized, "Token is wrong, deactivated or replaced"),
        (DEMO_TOKEN, "another secret", {}, 401, Unauthorized, "Signature is wrong"),
        (DEMO_TOKEN, DEMO_SECRET, {"project_ids": [22]}, 401, Unauthorized, "You have no access to project_id = 22"),
        (DEMO_TOKEN, DEMO_SECRET, {"project_ids": [22]}, 403, Forbidden, "You have no access to project_id = 22"),
        (DEMO_TOKEN, DEMO_SECRET, {"project_ids": [22]}, 400, BadRequest, "You have no access to project_id = 22"),
        (DEMO_TOKEN, DEMO_SECRET, {"fields": ["nonsense"]}, 400, BadRequest, "Unknown field: nonsense"),
        (DEMO_TOKEN, DEMO_SECRET, {"limit": 0}, 400, BadRequest, "limit: Input should be greater than or equal to 1"),
    ]
    for token, secret, options, status, kind, said in refused:
        behaviour = Behaviour(no_access_status=status)
        with (
            SandboxServer(world, accounts=[Account(projects=[198])], behaviour=behaviour) as sandbox,
            api_of(sandbox.url, token, secret) as api,
        ):
            message = failure(kind, api, lambda api, options=options: operations(api, **options))
            assert message.startswith(f"the platform answered {status} to operations/get: {said}")
            assert (sandbox.request_count, api.counts.total) == (1, 1)


@pytest.mark.parametrize(("status", "kind"), [(401, Unauthorized), (403, Forbidden)])
def test_an_endpoint_that_needs_a_right_says_which_and_does_not_blame_the_token(status, kind):
    def fraud(api):
        return api.fraud(FIRST, LAST, offset=0)

    with raw(always(status, {"message": "Access denied"})) as server, api_of(server.url) as api:
        message = failure(kind, api, fraud)
        assert message == (
            f"the platform answered {status} to fraud/list: Access denied — fraud/list needs the role Risks or "
            "Merchant admin: grant it to the token's user (My team → the user's tab)."
        )
        with pytest.raises(kind) as caught:
            fraud(api)
    assert (caught.value.status, caught.value.right) == (status, "the role Risks or Merchant admin")


KINDS = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "bad_request",
    429: "rate_limited",
    302: "redirected",
    500: "unavailable",
    503: "unavailable",
}


@pytest.mark.parametrize("status", KINDS)
def test_a_failure_keeps_its_kind_whatever_the_platform_says_of_it(status):
    with (
        raw(always(status, {"message": "anything"})) as server,
        api_of(server.url, policy=TWICE) as api,
        pytest.raises(DataApiError) as caught,
    ):
        balances(api)
    assert kind_of(caught.value) == KINDS[status]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_the_signed_body_goes_nowhere_else(status):
    with raw(always(200, EMPTY)) as elsewhere:
        location = f"{elsewhere.url}/balance/get"
        with raw(always(status, "", Location=location)) as server, api_of(server.url) as api:
            failure(Redirected, api)
        assert len(server.bodies) == 1
        assert elsewhere.bodies == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"name": "Authorization Required", "code": 0, "status": 401}, "Authorization Required"),
        ({"message": None, "name": "Only a name"}, "Only a name"),
        ({"message": {"why": ["nested"]}}, "{'why': ['nested']}"),
        ({}, "(no message)"),
        ("", "(no message)"),
        ("[]", "[]"),
        ("null", "null"),
        ('"just text"', '"just text"'),
        ('{"message": "cut of', '{"message": "cut of'),
        ("<html><body>\r\n<h1>401 Authorization\tRequired</h1></body>", "401 Authorization Required"),
        (b"\xff\xfe\x00", "???"),
        ({"message": "two\nlines \x1b[31mred\x07 \u202ebackwards"}, "two lines ?[31mred? ?backwards"),
        ({"message": "x" * 5_000}, "x" * 400),
        ("[" * 100_000, "[" * 400),
        ("<" * 100_000, "<" * 400),
    ],
    ids=lambda value: str(value)[:20],
)
def test_whatever_stands_in_a_refusal_its_words_come_out_in_one_short_line(body, said):
    with raw(always(401, body)) as server, api_of(server.url) as api:
        message = failure(Unauthorized, api)
    shown = message.removeprefix("the platform answered 401 to balance/get: ").partition(" — check DATA_API_TOKEN")[0]
    assert shown.replace("\ufffd", "?") == said


# Nothing tells a secret


# answers that hold token, secret and what was sent, as an unlucky error page might
ECHOES = {
    "json": lambda request, sent: request.reply(400, {"message": f"cannot read {sent} with {DEMO_SECRET}"}),
    "json with slashes escaped": lambda request, sent: request.reply(
        400, json.dumps({"message": {"said": sent}}).replace("/", "\\/")
    ),
    "half a json": lambda request, sent: request.reply(400, sent.replace("/", "\\/")[:-1]),
    "html": lambda request, sent: request.reply(
        502, f"<html><pre>{sent}</pre> <a href='{DEMO_TOKEN}'>{DEMO_SECRET}</a>"
    ),
    "at the edge of what is shown": lambda request, sent: request.reply(
        400, {"message": "x" * 375 + sent + DEMO_SECRET}
    ),
    "at the edge of what is read": lambda request, sent: request.reply(502, "<b>" * 1_327 + DEMO_TOKEN + sent),
    "status line": lambda request, sent: request.wfile.write(f"{DEMO_TOKEN} {DEMO_SECRET} {sent}\r\n\r\n".encode()),
    "broken body": lambda request, sent: request.reply(200, f'{{"{DEMO_TOKEN}": {DEMO_SECRET}'),
    "the request itself": lambda request, sent: request.reply(200, sent),
    "signed, but not what was asked for": lambda request, sent: request.reply(
        200, signed({DEMO_TOKEN: DEMO_SECRET, "balance": sent})
    ),
}


@pytest.mark.parametrize("form", ECHOES)
def test_token_secret_and_signature_show_nowhere_even_when_the_server_echoes_them(form, caplog):
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.INFO, "httpcore")  # below that it logs status lines and headers as they came

    def answer(request, number):
        ECHOES[form](request, request.server.bodies[-1].decode())

    with raw(answer) as server, api_of(server.url, policy=TWICE) as api:
        with pytest.raises(DataApiError) as caught:
            balances(api)
        texts = [
            str(caught.value),
            repr(caught.value),
            repr(api),
            repr(api.client),
            repr(api.client.settings),
            caplog.text,
        ]
    texts.append("".join(traceback.format_exception(caught.value)))
    texts.extend(str(record.__dict__) for record in caplog.records)
    signature = json.loads(server.bodies[0])["signature"]
    for hidden in (DEMO_TOKEN, DEMO_SECRET, signature):
        for text in texts:
            assert hidden[:12] not in text
            assert hidden.replace("/", "\\/") not in text


def test_a_good_answer_logs_no_body_and_its_repr_shows_no_row(caplog):
    document = {"balance": [{"name": f"whose holder is Jane Doe, {DEMO_TOKEN}, {DEMO_SECRET}", "EUR": "1"}]}
    caplog.set_level(logging.DEBUG)
    with raw(always(200, signed(document))) as server, api_of(server.url) as api:
        answer = balances(api)
    assert answer.document["balance"] == document["balance"]
    for text in (repr(answer), str(answer), f"{answer}", str([answer]), caplog.text):
        for hidden in ("Jane Doe", DEMO_TOKEN, DEMO_SECRET, answer.document["signature"]):
            assert hidden not in text
    assert "balance/get" in repr(answer)
