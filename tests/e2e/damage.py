"""Rows of the catalogue that somebody has damaged, past the checks that refuse it."""

import re

import pytest

TABLES = ("redshift.checkpoint", "redshift.scan_ledger")
CHECKS = ("SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint "
          "WHERE contype = 'c' AND conrelid = ANY (%s::regclass[])")


@pytest.fixture
def unchecked(db):
    """The catalogue without its checks, as long as the test runs."""
    checks = db.rows(CHECKS, list(TABLES))
    for table, name, _ in checks:
        db.run(f'ALTER TABLE {table} DROP CONSTRAINT "{name}"')
    yield db
    for table, name, definition in checks:
        db.run(f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition} NOT VALID')


def damage(db, column, text, part, name="v", table="checkpoint"):
    changed = db.run(
        f"UPDATE redshift.{table} SET {column} = %s WHERE partition_id = %s "
        "AND mv_id = (SELECT mv_id FROM redshift.materialized_view WHERE mv = %s::regclass)", text, part, name)
    assert changed.rowcount > 0


def statement(error):
    """What mends it, by the DETAIL of the error."""
    return re.search(r"CALL redshift\.set_position\(.*\)", error.diag.message_detail)[0]


def is_told(stage, text):
    """Everything that shows a view shows why its positions cannot be read, and fails itself for no view."""
    lag = stage.db.rows("SELECT mv_name, partition_id, error FROM redshift.stream_lag WHERE schema_name = %s AND mv_name = 'v'", stage.work)
    assert len(lag) == 1 and lag[0][1] is None and text in lag[0][2] and "set_position" in lag[0][2]
    assert text in stage.db.value("SELECT redshift.status('v')")
    stage.db.rows("SELECT * FROM sys_stream_scan_states")
    assert "lag_known" in stage.db.value("SELECT redshift.metrics()")
    notes = stage.db.column("SELECT note FROM redshift.verify('v') WHERE NOT ok")
    assert len(notes) == 1 and "RS005" in notes[0]
