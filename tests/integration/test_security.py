"""What docs/security.md says of this machine: no network for the embedded PostgreSQL, secrets not open to everybody."""

from __future__ import annotations

import psycopg

from resources.config_file import open_secret_files


def test_the_embedded_postgresql_listens_on_no_network(own_server):
    with psycopg.connect(own_server.url) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
        (port,) = connection.execute("SHOW port").fetchone()
    assert f"host={own_server.folder}" in own_server.url or "host=/" in own_server.url
    try:
        psycopg.connect(f"postgresql://postgres@127.0.0.1:{port}/postgres", connect_timeout=3).close()
    except psycopg.OperationalError:
        return
    with psycopg.connect(f"postgresql://postgres@127.0.0.1:{port}/postgres") as other:
        (folder,) = other.execute("SHOW data_directory").fetchone()
    assert folder != str(own_server.folder), "another server of this machine"


def test_a_secrets_file_that_everybody_may_read_is_named_with_its_mode(tmp_path):
    file = tmp_path / "secret"
    file.write_text("s")
    file.chmod(0o644)
    assert open_secret_files({"DATA_API_SECRET_FILE": str(file)}) == [f"DATA_API_SECRET_FILE ({file}, mode 0644)"]
    for mode in (0o600, 0o640, 0o400):
        file.chmod(mode)
        assert open_secret_files({"DATA_API_SECRET_FILE": str(file)}) == []
    assert open_secret_files({"DATA_API_SECRET_FILE": str(tmp_path / "none")}) == []
    assert open_secret_files({}) == []
