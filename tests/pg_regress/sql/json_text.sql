-- Functions over JSON text, section 2 of the reference.
SELECT json_extract_path_text('{"f2":{"f3":1},"f4":{"f5":99,"f6":"star"}}', 'f4', 'f6');
SELECT json_extract_path_text(d, 'a') AS string, json_extract_path_text(d, 'b') AS number, json_extract_path_text(d, 'c') AS boolean, json_extract_path_text(d, 'd') IS NULL AS json_null, json_extract_path_text(d, 'e') AS array, json_extract_path_text(d, 'e', '1', 'x') AS in_array, json_extract_path_text(d, 'A') IS NULL AS case_counts,
    json_extract_path_text(d, 'e', '9') IS NULL AS beyond, json_extract_path_text(d, 'a', 'b', 'c', 'd', 'e') IS NULL AS five
    FROM (SELECT '{"a":"t\"x\n","b":1.50,"c":true,"d":null,"e":[1, {"x":"y"}]}'::varchar) AS l (d);
SELECT json_extract_path_text('{"a":{"b":1}', 'a', 'b');
SELECT json_extract_path_text('{"a":{"b":1}', 'a', 'b', true) IS NULL AS invalid, json_extract_path_text('{"a":{"b":1}}', 'a', 'b', true), json_extract_path_text('{"a":1}', 'a', false);
SELECT json_extract_path_text(NULL, 'a') IS NULL AS document, json_extract_path_text('{"a":1}', NULL) IS NULL AS path, json_extract_path_text('x', NULL, 'b') IS NULL AS before_errors;
SELECT json_extract_path_text('{"a":1}'::json, 'a') AS of_json_is_that_of_postgres;

SELECT json_extract_array_element_text('[111,112,113]', 2), json_extract_array_element_text('["a",["b",1],null]', 0), json_extract_array_element_text('["a",["b",1],null]', 1) AS nested, json_extract_array_element_text('["a",["b",1],null]', 2) IS NULL AS json_null,
    json_extract_array_element_text('[1]', 1) IS NULL AS beyond, json_extract_array_element_text('[1]', -1) IS NULL AS negative, json_extract_array_element_text('[1', 0, true) IS NULL AS invalid, json_extract_array_element_text('{}', 0, true) IS NULL AS no_array;
SELECT json_extract_array_element_text('[1', 0);
SELECT json_extract_array_element_text('{"a":1}', 0);

SELECT json_array_length('[11,12,13,{"f1":21,"f2":[25,26]},14]'), json_array_length('[]'), json_array_length('[11,12', true) IS NULL AS invalid, json_array_length(NULL::varchar) IS NULL;
SELECT json_array_length('[11,12');
SELECT json_array_length('[1,2]'::json) AS of_json;

SELECT d, is_valid_json(d), is_valid_json_array(d) FROM unnest(ARRAY['{"a":2}', '{"a":{"b":1}}', '[1,2,3]', '["a","b"]', '"a"', '1', '', '{a:1}', NULL]) WITH ORDINALITY AS u (d, n) ORDER BY n;

-- By the setting; json_parse itself always raises
SELECT redshift.json_parse('x');
SET parse_super_null_on_error = on;
SELECT redshift.json_parse('x') IS NULL AS text, redshift.json_parse('x'::bytea) IS NULL AS bytea, redshift.json_parse('x'::varchar::varbyte) IS NULL AS varbyte, redshift.json_parse('[1]') AS valid;
SELECT json_parse('x');
RESET parse_super_null_on_error;
-- Two attributes of one name: an error by default, as in Redshift; json_parse itself takes the last
SELECT json_parse('{"a":1,"b":{"c":1,"c":2}}');
SELECT redshift.json_parse('{"a":1,"b":{"c":1,"c":2}}'::varchar);
SELECT redshift.json_parse('{"a":1,"b":{"a":1}}'::varchar);
SET json_parse_dedup_attributes = on;
SELECT redshift.json_parse('{"a":1,"b":{"c":1,"c":2}}'::varchar);
SET json_parse_dedup_attributes = off;
SET parse_super_null_on_error = on;
SELECT redshift.json_parse('{"a":1,"a":2}'::varchar) IS NULL AS is_null;
RESET parse_super_null_on_error;
RESET json_parse_dedup_attributes;
-- The alias counts where the name is not set
SET redshift.parse_super_null_on_error = on;
SHOW parse_super_null_on_error;
SELECT redshift.json_parse('x') IS NULL AS by_alias;
SET parse_super_null_on_error = off;
SHOW parse_super_null_on_error;
BEGIN;
SET LOCAL parse_super_null_on_error = on;
SHOW parse_super_null_on_error;
ROLLBACK;
SHOW parse_super_null_on_error;
RESET parse_super_null_on_error;
SHOW parse_super_null_on_error;
RESET redshift.parse_super_null_on_error;
SHOW parse_super_null_on_error;
SHOW navigate_super_null_on_error;
SHOW cast_super_null_on_error;
SHOW enable_case_sensitive_super_attribute;
