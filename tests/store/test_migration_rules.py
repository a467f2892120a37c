"""Migrations of a release live with the code of the release before: what they really send to PostgreSQL is read.

docs/operations.md says why. A migration that takes something away is marked, and may be nothing else:

    contract = True
    unread_since = "0.2.0"  # the release from which no code reads it
    oldest_code = "0007"    # the newest revision that that release knows: older code must not run any more
"""

import re
import types
from collections.abc import Sequence
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, event, text

import store.migrations
from localstack.postgres import Postgres
from store.database import plain_url
from store.migrations import _config, revisions

BOUND = [revision for revision in revisions() if revision > "0002"]
"""Those of before were never released."""

SMALL = {"sellers", "locations", "shipping_rates", "api_keys", "attempts", "daily_counts_state", "alembic_version"}
"""Tables of tens or hundreds of rows: what locks one for the time of reading it whole is not noticed."""

_TABLE = r"(?:ONLY )?(?:IF EXISTS )?\"?(?P<table>\w+)\"?"
_TAKES_AWAY = (
    (rf"ALTER TABLE {_TABLE} DROP (?:COLUMN )?(?!CONSTRAINT|DEFAULT)", "drops a column"),
    (rf"ALTER TABLE {_TABLE} RENAME", "renames"),
    (rf"ALTER TABLE {_TABLE} ALTER (?:COLUMN )?\w+ (?:SET DATA )?TYPE", "changes a type"),
    (rf"DROP TABLE {_TABLE}", "drops a table"),
    (r"DROP (?:VIEW|FUNCTION|TRIGGER|TYPE)", "drops what code may use"),
)
_REFUSES_ROWS = (
    (rf"ALTER TABLE {_TABLE} ADD COLUMN \w+ (?!.*DEFAULT).*NOT NULL", "adds a column that the code before cannot fill"),
    (rf"ALTER TABLE {_TABLE} ALTER (?:COLUMN )?\w+ SET NOT NULL", "wants values that the code before leaves out"),
    (rf"ALTER TABLE {_TABLE} ALTER (?:COLUMN )?\w+ DROP DEFAULT", "drops a default that the code before relies on"),
)
_LOCKS = (
    (rf"CREATE (?:UNIQUE )?INDEX (?!CONCURRENTLY).* ON {_TABLE}", "makes an index and stops all writing meanwhile"),
    (r"DROP INDEX (?!CONCURRENTLY)", "drops an index and waits for everybody"),
    (rf"ALTER TABLE {_TABLE} ADD CONSTRAINT (?!.*(?:NOT VALID|USING INDEX))", "reads the whole table under a lock"),
    (
        rf"ALTER TABLE {_TABLE} ADD COLUMN .*(?:GENERATED|SERIAL|gen_random_uuid|clock_timestamp)",
        "writes the table anew",
    ),
)


def faults(statements: Sequence[str], marks: types.ModuleType | types.SimpleNamespace) -> list[str]:
    """What is wrong with a migration, by the statements that it sends."""
    contract = getattr(marks, "contract", False)
    found = []
    made = set()
    taken = False
    for statement in (" ".join(one.split()) for one in statements):
        if new := re.match(r"CREATE TABLE (?:IF NOT EXISTS )?\"?(\w+)", statement):
            made.add(new[1])
        for rules, kind in ((_TAKES_AWAY, "takes"), (_REFUSES_ROWS, "refuses"), (_LOCKS, "locks")):
            for pattern, what in rules:
                hit = re.match(pattern, statement, flags=re.IGNORECASE)
                if hit is None:
                    continue
                table = hit.groupdict().get("table")
                if table in made or (kind == "locks" and table in SMALL):
                    continue
                taken = taken or kind == "takes"
                if kind == "locks" or not contract:
                    found.append(f"{what}: {statement}")
    if contract:
        if not taken and not found:
            found.append("is marked as contracting and takes nothing away")
        for name in ("unread_since", "oldest_code"):
            if not isinstance(getattr(marks, name, None), str):
                found.append(f"is marked as contracting without {name}")
    elif hasattr(marks, "oldest_code"):
        found.append("has oldest_code and is not marked as contracting")
    return found


@pytest.fixture(scope="module")
def sent(postgres: Postgres) -> dict[str, list[str]]:
    """Revision to the statements of its upgrade, each run on a real database."""
    seen: dict[str, list[str]] = {}
    engine = create_engine(plain_url(postgres.create_database("rules")))
    with engine.connect() as connection:
        for revision in revisions():
            statements = seen[revision] = []

            def note(*about: object, statements: list[str] = statements) -> None:
                statements.append(str(about[2]))

            event.listen(engine, "before_cursor_execute", note)
            command.upgrade(_config(connection), revision)
            connection.commit()
            event.remove(engine, "before_cursor_execute", note)
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == revisions()[-1]
    engine.dispose()
    return seen


def test_migrations_live_with_the_code_of_the_release_before(sent: dict[str, list[str]]) -> None:
    script = ScriptDirectory(str(Path(store.migrations.__file__).parent))
    found = {}
    for revision in BOUND:
        marks = script.get_revision(revision).module
        found[revision] = faults(sent[revision], marks)
        if getattr(marks, "contract", False) and marks.oldest_code not in revisions()[: revisions().index(revision)]:
            found[revision].append(f"oldest_code: {marks.oldest_code} is no earlier revision")
    assert {revision: wrong for revision, wrong in found.items() if wrong} == {}


def test_the_rules_see_what_was_done_before_there_were_any(sent: dict[str, list[str]]) -> None:
    """0002 was never released: it drops columns, and makes indexes under a lock."""
    found = faults(sent["0002"], types.SimpleNamespace())
    assert len(found) > 20
    assert any(one.startswith("drops a column: ALTER TABLE timeline DROP COLUMN version") for one in found)
    assert any(one.startswith("makes an index and stops all writing") for one in found)


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE orders DROP COLUMN page",
        "ALTER TABLE orders RENAME COLUMN page TO link",
        "ALTER TABLE orders RENAME TO purchases",
        "ALTER TABLE orders ALTER COLUMN total TYPE NUMERIC",
        "DROP TABLE api_keys",
        "ALTER TABLE orders ADD COLUMN note TEXT NOT NULL",
        "ALTER TABLE orders ALTER COLUMN page SET NOT NULL",
        "ALTER TABLE outbox ALTER COLUMN attempts DROP DEFAULT",
        "CREATE INDEX ix_orders_page ON orders (page)",
        "CREATE UNIQUE INDEX ix_orders_page ON orders (page)",
        "DROP INDEX ix_orders_page",
        "ALTER TABLE orders ADD CONSTRAINT some CHECK (total > 0)",
        "ALTER TABLE orders ADD COLUMN number BIGINT GENERATED ALWAYS AS IDENTITY",
    ],
)
def test_what_would_hurt_is_refused(statement: str) -> None:
    assert len(faults([statement], types.SimpleNamespace())) == 1


@pytest.mark.parametrize(
    "statements",
    [
        ["ALTER TABLE orders ADD COLUMN note TEXT"],
        ["ALTER TABLE orders ADD COLUMN tries INTEGER DEFAULT '0' NOT NULL"],
        ["CREATE TABLE notes (id BIGINT NOT NULL)", "CREATE INDEX ix_notes_id ON notes (id)"],
        ["CREATE INDEX CONCURRENTLY ix_orders_page ON orders (page)"],
        ["CREATE INDEX ix_sellers_name ON sellers (name)"],
        ["ALTER TABLE orders ADD CONSTRAINT some CHECK (total > 0) NOT VALID"],
        ["ALTER TABLE orders VALIDATE CONSTRAINT some"],
        ["ALTER TABLE orders ALTER COLUMN page DROP NOT NULL"],
    ],
)
def test_what_does_no_harm_is_let_through(statements: list[str]) -> None:
    assert faults(statements, types.SimpleNamespace()) == []


def test_what_is_taken_away_must_be_marked_with_the_release_that_did_without() -> None:
    drop = ["ALTER TABLE orders DROP COLUMN page"]
    marks = types.SimpleNamespace(contract=True, unread_since="0.2.0", oldest_code="0007")
    assert faults(drop, marks) == []
    assert len(faults(drop, types.SimpleNamespace(contract=True))) == 2
    assert len(faults([], marks)) == 1
