"""The embedded PostgreSQL: it comes up where one is on its way already, and says in one line why it cannot."""

import threading

import psycopg
import pytest

from resources.errors import WarehouseUnavailable
from resources.warehouse.embedded import embedded_url


def test_threads_that_ask_at_once_share_one_server(tmp_path):
    urls: list[str] = []
    threads = [threading.Thread(target=lambda: urls.append(embedded_url(tmp_path))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (url,) = set(urls)
    assert len(urls) == 3
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == ("ecommpay",)


def test_a_folder_of_another_major_version_is_told_in_one_line_with_where_to_look(tmp_path):
    folder = tmp_path / "postgres"
    folder.mkdir()
    (folder / "PG_VERSION").write_text("9.6\n")
    with pytest.raises(WarehouseUnavailable) as error:
        embedded_url(tmp_path)
    assert f"the embedded PostgreSQL in {folder} could not be started" in str(error.value)
    assert f"see {folder / 'log'}, or set DATABASE_URL" in str(error.value)
    assert "\n" not in str(error.value)
