-- A materialized view over no stream stays Postgres's own business.
CREATE TABLE side AS SELECT generate_series(1, 5) AS n;
CREATE MATERIALIZED VIEW native WITH (fillfactor = 70) AS SELECT n FROM side;
SELECT relkind FROM pg_class WHERE relname = 'native';
CREATE MATERIALIZED VIEW wrong WITH (on_data_loss = 'fail') AS SELECT n FROM side;
CREATE UNIQUE INDEX ON native (n);
INSERT INTO side VALUES (6);
REFRESH MATERIALIZED VIEW CONCURRENTLY native;
SELECT count(*) FROM native;
REFRESH MATERIALIZED VIEW native WITH NO DATA;
SELECT count(*) FROM native;
ALTER MATERIALIZED VIEW native RENAME TO other;
ALTER MATERIALIZED VIEW other SET (fillfactor = 80);
DROP MATERIALIZED VIEW other;
DROP TABLE side;
