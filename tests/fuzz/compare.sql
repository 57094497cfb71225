-- Compares json_parse and can_json_parse with jsonb_in: verdict and stored bytes. For scripts/fuzz.sh.
CREATE UNLOGGED TABLE batch (document bytea);
CREATE TYPE image AS (value jsonb);
CREATE TABLE mismatch (document bytea, what text);

CREATE FUNCTION as_jsonb(document bytea) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    RETURN convert_from(document, 'UTF8')::jsonb;
EXCEPTION WHEN data_exception OR untranslatable_character OR program_limit_exceeded OR statement_too_complex THEN
    RETURN NULL;
END $$;

CREATE FUNCTION as_super(document bytea) RETURNS super LANGUAGE plpgsql AS $$
BEGIN
    RETURN json_parse(document);
EXCEPTION WHEN data_exception THEN
    RETURN NULL;
END $$;

-- What is wrong with a document's treatment; NULL if nothing is. More than 1000 levels are the one thing that only we refuse.
CREATE FUNCTION wrong(document bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    valid boolean := can_json_parse(document);
    theirs jsonb := as_jsonb(document);
    ours super;
BEGIN
    IF valid <> (theirs IS NOT NULL) THEN
        RETURN format('can_json_parse says %s, jsonb_in %s', valid, theirs IS NOT NULL);
    END IF;
    IF NOT valid THEN
        IF as_super(document) IS NOT NULL THEN
            RETURN 'can_json_parse refuses what json_parse takes';
        END IF;
        RETURN NULL;
    END IF;
    ours := json_parse(document);
    IF NOT ROW(ours)::image *= ROW(theirs)::image THEN
        RETURN 'other bytes than jsonb_in';
    END IF;
    IF NOT ROW(json_parse(json_serialize_to_varbyte(ours)))::image *= ROW(theirs)::image THEN
        RETURN 'other bytes from the JSON text';
    END IF;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    RETURN format('error: %s', SQLERRM);
END $$;
