"""Objects that look like Postgres's own: operators, functions, types and relations that tell, in the server's log and by an error, that they were taken for it."""

import re

# Whoever runs one says so; the mark is in the server's log even where the error is caught.
MARK = "SHADOW"

# Types that stand in for one another in ambiguous operators and functions.
TYPES = ["int2", "int4", "int8", "numeric", "float8", "text", "varchar", "bpchar", "name", "oid", "regclass", "regtype", "timestamp", "timestamptz",
         "interval", "date", "bool", "jsonb", "json", "xid", '"char"']
OPERATORS = ["=", "<>", "<", ">", "<=", ">=", "+", "-", "*", "/", "%", "||", "&", "|", "#", "~", "!~", "~~", "->", "->>", "<<", ">>", "@>", "?"]

TELL = f"""
CREATE FUNCTION {{schema}}.tell(what pg_catalog.text) RETURNS pg_catalog.bool LANGUAGE plpgsql AS $$
BEGIN
    RAISE LOG '{MARK} % as %', what, current_user;
    RAISE EXCEPTION '{MARK} % ran', what;
END $$;
"""

# Every operator and function of Postgres's once more, by the same signature: found by who has the schema before pg_catalog in his path.
TWINS = """
DO $do$
DECLARE
    twin record;
    body text := $body$BEGIN PERFORM {schema}.tell(%L); END$body$;
BEGIN
    FOR twin IN
        SELECT p.oid, p.proname, p.proretset, p.prorettype::regtype AS returned,
               (SELECT string_agg(format_type(t, NULL), ', ') FROM unnest(p.proargtypes::oid[]) AS t) AS types
        FROM pg_proc AS p
        WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind = 'f'
          AND NOT ARRAY['internal', 'cstring', '"any"', 'trigger', 'event_trigger', 'language_handler', 'fdw_handler', 'tsm_handler', 'index_am_handler',
                        'table_am_handler', 'anyarray']::regtype[]::oid[] && (p.proargtypes::oid[] || p.prorettype)
    LOOP
        BEGIN
            EXECUTE format('CREATE FUNCTION {schema}.%I(%s) RETURNS %s %s LANGUAGE plpgsql AS %L', twin.proname, coalesce(twin.types, ''),
                CASE WHEN twin.proretset THEN 'SETOF' ELSE '' END, twin.returned, format(body, 'function ' || twin.proname));
        EXCEPTION WHEN OTHERS THEN NULL; -- Polymorphic results without arguments and their like.
        END;
    END LOOP;
    FOR twin IN
        SELECT o.oprname, p.proname, nullif(o.oprleft, 0)::regtype AS l, o.oprright::regtype AS r, o.oprcode::oid AS code
        FROM pg_operator AS o JOIN pg_proc AS p ON p.oid = o.oprcode
        WHERE o.oprnamespace = 'pg_catalog'::regnamespace AND o.oprright <> 0
    LOOP
        BEGIN
            EXECUTE format('CREATE OPERATOR {schema}.%s (%s RIGHTARG = %s, FUNCTION = {schema}.%I)', twin.oprname,
                CASE WHEN twin.l IS NULL THEN '' ELSE format('LEFTARG = %s,', twin.l) END, twin.r, twin.proname);
        EXCEPTION WHEN OTHERS THEN NULL;
        END;
    END LOOP;
END $do$;
"""

# Operators and functions over pairs of types for which Postgres has none of its own, and takes another by casting: found wherever the schema is in the path.
MIXED = """
DO $do$
DECLARE
    types text[] := '{types}';
    l text;
    r text;
    sign text;
    name text;
    tells text := $body$BEGIN PERFORM {schema}.tell(%L); END$body$;
BEGIN
    FOREACH l IN ARRAY types LOOP
        FOREACH r IN ARRAY types LOOP
            EXECUTE format('CREATE FUNCTION {schema}.mixed_bool(%s, %s) RETURNS bool LANGUAGE plpgsql AS %L', l, r, format(tells, 'operator of ' || l || ' and ' || r));
            EXECUTE format('CREATE FUNCTION {schema}.mixed(%1$s, %2$s) RETURNS %1$s LANGUAGE plpgsql AS %3$L', l, r, format(tells, 'operator of ' || l || ' and ' || r));
            FOREACH sign IN ARRAY '{operators}'::text[] LOOP
                IF NOT EXISTS (SELECT FROM pg_operator WHERE oprname = sign AND oprleft = l::regtype AND oprright = r::regtype) THEN
                    EXECUTE format('CREATE OPERATOR {schema}.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = {schema}.%s)', sign, l, r,
                        CASE WHEN sign ~ '^([=<>]+|!?~+|@>|[?])$' AND sign NOT IN ('<<', '>>') THEN 'mixed_bool' ELSE 'mixed' END);
                END IF;
            END LOOP;
        END LOOP;
    END LOOP;
    FOREACH name IN ARRAY '{names}'::text[] LOOP
        FOREACH l IN ARRAY types || '{{anyelement}}'::text[] LOOP
            FOREACH r IN ARRAY ARRAY[l, l || ', ' || l, 'text, ' || l, l || ', ' || l || ', ' || l] LOOP
                BEGIN
                    EXECUTE format('CREATE FUNCTION {schema}.%I(%s) RETURNS %s LANGUAGE plpgsql AS %L', name, r, l, format(tells, 'function ' || name));
                EXCEPTION WHEN duplicate_function THEN NULL;
                END;
            END LOOP;
        END LOOP;
    END LOOP;
END $do$;
"""

# Domains and views by the names of types and catalogues.
NAMES = """
DO $do$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY '{{text,int2,int4,int8,name,oid,regclass,regtype,regrole,regnamespace,jsonb,json,timestamp,timestamptz,interval,varchar,bool,float8,numeric,record}}'::text[]
    LOOP
        EXECUTE format('CREATE DOMAIN {schema}.%I AS pg_catalog.text CHECK ({schema}.tell(%L))', name, 'type ' || name);
    END LOOP;
    FOR name IN SELECT relname FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind IN ('r', 'v')
            AND has_table_privilege(oid, 'SELECT') AND relname NOT LIKE '%statistic%' LOOP
        BEGIN
            EXECUTE format('CREATE VIEW {schema}.%I AS SELECT * FROM pg_catalog.%1$I WHERE {schema}.tell(%L)', name, 'relation ' || name);
        EXCEPTION WHEN OTHERS THEN NULL;
        END;
    END LOOP;
END $do$;
"""


def words_of(script):
    """What looks like the name of a function in SQL text, without those that it creates where the extension goes."""
    created = re.findall(r"CREATE (?:FUNCTION|AGGREGATE) \"?([a-z_0-9]+)\"?\(", script)
    return sorted(set(re.findall(r"\b([a-z_][a-z0-9_]*)\s*\(", script)) - set(created))


def plant(connection, schema, names=(), twins=True):
    """Plants all of them into a schema as the connection's user; `names` are functions that get a variant for many types of arguments."""
    connection.execute("SET search_path = pg_catalog; SET check_function_bodies = off; SET client_min_messages = error")
    of_schema = {
        "schema": schema, "types": "{" + ",".join(t.replace('"', '\\"') for t in TYPES) + "}",
        "operators": "{" + ",".join(f'"{o}"' for o in OPERATORS) + "}", "names": "{" + ",".join(f'"{n}"' for n in names) + "}",
    }
    for text in [TELL, *([TWINS, NAMES] if twins else []), MIXED]:
        connection.execute(text.format(**of_schema))


def told(log, start=0):
    """The lines of the server's log that shadows have written, or a worker about one."""
    lines = log.read_bytes()[start:].decode(errors="replace").splitlines()
    return [line for line in lines if re.search(rf"(LOG|ERROR): +(redshift_streaming: .*)?{MARK} ", line)]
