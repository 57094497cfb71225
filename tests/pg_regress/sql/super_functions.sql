-- Functions over SUPER, section 2 of the reference: one line a function, then what is no value of its kind, then NULL.
-- In Redshift ARRAY(..) is written without the schema: the translator adds it.

-- Making values
SELECT redshift.array(1, 'abc', true, 3.14), redshift.array(), redshift.array(NULL, 1::smallint, 2::bigint, 1.5::real, 2.5::float8, 'c'::char(3), 'n'::name, '{"a":[1]}'::jsonb, json_parse('[2]')) AS all_types;
SELECT object('a', 1, 'b', true, 'c', 3.14), object(), object('k', NULL, 'k', redshift.array(1), 'a', 0) AS last_of_equal_names;
SELECT redshift.array(current_date);
SELECT object('a', now());
SELECT object('a', 'NaN'::float8);
SELECT object('a');
SELECT object(1, 2);
SELECT object(VARIADIC ARRAY['a', 'b']);
SELECT redshift.to_super('text'), redshift.to_super(1.50), redshift.to_super(NULL::text) IS NULL AS null_stays;

-- Text: compact
SELECT json_serialize(json_parse('[10001, 10002, "abc"]')), json_serialize_to_varbyte(json_parse('[10001,10002,"abc"]')), json_serialize_to_varbyte(json_parse('[1]'))::varchar;
SELECT json_size(json_parse('[10001,10002,"⬤"]')), json_size(json_parse('null'));
SELECT length(json_serialize(redshift.array(repeat('x', 65531)))), json_size(redshift.array(repeat('x', 70000)));
SELECT json_serialize(redshift.array(repeat('x', 65532)));

-- What a value is
SELECT d, json_typeof(v), is_array(v) AS arr, is_object(v) AS obj, is_scalar(v) AS scal, is_boolean(v) AS bool, is_varchar(v) AS varc, is_char(v) AS ch, is_smallint(v) AS i2, is_integer(v) AS i4, is_bigint(v) AS i8,
    is_decimal(v) AS dec, is_float(v) AS flt, decimal_precision(v) AS prec, decimal_scale(v) AS scale
    FROM unnest(ARRAY['null', 'true', '[]', '{}', '"abc"', '"é"', '""', '1', '1.0', '1.22', '-0.05', '32768', '2147483648', '9223372036854775808', '6.12345']) WITH ORDINALITY AS u (d, n), LATERAL (SELECT json_parse(d)) AS l (v) ORDER BY n;
SELECT json_typeof(v), is_array(v), is_scalar(v), is_varchar(v), is_decimal(v), decimal_scale(v) FROM (SELECT (json_parse('{}'))['a']) AS l (v);

-- Arrays
SELECT array_concat(redshift.array(10001, 10002), redshift.array('ab', 'cd')), array_concat(redshift.array(), redshift.array()), array_concat(redshift.array(1), json_parse('2')) AS no_array;
SELECT array_flatten(json_parse('[1,[2,[3,[]]]]')), array_flatten(json_parse('{"a":[1]}')) AS no_array;
SELECT subarray(a, 2, 3), subarray(a, -2, 2), subarray(a, -2, 9) AS long, subarray(a, 9, 1) AS beyond, subarray(a, 1, -1) AS negative, subarray(a, -9, 4) AS before, subarray(a, 2147483647, 2147483647) AS huge, subarray(json_parse('1'), 0, 1) AS no_array
    FROM (SELECT redshift.array('a', 'b', 'c', 'd', 'e', 'f')) AS l (a);
SELECT get_array_length(redshift.array(1, 2, 3, 4, 5, 6, 7, 8, 9, 10)), get_array_length(json_parse('{}')) AS no_array;
SELECT split_to_array('12|345|6789', '|'), split_to_array('12,345'), split_to_array('', ','), split_to_array('a', ''), split_to_array('a||b', '||'), split_to_array('aéb', 'é');
SELECT array_contains(redshift.array('red', 'green'), 'red'), array_contains(redshift.array('red', 'green'), 'blue'), array_contains(json_parse('[1.0,[2]]'), 1), array_contains(json_parse('[1.0,[2]]'), json_parse('[2]')), array_contains(json_parse('["1"]'), 1) AS other_type, array_contains(json_parse('{}'), 1) AS no_array;
SELECT array_position(redshift.array(1, 2, 3), 4), array_position(redshift.array('red', 'green', 'red'), 'red'), array_positions(redshift.array('red', 'green', 'red'), 'red'), array_positions(redshift.array('red'), 'blue');
SELECT array_contains(a, NULL) AS find_null, array_position(a, NULL, true), array_contains(a, 'x', true) AS absent, array_contains(a, NULL, false) AS null_unknown, array_contains(a, 'x', false) AS unknown, array_contains(a, 'red', false) AS found, array_positions(a, 'x', false) AS unknown_positions
    FROM (SELECT redshift.array('red', NULL)) AS l (a);
SET default_array_search_null_handling = off;
SELECT array_contains(redshift.array('red', NULL), 'x') AS by_setting;
RESET default_array_search_null_handling;
SELECT array_contains(NULL, 'x') AS null_array, array_contains(redshift.array(1), 1, NULL) AS null_match;
SELECT array_distinct(json_parse('[1,"1",1.0,null,null,[1],[1]]')), array_union(redshift.array('a', 'b', 'b'), redshift.array('b', 'c', 'c')), array_union(redshift.array('b', 'a', 'b'), redshift.array(NULL, 'b', NULL));
SELECT array_except(redshift.array('a', 'b', 'c'), redshift.array('b', 'c', 'd')), array_except(redshift.array('b', 'b', 'b', 'b'), redshift.array('b', 'b')), array_except(redshift.array('a', 'b', 'b'), redshift.array('b'), true), array_except(redshift.array('a', NULL), redshift.array(NULL));
SELECT array_intersection(redshift.array('a', 'b', 'b', 'c'), redshift.array('b', 'b', 'c', 'd')), array_intersection(redshift.array('b', 'b'), redshift.array('b', 'b'), true);
SELECT array_sort(a), array_sort(a, false), array_sort(a, false, false), array_sort(a, true, true) FROM (SELECT redshift.array('b', 'a', 0, NULL, 1, false)) AS l (a);
SELECT array_sort(json_parse('["b",{"a":1},[2],"a",[1]]'));
SELECT arrays_overlap(redshift.array('blue', 'green'), redshift.array('red', 'green')), arrays_overlap(redshift.array('red', NULL, 'blue'), redshift.array('green', NULL)), arrays_overlap(redshift.array('red', NULL, 'blue'), redshift.array('green')), arrays_overlap(json_parse('[null]'), redshift.array(NULL));

-- Objects
SELECT get_number_attributes(json_parse('{"a":1,"b":{"c":2}}')), get_number_attributes(json_parse('[]')) AS no_object;
SELECT lower_attribute_names(json_parse('[{"AttributeName":{"ÀB":"Value"}}]')), upper_attribute_names(json_parse('{"a":{"é":1}}')), lower_attribute_names(json_parse('{"a":1,"A":2}')) AS two_become_one, lower_attribute_names(json_parse('"Text"')) AS no_object;
SELECT redshift.object_transform(o, ARRAY['"name"."first"', '"age"', '"missing"."x"'], ARRAY['"name"."first"', '"age"', '"company"', '"a"."b"'], redshift.array('JOHN', 30, 'Amazon', NULL)) FROM (SELECT json_parse('{"name":{"first":"John","last":"Doe"},"age":25,"left":1}')) AS l (o);
SELECT redshift.object_transform(o, '{}', '{}', redshift.array()) AS no_clause, redshift.object_transform(o, '{}', ARRAY['"b"', 'a . "d""e"'], redshift.array(2, 3)) AS set_only, redshift.object_transform(json_parse('[1]'), ARRAY['"a"'], '{}', redshift.array()) AS no_object FROM (SELECT json_parse('{"a":{"x":1}}')) AS l (o);
SELECT redshift.object_transform(json_parse('{}'), ARRAY['"a'], '{}', redshift.array());
SELECT redshift.object_transform(json_parse('{}'), ARRAY['a..b'], '{}', redshift.array());

SELECT json_size(redshift.object_transform(json_parse('{}'), '{}', ARRAY[repeat('a.', 999) || 'a'], redshift.array(1)));
SELECT redshift.object_transform(json_parse('{}'), '{}', ARRAY[repeat('a.', 1000000) || 'a'], redshift.array(1));

-- Every one: NULL in, NULL out
SELECT json_serialize(n), json_serialize_to_varbyte(n), json_size(n), json_typeof(n), is_array(n), is_decimal(n), get_array_length(n), array_concat(n, n), array_flatten(n), subarray(n, 0, 1), array_distinct(n), array_union(n, n), array_except(n, n), array_intersection(n, n), arrays_overlap(n, n), array_sort(n),
    lower_attribute_names(n), get_number_attributes(n), split_to_array(NULL, ',') FROM (SELECT NULL::super) AS l (n);

-- SUPER is shown compact, with the escapes of JSON
SELECT json_parse('{"b" : [1, 2.50, "x\u0001\"\\\/\n", null, true], "a" : {}}'), json_parse('1.5e3'), json_parse('"TV"');
SELECT (repeat('[', 5000) || repeat(']', 5000))::jsonb::super::jsonb::text = repeat('[', 5000) || repeat(']', 5000) AS deep_jsonb, json_size((repeat('[', 5000) || repeat(']', 5000))::jsonb::super);
