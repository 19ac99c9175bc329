"""Refusals in the platform's own words, with what to check; and no secret in any of it."""

from __future__ import annotations

import json
import logging
import traceback

import pytest

from fixtures.client import (
    EMPTY,
    NOW,
    ROWS,
    TWICE,
    always,
    balances,
    failure,
    operations,
    raw,
    signed,
)
from fixtures.commands import client_of
from resources.data_api.errors import (
    BadRequest,
    DataApiError,
    RateLimited,
    Redirected,
    Retryable,
    ServerError,
    Unauthorized,
)
from resources.errors import ConfigError
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
        (403, Unauthorized, 2, "check DATA_API_TOKEN and DATA_API_SECRET"),
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
    with raw(always(status, body)) as server, client_of(server.url, policy=TWICE) as client:
        message = failure(kind, client)
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
        (DEMO_TOKEN, DEMO_SECRET, {"project_ids": [22]}, 403, Unauthorized, "You have no access to project_id = 22"),
        (DEMO_TOKEN, DEMO_SECRET, {"project_ids": [22]}, 400, BadRequest, "You have no access to project_id = 22"),
        (DEMO_TOKEN, DEMO_SECRET, {"fields": ["nonsense"]}, 400, BadRequest, "Unknown field: nonsense"),
        (DEMO_TOKEN, DEMO_SECRET, {"limit": 1001}, 400, BadRequest, "limit must be an integer from 1 to 1000"),
    ]
    for token, secret, options, status, kind, said in refused:
        behaviour = Behaviour(no_access_status=status)
        with (
            SandboxServer(world, accounts=[Account(projects=[198])], behaviour=behaviour) as sandbox,
            client_of(sandbox.url, token, secret) as client,
        ):
            message = failure(kind, client, lambda client, options=options: operations(client, **options))
            assert message.startswith(f"the platform answered {status} to operations/get: {said}")
            assert (sandbox.request_count, client.requests_sent) == (1, 1)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_the_signed_body_goes_nowhere_else(status):
    with raw(always(200, EMPTY)) as elsewhere:
        location = f"{elsewhere.url}/balance/get"
        with raw(always(status, "", Location=location)) as server, client_of(server.url) as client:
            failure(Redirected, client)
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
    with raw(always(401, body)) as server, client_of(server.url) as client:
        message = failure(Unauthorized, client)
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

    with raw(answer) as server, client_of(server.url, policy=TWICE) as client:
        with pytest.raises(DataApiError) as caught:
            balances(client)
        texts = [str(caught.value), repr(caught.value), repr(client), repr(client.settings), caplog.text]
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
    with raw(always(200, signed(document))) as server, client_of(server.url) as client:
        answer = balances(client)
    assert answer.document["balance"] == document["balance"]
    for text in (repr(answer), str(answer), f"{answer}", str([answer]), caplog.text):
        for hidden in ("Jane Doe", DEMO_TOKEN, DEMO_SECRET, answer.document["signature"]):
            assert hidden not in text
    assert "balance/get" in repr(answer)
