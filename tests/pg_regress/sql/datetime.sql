-- Date and time functions, section 4 of the reference. A bare date part is quoted by the translator.
SET DateStyle = 'ISO, MDY';
SET TIME ZONE 'UTC';

-- The clock: of the statement, in the zone of redshift.timezone
SELECT getdate() = date_trunc('second', now()) OR getdate() = date_trunc('second', clock_timestamp()) AS now, date_part('microseconds', getdate())::int % 1000000 AS whole_seconds, pg_typeof(getdate()), redshift.sysdate() = now()::timestamp AS sysdate;
SET redshift.timezone = 'Asia/Kolkata';
SELECT getdate() - date_trunc('second', statement_timestamp())::timestamp BETWEEN '5:30' AND '5:31' AS getdate, redshift.sysdate() - now()::timestamp AS sysdate;
SET redshift.timezone = 'Nowhere/Land';
SELECT getdate();
RESET redshift.timezone;
CREATE PROCEDURE pg_temp.clock() LANGUAGE plpgsql AS $$
DECLARE
    assigned timestamptz;
    selected timestamptz;
    looped timestamptz;
    in_sql timestamptz;
    rounds int := 0;
BEGIN
    assigned := redshift.statement_time();
    PERFORM pg_sleep(0.01);
    SELECT redshift.statement_time() INTO selected;
    PERFORM pg_sleep(0.01);
    FOR looped IN SELECT redshift.statement_time() FROM generate_series(1, 3) LOOP PERFORM pg_sleep(0.01); END LOOP;
    WHILE redshift.statement_time() < clock_timestamp() - interval '1 second' OR rounds < 3 LOOP rounds := rounds + 1; END LOOP;
    BEGIN
        SELECT 1 / (redshift.statement_time() IS NULL)::int INTO rounds;
    EXCEPTION WHEN division_by_zero THEN NULL;
    END;
    in_sql := redshift.statement_time();
    RAISE NOTICE 'advances: % % %', assigned < selected, selected < looped, looped < in_sql;
    RAISE NOTICE 'now() does not: %', now() <= assigned;
END $$;
CALL pg_temp.clock();
SELECT count(DISTINCT redshift.statement_time()) AS one_for_all_rows FROM generate_series(1, 200000);
SELECT redshift.statement_time() = (SELECT redshift.statement_time()) AS subquery_too;
SELECT min(t) < max(t) AS later_statement FROM (SELECT redshift.statement_time() AS t UNION ALL SELECT statement_timestamp() - interval '1 day') AS u;

-- DATEADD
SELECT dateadd('month', 18, '2008-02-28'), dateadd('month', 12, '2016-02-29'), dateadd('year', 1, '2016-02-29'), dateadd('year', 4, '2016-02-29') AS leap, dateadd('mon', 1, '2008-04-30') AS not_sticky, dateadd('month', 1, '2024-01-31') AS last_day, dateadd('month', -1, '2024-03-31') AS back;
SELECT dateadd(p, 2, timestamp '2001-02-03 04:05:06.789') AS added, p FROM unnest(ARRAY['millennium', 'c', 'DEC', 'y', 'qtr', 'mon', 'w', 'd', 'h', 'm', 's', 'ms', 'us']) WITH ORDINALITY AS u (p, n) ORDER BY n;
SELECT dateadd('day', 1, '2008-02-28'::date), dateadd('hour', 25, '10:00'::time), dateadd('minute', -30, '00:10+02'::timetz), dateadd('day', -1, 'infinity'::timestamp), dateadd('day', NULL, '2008-02-28'), pg_typeof(dateadd('day', 1, '2008-02-28'));
SELECT dateadd('dow', 1, '2008-02-28');
SELECT dateadd('day', 1, '10:00'::time);
SELECT dateadd('fortnight', 1, '2008-02-28');
SELECT dateadd('year', 300000, '2008-02-28');
SELECT dateadd('month', 9223372036854775807, '2008-02-28');
SELECT dateadd('week', 9223372036854775807, '2008-02-28');
SELECT dateadd('month', -9223372036854775808, '2008-02-28');
SELECT dateadd('us', -9223372036854775808, '2008-02-28');
SELECT add_months('2008-02-28', -2147483648);
SELECT add_months('2008-02-28', 2147483647);
SET TIME ZONE 'America/New_York';
SELECT dateadd('day', 1, '2024-03-09 12:00'::timestamptz) AS across_dst, dateadd('hour', 24, '2024-03-09 12:00'::timestamptz) AS wall_clock;
SET TIME ZONE 'UTC';
-- With Postgres's own arithmetic: months and days, for thousands of timestamps
SELECT count(*) AS wrong FROM generate_series('0001-01-01'::timestamp, '4000-01-01', '12345 hours 6 minutes') AS t, unnest(ARRAY[-1300, -13, -1, 0, 1, 7, 24, 4800]) AS n
    WHERE dateadd('month', n, t) <> t + make_interval(months => n) OR dateadd('day', n, t) <> t + make_interval(days => n) OR dateadd('quarter', n, t) <> t + make_interval(months => 3 * n);

-- DATEDIFF counts boundaries
SELECT datediff('year', '2008-12-31', '2009-01-01'), datediff('week', '2009-01-01', '2009-12-31'), datediff('qtr', '1998-07-01', '2008-11-01'), datediff('day', '2009-01-02', '2009-01-01') AS negative, datediff('hour', '2008-01-01 10:59', '2008-01-01 11:01'), datediff('week', '2024-01-07', '2024-01-08') AS sunday_to_monday,
    datediff('century', '2000-12-31', '2001-01-01'), datediff('decade', '2009-12-31', '2010-01-01'), datediff('us', '2000-01-01', '2000-01-02');
SELECT datediff('day', '2009-01-01'::date, '2009-12-31'::date), datediff('minute', '10:59:59'::time, '11:01'::time), datediff('month', '2009-01-31'::date, '2009-02-01 10:00'::timestamp), datediff('hour', '2009-01-01'::date, '2009-01-01 10:00') AS literal_keeps_its_time, datediff('hour', '2009-01-01 10:00', '2009-01-01'::date) AS turned, datediff('hour', '2009-01-01'::timestamp, '2009-01-01 10:00') AS timestamp, datediff('hour', '2009-01-01 10:00'::varchar, now()) > 0 AS mixed, datediff('day', '2009-01-01 23:00+00'::timestamptz, '2009-01-02 01:00+00'::timestamptz), datediff('day', NULL, '2009-01-01');
SELECT datediff('day', 'infinity'::timestamp, '2009-01-01'::timestamp);
SELECT datediff('dow', '2009-01-01', '2009-01-01');

-- DATE_PART, EXTRACT, DATE_TRUNC
SELECT redshift.date_part('s', '2019-10-01 00:00:03.189717'::timestamp), redshift."extract"('s', '2019-10-01 00:00:03.189717'::timestamp), redshift.date_part('ms', '2019-10-01 00:01:03.189717'::timestamp) AS ms, redshift.date_part('us', '2019-10-01 00:01:03.189717'::timestamp) AS us, redshift.date_part('weekday', '2022-05-01'::date) AS sunday, redshift.date_part('dy', '2022-02-01'::date) AS yearday,
    redshift.date_part('timezone_hour', '2022-02-01 00:00+00'::timestamptz) AS tz, redshift."extract"('epoch', '2000-01-01 00:00:00.5+00'::timestamptz) AS epoch, redshift."extract"('hr', '11:30'::time) AS hour;
SELECT redshift.date_trunc('week', '2022-04-30'::date), redshift.date_trunc('qtr', '2022-05-30 10:00'::timestamp), redshift.date_trunc('h', '2022-05-30 10:30+00'::timestamptz);
SELECT redshift.date_part('x', '2022-05-01'::date);
-- Every name of a part
SELECT redshift.date_part_name(p) AS part, string_agg(p, ' ' ORDER BY n) FROM unnest(string_to_array('millennium mil mils century c cent cents decade dec decs epoch year y yr yrs quarter qtr qtrs month mon mons week w dayofweek dow dw weekday dayofyear doy dy yearday day d hour h hr hrs minute m min mins second s sec secs '
    || 'millisecond ms msec msecs msecond mseconds millisec millisecs millisecon microsecond microsec microsecs usecond useconds us usec usecs timezone timezone_hour timezone_minute', ' ')) WITH ORDINALITY AS u (p, n) GROUP BY 1 ORDER BY min(n);

-- Zones
SELECT convert_timezone('US/Pacific', '2008-08-24 09:36:12'), convert_timezone('GMT', 'GMT+2', '2014-05-17 12:00'), convert_timezone('EST', 'PST', '2008-03-05 09:25:29'), convert_timezone('America/New_York', 'UTC', '2024-07-01 12:00') AS dst, convert_timezone('EST', 'UTC', '2024-07-01 12:00') AS fixed;
SELECT convert_timezone('Nowhere', '2008-08-24 09:36:12');

-- Calendar
SELECT add_months('2008-04-30', 1), add_months('2008-02-29'::date, 12), add_months('2024-01-31 10:00'::timestamp, 1), add_months('2008-03-30', -1), add_months('infinity', 1);
SELECT months_between('1969-01-18', '1969-03-18'), months_between('2024-03-31', '2024-02-29') AS last_days, months_between('2024-03-15 12:00', '2024-02-10'), months_between('2024-03-10', '2024-03-10 00:00:01') AS same_day_whatever_the_time;
SELECT last_day('2024-02-10'), last_day('2023-02-28'::date), last_day('1900-02-01 10:00'::timestamp), next_day('2014-08-20', 'Tue'), next_day('2014-08-20', 'W') AS same_day_next_week, next_day('2014-08-20', 'thurs'), trunc(timestamp '2008-12-04 16:10:43.9'), trunc(redshift.sysdate()) = current_date AS today;
SELECT next_day('2014-08-20', 'T');
SELECT next_day('2014-08-20', 'someday');
SELECT count(*) AS wrong FROM generate_series('0001-01-01'::timestamp, '3000-01-01', '99 days') AS t WHERE last_day(t) <> (date_trunc('month', t) + interval '1 month - 1 day')::date OR date_part('dow', next_day(t, 'fri')) <> 5 OR next_day(t, 'fri') - t::date NOT BETWEEN 1 AND 7;

-- TO_DATE, TO_TIMESTAMP: by default fields roll over
SELECT redshift.to_date('20010631', 'YYYYMMDD'), to_date('20010630', 'YYYYMMDD', true), to_date('02 Oct 2001', 'DD Mon YYYY', false), redshift.to_date('2024-366', 'YYYY-DDD'), redshift.to_date('1/2/99', 'MM/DD/YY'), redshift.to_date('September 5, 2020', 'Month DD, YYYY');
SELECT redshift.to_timestamp('2011-12-18 24:38:15', 'YYYY-MM-DD HH24:MI:SS'), to_timestamp('2024-03-01 12:02:03.45 AM', 'YYYY-MM-DD HH:MI:SS.MS PM', true), redshift.to_timestamp('2024-03-01T10:11:12', 'YYYY-MM-DD"T"HH24:MI:SS'), redshift.to_timestamp('2024-03-01 10:11:12.000123', 'YYYY-MM-DD HH24:MI:SS.US');
SELECT to_date('20010631', 'YYYYMMDD', true);
SELECT to_timestamp('2011-12-18 24:38:15', 'YYYY-MM-DD HH24:MI:SS', true);
SELECT redshift.to_date('2001', 'YYYYMM');
SELECT redshift.to_date('2001-13-01', 'YYYY-MM-DD');
SELECT redshift.to_date('01', 'IW');
SELECT redshift.to_date('2001 AD', 'YYYY AD');
SELECT redshift.to_date('2001', 'YYYY"é');
SELECT redshift.to_date('', 'YYYY');
SELECT redshift.to_timestamp('10 é', 'HH AM');
SELECT redshift.to_date(NULL, 'YYYY') IS NULL;
SELECT count(*) AS wrong FROM generate_series('0001-01-01'::date, '3000-01-01', '99 days') AS t WHERE redshift.to_date(to_char(t, 'YYYY-MM-DD'), 'YYYY-MM-DD') <> t::date;
