"""Date functions beside arithmetic in numeric, which has no end: over the whole range of timestamps and counts a function gives the right number or an
error of class 22, never a wrong one. DATES=n compares n values of each function."""

import os

import pytest

VALUES = int(os.environ.get("DATES", "1500"))
pytestmark = pytest.mark.embedded_only("functions only")

DAY = 86_400_000_000
LENGTHS = {"us": 1, "ms": 1000, "s": 1_000_000, "minute": 60_000_000, "hour": 3_600_000_000, "day": DAY}
MONTHS = {"month": 1, "quarter": 3, "year": 12, "decade": 120, "century": 1200, "millennium": 12_000}
# Microseconds since 1970 of the first timestamp that there is and the first that there is not.
FIRST, END = -210_866_803_200_000_000, 9_224_318_016_000_000_000
OUT_OF_RANGE = ("22008", "22003")


@pytest.fixture(scope="module")
def dates(db):
    """Tables of timestamps (with what they are in numbers) and of counts, most of them where it hurts."""
    db.run("SELECT setseed(0.42)")
    # Division of numeric rounds to some digits.
    db.run("CREATE FUNCTION floor_of(a numeric, b numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$ SELECT div(a - mod(mod(a, b) + b, b), b) $$")
    db.run("""CREATE FUNCTION to_ts(us numeric) RETURNS timestamp LANGUAGE sql IMMUTABLE AS $$
        SELECT (date '1970-01-01' + floor_of(us, 86400000000)::int)::timestamp + (us - floor_of(us, 86400000000) * 86400000000)::float8 * interval '1 microsecond' $$""")
    # Not extract(epoch), which divides.
    db.run("""CREATE FUNCTION us(t timestamp) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
        SELECT (t::date - date '1970-01-01')::numeric * 86400000000 + extract(epoch FROM t::time) * 1000000 $$""")
    # Year 0 is 1 BC.
    db.run("""CREATE FUNCTION months(t timestamp) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
        SELECT (extract(year FROM t) + CASE WHEN extract(year FROM t) < 0 THEN 1 ELSE 0 END) * 12 + extract(month FROM t) - 1 $$""")
    db.run("""CREATE FUNCTION attempt(query text, a timestamp, b timestamp, n numeric) RETURNS text LANGUAGE plpgsql AS $$
        DECLARE result text; BEGIN EXECUTE query USING a, b, n INTO result; RETURN result; EXCEPTION WHEN data_exception THEN RETURN 'error ' || sqlstate; END $$""")
    db.run(f"""CREATE TABLE moments AS SELECT row_number() OVER () AS i, us, to_ts(us) AS t FROM (
        SELECT us FROM unnest(ARRAY[{FIRST}, {FIRST + 1}, {END - 1}, {END - DAY}, {FIRST + DAY}, 0, -1, 951782400000000, 951868799999999]::numeric[]) AS us
        UNION ALL SELECT floor({FIRST} + random()::numeric * ({END} - {FIRST}::numeric)) FROM generate_series(1, {VALUES} / 2)
        UNION ALL SELECT floor((random() - 0.5)::numeric * (10 ^ (6 + i % 11))::numeric) FROM generate_series(1, {VALUES} / 2) AS i) AS u""")
    db.run(f"""CREATE TABLE counts AS SELECT row_number() OVER () AS i, n FROM (
        SELECT n::int8 FROM unnest(ARRAY[0, 1, -1, 9223372036854775807, -9223372036854775808, 2147483647, -2147483648, 3600000, -3600000]::int8[]) AS n
        UNION ALL SELECT ((random() - 0.5) * 2 * 10 ^ (i % 19))::int8 FROM generate_series(1, {VALUES}) AS i) AS c""")
    assert db.value("SELECT count(*) FROM moments WHERE us(t) <> us") == 0, "the tables are right"
    return db


def compared(db, query, expected, pairs="moments AS a JOIN moments AS b ON b.i = (a.i * 7919) % (SELECT count(*) FROM moments) + 1", b="b.t", n="NULL::numeric"):
    """(query's results, those that are neither `expected` nor an error that `expected` allows by being NULL)"""
    return db.rows(f"SELECT a.t::text, result, expected FROM (SELECT a.t, attempt($q${query}$q$, a.t, {b}, {n}) AS result, ({expected})::text AS expected FROM {pairs}) AS a "
                   "WHERE result IS DISTINCT FROM expected AND NOT (expected IS NULL AND result IN ('error 22008', 'error 22003')) LIMIT 5")


COUNTED = "moments AS a JOIN counts AS c ON c.i = (a.i * 7919) % (SELECT count(*) FROM counts) + 1"
IN_64_BITS = "CASE WHEN {0} BETWEEN -9223372036854775808 AND 9223372036854775807 THEN {0} END"


@pytest.mark.parametrize("part", LENGTHS | MONTHS | {"week": 0, "epoch": 0})
def test_datediff(dates, part):
    if part in LENGTHS:
        boundary = f"floor_of(us({{0}}), {LENGTHS[part]})"
    elif part == "week":
        # 1970-01-05 was a Monday.
        boundary = f"floor_of(us({{0}}) - 4 * {DAY}, 7 * {DAY})"
    elif part == "epoch":
        boundary = "floor_of(us({0}), 1000000)"
    elif part in ("century", "millennium"):
        boundary = f"floor_of(floor_of(months({{0}}), 12) - 1, {MONTHS[part] // 12})"
    else:
        boundary = f"floor_of(months({{0}}), {MONTHS[part]})"
    difference = f"({boundary.format('b.t')} - {boundary.format('a.t')})"
    assert not compared(dates, f"SELECT datediff('{part}', $1, $2)", IN_64_BITS.format(difference))


@pytest.mark.parametrize("part", LENGTHS | {"week": 7 * DAY})
def test_dateadd_of_what_has_one_length(dates, part):
    sum_ = f"(us(a.t) + c.n::numeric * {(LENGTHS | {'week': 7 * DAY})[part]})"
    expected = f"CASE WHEN {sum_} >= {FIRST} AND {sum_} < {END} THEN {sum_} END"
    assert not compared(dates, f"SELECT us(dateadd('{part}', $3::int8, $1))", expected, COUNTED, "NULL::timestamp", "c.n")


@pytest.mark.parametrize(("function", "months"), [(f"dateadd('{part}', $3::int8, $1)", months) for part, months in MONTHS.items()] + [("add_months($1, $3::int4)", 1)])
def test_adding_months(dates, function, months):
    """The month that is reached; from a Feb 29 years lead to Mar 1."""
    of_leap_day = "CASE WHEN extract(day FROM a.t) = 29 AND extract(month FROM a.t) = 2 THEN 1 ELSE 0 END" if months >= 12 else "0"
    rows = dates.rows(f"""SELECT t::text, n, result, expected FROM (
            SELECT a.t, c.n, attempt($q$SELECT months({function})$q$, a.t, NULL, c.n) AS result, months(a.t) + c.n::numeric * {months} AS expected, {of_leap_day} AS more FROM {COUNTED}) AS a
        WHERE CASE WHEN result LIKE 'error%' THEN result NOT IN ('error 22008', 'error 22003') OR expected BETWEEN months(to_ts({FIRST})) + 1 AND months(to_ts({END - DAY})) - 1 AND n BETWEEN -2147483648 AND 2147483647
                   ELSE result::numeric NOT IN (expected, expected + more) END LIMIT 5""")
    assert not rows


def test_last_day_next_day_and_trunc(dates):
    assert dates.value("SELECT count(*) FROM moments WHERE months(last_day(t)) <> months(t) OR extract(day FROM last_day(t) + 1) <> 1") == 0
    assert dates.value("SELECT count(*) FROM moments WHERE next_day(t, 'Tue') - t::date NOT BETWEEN 1 AND 7 OR extract(dow FROM next_day(t, 'Tue')) <> 2") == 0
    assert dates.value(f"SELECT count(*) FROM moments WHERE trunc(t) - date '1970-01-01' <> floor_of(us, {DAY})") == 0


def test_months_between(dates):
    """A whole number where the days are equal or both the last, else with days of a month of 31."""
    assert dates.rows(f"""SELECT a.t, b.t, m, expected FROM (SELECT a.t AS x, b.t AS y, months_between(a.t, b.t) AS m,
            CASE WHEN extract(day FROM a.t) = extract(day FROM b.t) OR extract(month FROM a.t::date + 1) <> extract(month FROM a.t) AND extract(month FROM b.t::date + 1) <> extract(month FROM b.t)
              THEN months(a.t) - months(b.t)
              ELSE months(a.t) - months(b.t) + (extract(day FROM a.t) - extract(day FROM b.t) + (us(a.t) - floor_of(us(a.t), {DAY}) * {DAY} - us(b.t) + floor_of(us(b.t), {DAY}) * {DAY}) / {DAY}) / 31 END AS expected
            FROM moments AS a JOIN moments AS b ON b.i = (a.i * 7919) % (SELECT count(*) FROM moments) + 1) AS p (a, b, m, expected), LATERAL (SELECT a AS t) AS a, LATERAL (SELECT b AS t) AS b
        WHERE abs(m - expected::float8) > 1e-6 LIMIT 5""") == []


@pytest.mark.parametrize("function", ["extract", "date_part"])
def test_epoch(dates, function):
    result = f'redshift."{function}"(\'epoch\', $1)::numeric'
    expected = "div(us(a.t), 1000000)"
    if function == "extract":
        expected = f"CASE WHEN {expected} BETWEEN -2147483648 AND 2147483647 THEN {expected} END"
    else:
        result, expected = f"trunc({result} / 1000)", "trunc((us(a.t) / 1000000)::float8::numeric / 1000)"
    assert not compared(dates, f"SELECT {result}", expected, "moments AS a", "NULL::timestamp")


def test_times_of_day_begin_anew(dates):
    for part, length in LENGTHS.items():
        if length < DAY:
            wrong = dates.value(f"""SELECT count(*) FROM {COUNTED} WHERE extract(epoch FROM dateadd('{part}', c.n, a.t::time)) * 1000000
                IS DISTINCT FROM mod(mod(extract(epoch FROM a.t::time) * 1000000 + c.n::numeric * {length}, {DAY}) + {DAY}, {DAY})""")
            assert wrong == 0, part
            assert dates.value(f"""SELECT count(*) FROM moments AS a JOIN moments AS b ON b.i = a.i % 100 + 1 WHERE datediff('{part}', a.t::time, b.t::time)
                <> floor_of(extract(epoch FROM b.t::time) * 1000000, {length}) - floor_of(extract(epoch FROM a.t::time) * 1000000, {length})""") == 0, part


@pytest.mark.parametrize("infinity", ["infinity", "-infinity"])
def test_infinity_is_kept_or_refused(dates, infinity):
    at = f"timestamp '{infinity}'"
    for kept in (f"dateadd('day', 1, {at})", f"dateadd('year', -9223372036854775808, {at})", f"add_months({at}, 1)"):
        assert dates.value(f"SELECT {kept} = {at}"), kept
    for refused in (f"datediff('us', {at}, now()::timestamp)", f"datediff('year', {at}, {at})", f"months_between({at}, {at})", f"last_day({at})", f"next_day({at}, 'Mon')"):
        assert dates.value(f"SELECT attempt('SELECT {refused.replace(chr(39), chr(39) * 2)}', NULL, NULL, NULL)") in [f"error {code}" for code in OUT_OF_RANGE], refused


def test_the_widest_range(dates):
    assert dates.value("SELECT attempt($$SELECT datediff('us', '4714-11-24 00:00:00 BC', '294276-12-31 23:59:59.999999')$$, NULL, NULL, NULL)") == "error 22008"
    assert dates.value("SELECT datediff('ms', timestamp '4714-11-24 00:00:00 BC', timestamp '294276-12-31 23:59:59.999999')") == (END - FIRST) // 1000 - 1
