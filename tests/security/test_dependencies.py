"""The dependency audit of `make check`, against a package index of the test's own and against answers it once gave."""

from __future__ import annotations

import hashlib
import json
import subprocess
import threading
import tomllib
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from fixtures.commands import ROOT
from security import dependencies

METADATA = b"Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n"
HASH = hashlib.sha256(b"the wheel of thing 1.0").hexdigest()
LOCK = f"thing==1.0 \\\n    --hash=sha256:{HASH}\n"


@contextmanager
def index(*files: dict):
    """A package index (PEP 691) that holds one project, thing."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/simple/thing/":
                body = json.dumps({"meta": {"api-version": "1.1"}, "name": "thing", "files": files}).encode()
                kind = "application/vnd.pypi.simple.v1+json"
            else:
                body, kind = METADATA, "application/octet-stream"
            self.send_response(200 if self.path.startswith(("/simple/thing/", "/files/")) else 404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/simple"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def wheel(version="1.0", digest=HASH, *, yanked=False):
    name = f"thing-{version}-py3-none-any.whl"
    return {
        "filename": name,
        "url": f"../../files/{name}",
        "hashes": {"sha256": digest},
        "requires-python": ">=3.11",
        "core-metadata": {"sha256": hashlib.sha256(METADATA).hexdigest()},
        "yanked": yanked,
    }


@pytest.fixture
def ask(tmp_path, monkeypatch):
    def ask_of(url: str):
        monkeypatch.setenv("UV_INDEX_URL", url)
        monkeypatch.setenv("UV_HTTP_RETRIES", "0")
        lock = tmp_path / "requirements.lock"
        lock.write_text(LOCK)
        return dependencies.ask_index(str(lock), dependencies.read_lock("requirements.lock", LOCK)[0])

    return ask_of


def test_a_locked_version_that_the_index_offers_is_well(ask):
    with index(wheel(), wheel("2.0", "0" * 64)) as url:
        assert ask(url) == dependencies.Finding()


def test_a_withdrawn_version_is_refused_with_the_reason(ask):
    with index(wheel(yanked="steals cookies"), wheel("2.0", "0" * 64)) as url:
        (line,) = ask(url).wrong
    assert "`thing==1.0` is yanked" in line
    assert "steals cookies" in line


def test_a_version_that_is_gone_is_refused(ask):
    with index(wheel("2.0")) as url:
        (line,) = ask(url).wrong
    assert "no longer offers" in line
    assert "thing==1.0" in line


def test_a_hash_of_no_published_file_is_refused(ask):
    with index(wheel(digest="f" * 64)) as url:
        (line,) = ask(url).wrong
    assert line.endswith("thing==1.0 has a hash of no file in the package index")


def test_an_index_that_does_not_answer_is_told_and_is_no_failure(ask):
    finding = ask("http://127.0.0.1:9/simple")
    assert finding.wrong == ()
    assert finding.not_checked == ("withdrawn versions: the package index does not answer",)


@pytest.mark.parametrize(
    "line",
    [
        "thing==1.0",
        f"thing>=1.0 --hash=sha256:{HASH}",
        f"thing --hash=sha256:{HASH}",
        "-e ./thing",
        "https://x/thing.whl",
    ],
)
def test_a_requirement_that_is_not_one_version_with_a_hash_is_refused(line):
    pins, problems = dependencies.read_lock("requirements.lock", line + "\n")
    assert pins == []
    assert len(problems) == 1
    assert "is not one version with a hash" in problems[0]


def test_a_version_is_compared_where_its_marker_holds():
    text = "".join(
        f"thing=={version} ; python_full_version {test} '3.11' \\\n    --hash=sha256:{HASH}\n"
        for version, test in (("2.0", ">="), ("1.0", "<"))
    )
    pins, problems = dependencies.read_lock("requirements.lock", text)
    assert (len(pins), problems) == (2, [])
    assert dependencies.differences(pins, {"thing": "2.0"}) == []
    assert dependencies.differences(pins, {"thing": "1.0"})[0].startswith("thing: 2.0 is locked, 1.0 is installed")


def test_what_is_missing_or_installed_beside_the_lock_is_named():
    pins, _ = dependencies.read_lock("requirements.lock", LOCK)
    found = dependencies.differences(pins, {"other": "1.0", "ecommpay-sync": "1.0"})
    assert [line.split(",")[0] for line in found] == ["thing: 1.0 is locked", "other: installed"]


def answered(code: int, stdout: str, stderr: str = "") -> subprocess.CompletedProcess:
    return subprocess.CompletedProcess([], code, stdout, stderr)


def test_a_known_flaw_is_refused_with_its_number_and_what_mends_it():
    flaw = {"id": "PYSEC-2018-28", "fix_versions": ["2.20.0"], "aliases": [], "description": ""}
    report = {"dependencies": [{"name": "thing", "version": "1.0", "vulns": [flaw]}], "fixes": []}
    finding = dependencies.judge_advisories("requirements.lock", answered(1, json.dumps(report)))
    assert finding.wrong == ("requirements.lock: thing==1.0: PYSEC-2018-28 (mended in 2.20.0)",)
    report["dependencies"][0]["vulns"] = []
    assert dependencies.judge_advisories("requirements.lock", answered(0, json.dumps(report))) == dependencies.Finding()


def test_an_advisory_that_could_not_be_looked_up_never_counts_as_none():
    skipped = "ERROR:pip_audit._cli:thing: Dependency not found on PyPI and could not be audited: thing (1.0)\n"
    finding = dependencies.judge_advisories("requirements.lock", answered(1, "", skipped))
    assert finding.wrong == ()
    assert "could not be audited: thing (1.0)" in finding.not_checked[0]


def test_with_network_what_was_not_checked_is_a_failure(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(dependencies, "ask_index", lambda *_: dependencies.Finding())
    monkeypatch.setattr(dependencies, "ask_advisories", lambda _: dependencies.Finding(not_checked=("advisories: no",)))
    assert dependencies.main([]) == 0
    assert "NOT CHECKED: advisories: no" in capsys.readouterr().out
    assert dependencies.main(["--network"]) == 1


@pytest.mark.parametrize(
    ("lock", "groups"),
    [
        ("requirements.lock", ["build"]),
        ("requirements-dev.lock", ["build", "dev"]),
        ("requirements-k8s.lock", ["build", "k8s"]),
        ("requirements-superset.lock", ["superset"]),
    ],
)
def test_each_lock_file_has_what_pyproject_asks_for(lock, groups):
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lines = [line for group in groups for line in asked["dependency-groups"][group]]
    lines += asked["project"]["dependencies"] if "build" in groups else []  # Superset has an environment of its own
    pins, problems = dependencies.read_lock(lock, (ROOT / lock).read_text(encoding="utf-8"))
    assert problems == []
    locked = {pin.name for pin in pins}
    assert {canonicalize_name(Requirement(line).name) for line in lines} <= locked
