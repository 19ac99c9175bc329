"""Several accounts by configuration: what is accepted, what is refused and in which words, and that no secret shows."""

from __future__ import annotations

import dagster as dg
import pytest

from pipelines.alerts.conditions import DagsterFacts, FailedCheck, FailedJob
from pipelines.definitions import definitions
from pipelines.jobs import job_names
from pipelines.marts import MARTS
from pipelines.resources import data_api_from_env
from pipelines.sensors import facts_of_account
from resources.accounts import account_scopes, accounts_of
from resources.errors import ConfigError
from resources.settings import DEFAULT_BASE_URL, ProjectOwner

TOKEN = {"acme": "acme-token-made-up-of-30-chars", "globex": "globex-token-made-up-30-chars-"}
SECRET = {name: f"{name}-secret-that-opens-nothing" for name in TOKEN}
BY_NAME = {
    "ACCOUNTS": "acme,globex",
    **{f"DATA_API_TOKEN__{name.upper()}": token for name, token in TOKEN.items()},
    **{f"DATA_API_SECRET__{name.upper()}": secret for name, secret in SECRET.items()},
}
PLATFORM = "https://data.brand.example/v1"


@pytest.fixture
def by_file(tmp_path):
    """A file of two accounts: one with values in it, the other with files beside it and a domain of its own."""
    (tmp_path / "token").write_text(TOKEN["globex"] + "\n")
    (tmp_path / "secret").write_text(SECRET["globex"] + "\n")
    file = tmp_path / "accounts.toml"
    file.write_text(
        f'[accounts.acme]\ntoken = "{TOKEN["acme"]}"\nsecret = "{SECRET["acme"]}"\n'
        f'[accounts.globex]\ntoken_file = "token"\nsecret_file = "{tmp_path}/secret"\nbase_url = "{PLATFORM}"\n'
        '[projects]\n22 = "globex"\n'
    )
    return file


def refusal(read, *arguments) -> str:
    with pytest.raises(ConfigError) as caught:
        read(*arguments)
    message = str(caught.value)
    assert message.isprintable(), "one line, without control characters"
    assert message.endswith(".")
    assert caught.value.exit_code == 2
    for hidden in (*TOKEN.values(), *SECRET.values()):
        assert hidden not in message
    return message


# What is accepted


def test_without_either_there_is_one_account_of_the_plain_variables_as_ever():
    accounts = accounts_of({"DATA_API_TOKEN": TOKEN["acme"], "DATA_API_SECRET": SECRET["acme"], "SYNC_ACCOUNT": "main"})
    assert [account.name for account in accounts.each] == ["main"]
    assert not accounts.several
    settings = accounts.api_settings("main")
    assert (settings.base_url, settings.token.reveal()) == (DEFAULT_BASE_URL, TOKEN["acme"])
    assert [account.name for account in accounts_of({}).each] == ["default"]


def test_accounts_by_name_have_variables_of_their_own_and_share_the_rest(tmp_path):
    file = tmp_path / "token"
    file.write_text(TOKEN["globex"] + "\n")
    environment = BY_NAME | {
        "ACCOUNTS": "acme, globex-eu",
        "DATA_API_TOKEN__GLOBEX_EU_FILE": str(file),
        "DATA_API_SECRET__GLOBEX_EU": SECRET["globex"],
        "DATA_API_BASE_URL": PLATFORM,
        "DATA_API_BASE_URL__ACME": "https://data.acme.example/v1",
        "SYNC_LOOK_BACK_DAYS": "5",
        "SYNC_PROJECT_OWNERS": "22=globex-eu, 199=acme",
    }
    accounts = accounts_of(environment)
    acme, globex = (accounts.api_settings(name) for name in ("acme", "globex-eu"))
    assert (acme.token.reveal(), globex.token.reveal()) == (TOKEN["acme"], TOKEN["globex"])
    assert (acme.secret.reveal(), globex.secret.reveal()) == (SECRET["acme"], SECRET["globex"])
    assert (acme.base_url, globex.base_url) == ("https://data.acme.example/v1", PLATFORM)
    settings = accounts.settings("globex-eu", environment)
    assert (settings.account, settings.look_back_days) == ("globex-eu", 5)
    assert settings.project_owners == (ProjectOwner("199", "acme"), ProjectOwner("22", "globex-eu"))


def test_a_file_holds_accounts_with_values_or_files_beside_it_and_whose_projects_are(by_file):
    accounts = accounts_of({"ACCOUNTS_FILE": str(by_file), "DATA_API_BASE_URL": "https://data.other.example/v1"})
    acme, globex = (accounts.api_settings(name) for name in TOKEN)
    assert (acme.token.reveal(), globex.token.reveal()) == (TOKEN["acme"], TOKEN["globex"])
    assert (acme.secret.reveal(), globex.secret.reveal()) == (SECRET["acme"], SECRET["globex"])
    assert (acme.base_url, globex.base_url) == ("https://data.other.example/v1", PLATFORM)
    assert accounts.owners == (ProjectOwner("22", "globex"),)


@pytest.mark.parametrize("change", [lambda text: b"\xef\xbb\xbf" + text, lambda text: text.replace(b"\n", b"\r\n")])
def test_b18_a_byte_order_mark_and_the_line_ends_of_another_system_are_taken_off(by_file, change):
    for file in (by_file, by_file.parent / "token", by_file.parent / "secret"):
        file.write_bytes(change(file.read_bytes()))
    accounts = accounts_of({"ACCOUNTS_FILE": f"{by_file}\r"})
    assert [accounts.api_settings(name).token.reveal() for name in TOKEN] == list(TOKEN.values())
    assert accounts.api_settings("globex").secret.reveal() == SECRET["globex"]


def test_one_account_in_a_file_has_plain_names_and_its_own_token(by_file):
    by_file.write_text(f'[accounts.acme]\ntoken = "{TOKEN["acme"]}"\nsecret = "{SECRET["acme"]}"\n')
    accounts = accounts_of({"ACCOUNTS_FILE": str(by_file)})
    assert not accounts.several
    assert account_scopes(accounts)[0].key("operations") == ["operations"]
    assert accounts.api_settings("acme").token.reveal() == TOKEN["acme"]
    assert data_api_from_env({"ACCOUNTS_FILE": str(by_file)}).of_accounts


def test_files_that_everybody_may_read_are_named(by_file):
    for name, mode in (("accounts.toml", 0o644), ("token", 0o640), ("secret", 0o604)):
        (by_file.parent / name).chmod(mode)
    environment = {"ACCOUNTS_FILE": str(by_file)}
    assert accounts_of(environment).open_secret_files(environment) == [
        f"ACCOUNTS_FILE ({by_file}, mode 0644)",
        f"secret_file of [accounts.globex] in ACCOUNTS_FILE ({by_file}) ({by_file.parent}/secret, mode 0604)",
    ]


# What is refused


WRONG = {
    "no name": ({"ACCOUNTS": " , "}, "ACCOUNTS is ' , ': write the accounts' names"),
    "bad name": ({"ACCOUNTS": "acme,Globex"}, "ACCOUNTS: a name is 'Globex': write 1 to 63 of a–z"),
    "twice": ({"ACCOUNTS": "acme,acme"}, "ACCOUNTS names acme twice"),
    "the same variables": ({"ACCOUNTS": "a-b,a_b"}, "ACCOUNTS names a-b and a_b, which would be one in jobs"),
    "a file's variable": ({"ACCOUNTS": "acme-file,acme"}, "ACCOUNTS names acme and acme-file, whose variables"),
    "both": ({"ACCOUNTS_FILE": "/nowhere"}, "ACCOUNTS_FILE and ACCOUNTS are both set: keep one of them."),
    "a plain token too": ({"DATA_API_TOKEN": "x"}, "DATA_API_TOKEN and ACCOUNTS are both set: name that account in"),
    "a plain name too": ({"SYNC_ACCOUNT": "acme"}, "SYNC_ACCOUNT and ACCOUNTS are both set"),
    "owner unknown": ({"SYNC_PROJECT_OWNERS": "22=initech"}, "project 22 is given to 'initech', which is none of acme"),
    "owner of nothing": ({"SYNC_PROJECT_OWNERS": "x=acme"}, "SYNC_PROJECT_OWNERS holds 'x=acme': write 22=acme"),
    "two owners": ({"SYNC_PROJECT_OWNERS": "22=acme,22=globex"}, "SYNC_PROJECT_OWNERS gives 22 twice"),
}


@pytest.mark.parametrize("name", WRONG)
def test_names_that_cannot_be_are_refused(name):
    changes, message = WRONG[name]
    assert message in refusal(accounts_of, BY_NAME | changes)


ACCOUNT = '[accounts.acme]\ntoken = "t"\nsecret = "s"\n'
WRONG_FILES = {
    "no TOML": ("[accounts.acme\n", "is not TOML: look at end of document."),
    "a token in a broken line": (f"[accounts.acme]\ntoken = {TOKEN['acme']}\n", "is not TOML: look at line 2, column"),
    "no account": ('[projects]\n22 = "acme"\n', "has no account: write [accounts.NAME]"),
    "no table": ('accounts = "acme"\n', "accounts is no table: write [accounts]"),
    "an unknown table": (ACCOUNT + "[marts]\n", "marts is unknown: there are accounts, projects."),
    "an unknown key": (ACCOUNT + 'tokenfile = "x"\n', "accounts.acme.tokenfile is unknown: did you mean token_file?"),
    "no table of an account": ('accounts = { acme = "x" }\n', "accounts.acme is no table"),
    "an unknown key of the file": ("[account.acme]\n", "account is unknown: did you mean accounts?"),
    "no text": ("[accounts.acme]\ntoken = 5\n", "accounts.acme.token is no text: write it in quotes."),
    "bad name": ('[accounts."Acme Ltd"]\ntoken = "t"\n', "accounts.Acme Ltd is 'Acme Ltd': write 1 to 63 of a–z"),
    "the same jobs": ("[accounts.a-b]\n[accounts.a_b]\n", "ACCOUNTS_FILE names a-b and a_b"),
    "owner unknown": (
        ACCOUNT + '[projects]\n22 = "globex"\n',
        "project 22 is given to 'globex', which is none of acme",
    ),
    "no project": (ACCOUNT + '[projects]\nshop = "acme"\n', "holds 'shop=acme': write 22=acme,199=globex, projects by"),
}


@pytest.mark.parametrize("name", WRONG_FILES)
def test_a_file_that_cannot_be_is_refused_with_what_and_where(tmp_path, name):
    content, message = WRONG_FILES[name]
    file = tmp_path / "accounts.toml"
    file.write_text(content)
    assert message in refusal(accounts_of, {"ACCOUNTS_FILE": str(file)})


def test_a_file_that_is_not_there_and_owners_in_two_places_are_refused(by_file):
    assert refusal(accounts_of, {"ACCOUNTS_FILE": "/nowhere"}) == (
        "ACCOUNTS_FILE cannot be read: /nowhere: No such file or directory."
    )
    twice = {"ACCOUNTS_FILE": str(by_file), "SYNC_PROJECT_OWNERS": "22=acme"}
    assert "SYNC_PROJECT_OWNERS and [projects]" in refusal(accounts_of, twice)


def test_what_is_wrong_with_one_accounts_token_is_told_where_it_is_used_and_keeps_nobody_else_from_work(by_file):
    missing = {name: value for name, value in BY_NAME.items() if name != "DATA_API_SECRET__GLOBEX"}
    accounts = accounts_of(missing | {"DATA_API_TOKEN__ACME": "short"})
    assert refusal(accounts.api_settings, "globex").startswith("DATA_API_SECRET__GLOBEX is not set: it is shown once")
    assert refusal(accounts.api_settings, "acme").startswith("DATA_API_TOKEN__ACME has 5 characters; a token is 30")
    accounts = accounts_of(
        BY_NAME | {"DATA_API_TOKEN__ACME_FILE": "/x", "DATA_API_BASE_URL__GLOBEX": "http://x.example"}
    )
    assert refusal(accounts.api_settings, "acme") == (
        "DATA_API_TOKEN__ACME and DATA_API_TOKEN__ACME_FILE are both set: keep one of them."
    )
    assert refusal(accounts.api_settings, "globex").startswith("DATA_API_BASE_URL__GLOBEX is plain http to x.example")
    (by_file.parent / "token").unlink()
    accounts = accounts_of({"ACCOUNTS_FILE": str(by_file)})
    assert accounts.api_settings("acme").token.reveal() == TOKEN["acme"]
    assert refusal(accounts.api_settings, "globex") == (
        f"token_file of [accounts.globex] in ACCOUNTS_FILE ({by_file}) cannot be read: {by_file.parent}/****: "
        "No such file or directory."
    )


def test_one_token_for_two_accounts_is_refused_for_both():
    accounts = accounts_of(BY_NAME | {"DATA_API_TOKEN__GLOBEX": TOKEN["acme"]})
    for name in TOKEN:
        assert "DATA_API_TOKEN__ACME" in refusal(accounts.api_settings, name)
        assert "are the same token: its operations would be loaded twice" in refusal(accounts.api_settings, name)


def test_an_unknown_account_is_refused_with_the_known_ones():
    assert refusal(accounts_of(BY_NAME).named, "initech") == (
        "there is no account 'initech': acme, globex are configured."
    )
    assert refusal(accounts_of({}).named, "acme") == "there is no account 'acme': default is configured."


@pytest.mark.parametrize("show", [repr, str])
def test_no_account_shows_its_secrets(by_file, show):
    for environment in (BY_NAME, {"ACCOUNTS_FILE": str(by_file)}):
        shown = show(accounts_of(environment)) + show(data_api_from_env(environment))
        for hidden in (*TOKEN.values(), *SECRET.values()):
            assert hidden not in shown


# What Dagster loads


@pytest.fixture(scope="module")
def two():
    return definitions(accounts_of(BY_NAME | {"ACCOUNTS": "acme,globex-eu"}))


ASSETS = ("data_api", "operations", "balances", "fraud", "spot_check", "raw_pages", "reconciliation", "report")


def test_two_accounts_have_assets_jobs_schedules_of_their_own_and_one_sensor(two):
    dg.Definitions.validate_loadable(two)
    specs = {spec.key.to_user_string(): spec for spec in two.resolve_all_asset_specs()}
    names = [*ASSETS, *(f"bi/{name}" for name in MARTS)]
    assert specs.keys() == {f"{account}/{name}" for account in ("acme", "globex-eu") for name in names}
    assert specs["globex-eu/report"].group_name == "finance_globex_eu"
    depended = {dep.asset_key.to_user_string() for spec in specs.values() for dep in spec.deps}
    assert depended <= specs.keys(), "no asset hangs on one of nobody"
    for key, spec in specs.items():
        account = key.partition("/")[0]
        assert {dep.asset_key.path[0] for dep in spec.deps} <= {account}, "nor on another account's"
    repository = two.get_repository_def()
    jobs = {job.name for job in repository.get_all_jobs() if not job.name.startswith("__")}
    base = (
        *("load_operations", "load_fraud", "nightly", "snapshot_balances", "backfill_operations", "check_operations"),
        *("spot_check_payments", "build_marts", "reconcile"),
    )
    assert jobs == {f"{name}_{account}" for name in base for account in ("acme", "globex_eu")}
    schedules = {(schedule.name, schedule.job_name) for schedule in repository.schedule_defs}
    assert schedules == {
        (f"{name}_{account}", f"{job}_{account}")
        for name, job in (("nightly", "nightly"), ("balances", "snapshot_balances"))
        for account in ("acme", "globex_eu")
    }
    assert [sensor.name for sensor in repository.sensor_defs] == ["alerts"]


def test_a_night_of_an_account_is_about_its_own_assets_alone(two):
    keys = {key.to_user_string() for key in two.resolve_job_def("nightly_acme").asset_layer.executable_asset_keys}
    assert keys == {
        f"acme/{name}" for name in (*ASSETS, *(f"bi/{name}" for name in MARTS)) if name not in {"balances", "data_api"}
    }


def test_every_check_is_there_for_each_account_and_shared_projects_only_where_there_are_several(two):
    checks = two.get_repository_def().asset_graph.asset_check_keys
    found = sorted((key.asset_key.to_user_string(), key.name) for key in checks)
    of = {
        account: [(name.removeprefix(f"{account}/"), check) for name, check in found if name.startswith(f"{account}/")]
        for account in ("acme", "globex-eu")
    }
    assert of["acme"] == of["globex-eu"]
    one = definitions(accounts_of({})).get_repository_def().asset_graph.asset_check_keys
    plain = sorted((key.asset_key.to_user_string(), key.name) for key in one)
    assert sorted(of["acme"]) == sorted([*plain, ("bi/daily_overview", "projects_seen_once")])


def test_the_jobs_that_alerts_are_told_of_are_those_there_are(two):
    scopes = account_scopes(accounts_of(BY_NAME | {"ACCOUNTS": "acme,globex-eu"}))
    jobs = {job.name for job in two.get_repository_def().get_all_jobs() if not job.name.startswith("__")}
    assert job_names(scopes[0]) | job_names(scopes[1]) == jobs


def test_what_dagster_knows_of_an_account_is_told_under_its_name_and_a_job_of_nobody_with_the_first():
    scopes = account_scopes(accounts_of(BY_NAME))
    facts = DagsterFacts(
        failed_jobs=(FailedJob("nightly_globex", "1"), FailedJob("__ASSET_JOB", "2")),
        failed_checks=(FailedCheck("acme/operations", "no_rejects", ""), FailedCheck("globex/fraud", "no_rejects", "")),
    )
    acme, globex = (facts_of_account(facts, scope, scopes) for scope in scopes)
    assert ([job.job for job in acme.failed_jobs], [check.asset for check in acme.failed_checks]) == (
        ["__ASSET_JOB"],
        ["acme/operations"],
    )
    assert ([job.job for job in globex.failed_jobs], [check.asset for check in globex.failed_checks]) == (
        ["nightly_globex"],
        ["globex/fraud"],
    )
    (only,) = account_scopes(accounts_of({}))
    assert facts_of_account(facts, only, [only]) == facts


def test_nothing_of_several_accounts_is_a_secret_in_dagsters_configuration(by_file):
    for environment in (BY_NAME, {"ACCOUNTS_FILE": str(by_file)}):
        resource = data_api_from_env(environment)
        assert resource.model_dump(exclude_none=True) == {
            "of_accounts": True,
            "base_url": DEFAULT_BASE_URL,
            "retry_seconds": 900.0,
        }
