-- Statements that are no refreshes, with redshift.query_history = 'all'. Written by the monitor; pg_dump does not carry them.
CREATE TABLE redshift.statement_history (
    query_id bigint PRIMARY KEY,
    user_id oid NOT NULL,
    session_id integer NOT NULL,
    transaction_id bigint NOT NULL,
    query_type text NOT NULL,
    status text NOT NULL,
    start_time timestamp NOT NULL,
    end_time timestamp NOT NULL,
    execution_time bigint NOT NULL,
    planning_time bigint NOT NULL,
    returned_rows bigint NOT NULL,
    error_message text,
    query_text text NOT NULL
);
CREATE INDEX ON redshift.statement_history (start_time);
COMMENT ON TABLE redshift.statement_history IS 'Statements of clients; sys_query_history reads it. Times are UTC, durations in microseconds';

CREATE FUNCTION redshift.statements_lost() RETURNS bigint
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'statements_lost_wrapper';
COMMENT ON FUNCTION redshift.statements_lost() IS 'Statements since the server''s start that sys_query_history had no room for';

CREATE FUNCTION redshift.last_query_id() RETURNS bigint
    LANGUAGE c STABLE AS 'MODULE_PATHNAME', 'last_query_id_wrapper';
COMMENT ON FUNCTION redshift.last_query_id() IS 'query_id of the last statement of this session, if all statements are recorded; pg_last_query_id reads it';
