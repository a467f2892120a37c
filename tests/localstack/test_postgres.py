"""The embedded PostgreSQL, on the real thing."""

import os
import signal
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from localstack.errors import PortTaken
from localstack.postgres import Postgres


@pytest.fixture
def postgres(state_dir: Path) -> Iterator[Postgres]:
    server = Postgres(state_dir / "postgres", durable=False)
    server.start()
    yield server
    server.remove()


def query(dsn: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn.replace("+psycopg", ""), autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []


def test_what_was_committed_outlives_a_stop_and_a_kill_on_the_same_port(postgres: Postgres) -> None:
    dsn = postgres.dsn
    query(dsn, "CREATE TABLE facts (id int)")
    for number, end in enumerate((postgres.stop, postgres.kill)):
        query(dsn, f"INSERT INTO facts VALUES ({number})")
        end()
        assert not postgres.running
        with pytest.raises(psycopg.OperationalError):
            query(dsn, "SELECT 1")
        postgres.start()
        assert postgres.dsn == dsn
    assert query(dsn, "SELECT id FROM facts ORDER BY id") == [(0,), (1,)]


def test_it_starts_again_after_a_kill_while_its_backends_are_still_busy(postgres: Postgres) -> None:
    busy = psycopg.connect(postgres.dsn.replace("+psycopg", ""))
    busy.execute("SELECT 1")
    postgres.kill()
    postgres.start()
    busy.close()
    assert query(postgres.dsn, "SELECT 1") == [(1,)]


def test_a_second_start_takes_the_data_over_from_a_server_whose_starter_is_gone(postgres: Postgres) -> None:
    query(postgres.dsn, "CREATE TABLE facts (id int)")
    heir = Postgres(postgres.state_dir, durable=False)
    heir.start()
    try:
        assert not postgres.running
        assert query(heir.dsn, "SELECT * FROM facts") == []
    finally:
        heir.stop()


def test_a_lock_file_that_names_another_program_does_not_keep_it_from_starting(postgres: Postgres) -> None:
    postgres.stop()
    lock = postgres.data_dir / "postmaster.pid"
    lock.write_text(f"{os.getppid()}\n{postgres.data_dir}\n0\n{postgres.port}\n\n127.0.0.1\n0 0\nready\n")
    postgres.start()
    assert query(postgres.dsn, "SELECT 1") == [(1,)]


def test_an_initdb_cut_short_is_not_taken_for_a_cluster(state_dir: Path) -> None:
    unfinished = state_dir / "postgres" / "data.unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    server = Postgres(state_dir / "postgres", durable=False)
    server.start()
    server.remove()


def test_databases_are_made_and_copied_and_dropped_while_in_use(postgres: Postgres) -> None:
    first = postgres.create_database("first")
    query(first, "CREATE TABLE facts (id int)")
    copy = postgres.create_database("copy", template="first")
    assert query(copy, "SELECT * FROM facts") == []
    with psycopg.connect(copy.replace("+psycopg", "")):
        postgres.drop_database("copy")
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        query(copy, "SELECT 1")


def test_it_wants_a_password_and_keeps_it_to_its_owner(postgres: Postgres) -> None:
    password = postgres.state_dir / "password"
    assert stat.S_IMODE(password.stat().st_mode) == 0o600
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        query(postgres.dsn.replace(password.read_text(), "guess"), "SELECT 1")


def test_it_listens_on_this_machine_alone(postgres: Postgres) -> None:
    assert query(postgres.dsn, "SHOW listen_addresses") == [("127.0.0.1",)]
    assert query(postgres.dsn, "SHOW unix_socket_directories") == [("",)]


def test_by_default_it_waits_for_the_disk(state_dir: Path) -> None:
    server = Postgres(state_dir / "postgres")
    server.start()
    try:
        assert query(server.dsn, "SHOW fsync") == [("on",)]
        assert query(server.dsn, "SHOW synchronous_commit") == [("on",)]
    finally:
        server.remove()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's PostgreSQL runs as somebody else")
def test_roots_data_goes_where_its_user_can_reach_it_and_is_removed_there(state_dir: Path) -> None:
    private = state_dir / "private"
    private.mkdir(mode=0o700)
    server = Postgres(private / "postgres", durable=False)
    server.start()
    place = server.data_dir
    try:
        assert (private / "postgres").is_symlink()
        assert private not in place.parents
        server.kill()
        again = Postgres(private / "postgres", durable=False)
        again.start()
        assert again.data_dir == place
        again.stop()
    finally:
        server.remove()
    assert not place.exists()
    assert list(private.iterdir()) == []


def test_a_taken_port_is_an_error_that_names_the_setting(state_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        server = Postgres(state_dir / "postgres", port=other.getsockname()[1], durable=False)
        with pytest.raises(PortTaken, match="set OPENORDERS_POSTGRES_PORT to a free port"):
            server.start()
    server.remove()


def test_the_orphan_signal_is_the_fast_shutdown(postgres: Postgres) -> None:
    # What the kernel sends when its starter is killed; `test_stack` shows that it arrives.
    assert postgres.process is not None
    os.kill(postgres.process.pid, signal.SIGINT)
    assert postgres.process.ends_within(30)
    assert not (postgres.data_dir / "postmaster.pid").exists()
