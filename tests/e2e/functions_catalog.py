"""Every function of the extension that takes values, with calls that give it large ones. Found in the catalogue: a new one is in without being named."""

# What an argument of a type is called with: see VALUES.
LARGE = {"super": ["numbers", "strings", "object"], "varbyte": ["bytes"], "bytea": ["bytes"], "text": ["text"], "character varying": ["text"], "character": ["text"],
         "jsonb": ["numbers::jsonb"], "anycompatible": ["text"], '"any"': ["text"], "text[]": ["paths"]}
SMALL = {"integer": "1", "bigint": "1", "smallint": "1::smallint", "boolean": "true", "numeric": "1.5", "real": "1.5::real", "double precision": "1.5",
         "timestamp without time zone": "timestamp '2020-01-01'", "timestamp with time zone": "timestamptz '2020-01-01'", "date": "date '2020-01-01'",
         "time without time zone": "time '12:00'", "time with time zone": "timetz '12:00+00'"}

# Where the arguments have to fit for the function to work on them at all.
FITTING = [
    "from_varbyte(bytes, 'hex')", "from_varbyte(bytes, 'binary')", "from_varbyte(bytes, 'utf-8')", "to_varbyte(digits, 'hex')", "to_varbyte(digits, 'binary')",
    "to_varbyte(text, 'utf-8')", "from_hex(digits)", "split_to_array(text, ',')", "split_to_array(text, 'x')", "split_to_array(text, 'no such delimiter')",
    "strtol(digits, 2)", "redshift.decompress(packed, 'gzip')", "redshift.parse_timestamp(blanks, 'YYYY', false)", "redshift.parse_timestamp('1', separators, false)",
    "redshift.object_transform(object, paths, '{}', '[]')", "redshift.object_transform(object, '{}', paths, numbers)", "redshift.attribute(object, 'no such name')",
    "array_contains(numbers, -1)", "array_positions(numbers, numbers[0]::int, true)", "array_except(numbers, strings)", "array_union(numbers, strings)",
    "arrays_overlap(numbers, strings)", "array_sort(strings, false)", "subarray(numbers, 1, 100000000)", "numbers::text", "numbers::jsonb::super::text", "bytes::text",
    "digits::text::varbyte::text", "(object + ('\"' || left(text, 1000000) || '\"')::super::jsonb)", "redshift.array(numbers, strings, object)", "object('a', numbers, 'b', object)",
    "numbers = numbers", "(numbers)::text = text", "object_long::bigint", "object_long::numeric", "object_long::timestamp", "object_long = blanks", "object_long < blanks",
    "json_parse(document)", "can_json_parse(document)", "json_extract_path_text(document, 'k1')", "json_parse(nested)", "is_valid_json(keys)", "json_parse(keys)",
    "lower_attribute_names(object)", "fnv_hash(text, 1)", "sha2(left(text, 1000), 256)", "json_size(object)", "json_serialize(numbers)",
]

# Of Postgres's own code, which looks at interrupts nowhere (hashing a gigabyte takes it as long as it takes), or for no values of users.
LEFT_OUT = {"sha2", "metric_labels"}

# Name, type and how it is made; numbers of elements and bytes are multiplied by `scale`.
VALUES = [
    ("numbers", "super", "(SELECT json_parse('[' || string_agg((i::bigint * 7919 % 1000003)::text, ',') || ']') FROM generate_series(1, {scale} * 20000) AS i)"),
    ("strings", "super", "(SELECT json_parse('[' || string_agg('\"' || md5((i % 50000)::text) || '\"', ',') || ']') FROM generate_series(1, {scale} * 4000) AS i)"),
    ("object", "super", "(SELECT json_parse('{{' || string_agg('\"k' || i || '\":' || i, ',') || '}}') FROM generate_series(1, {scale} * 5000) AS i)"),
    ("object_long", "super", "to_super_string(repeat('1', {scale} * 150000))"),
    ("document", "text", "(SELECT '{{' || string_agg('\"k' || i || '\":' || i, ',') || '}}' FROM generate_series(1, {scale} * 5000) AS i)"),
    ("nested", "text", "'[' || repeat('{{\"a\":[{{\"b\":1}}]}},', {scale} * 5000) || '1]'"),
    ("keys", "text", "'{{' || (SELECT string_agg('\"' || md5(i::text) || '\":1', ',') FROM generate_series(1, {scale} * 4000) AS i) || '}}'"),
    ("text", "text", "repeat('x,yz', {scale} * 250000)"),
    ("digits", "text", "repeat('01', {scale} * 500000)"),
    ("blanks", "text", "repeat(' ', {scale} * 1000000)"),
    ("separators", "text", "repeat('-', {scale} * 100000)"),
    ("bytes", "varbyte", "repeat('x,yz', {scale} * 250000)::varbyte"),
    ("packed", "varbyte", "decode(repeat('1f8b08000000000000030300000000000000000000', 1) || repeat('1f8b0800000000000003030000000000000000', {scale} * 20000), 'hex')::varbyte"),
    ("paths", "text[]", "(SELECT array_agg('\"k' || i || '\".\"a\"') FROM generate_series(1, {scale} * 2000) AS i)"),
]


def calls(database, every=False):
    """SQL expressions over the names of VALUES: one for each function of the library and shape of value, or with `every` for each SQL function above them too."""
    functions = database.rows(
        f"""SELECT DISTINCT ON ({"p.oid" if every else "p.prosrc"}) n.nspname, p.proname, array(SELECT format_type(t, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY AS u (t, i) ORDER BY i), p.provariadic <> 0
        FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace JOIN pg_language AS l ON l.oid = p.prolang
        JOIN pg_depend AS d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
        JOIN pg_extension AS e ON e.oid = d.refobjid AND e.extname = 'redshift_streaming'
        WHERE p.prokind = 'f' AND p.provolatile <> 'v' AND p.prorettype NOT IN ('internal'::regtype, 'trigger'::regtype, 'cstring'::regtype)
          AND (l.lanname = 'c' OR {every})
        ORDER BY {"p.oid" if every else "p.prosrc, p.oid"}""")
    made = []
    for schema, name, types, variadic in functions:
        if name in LEFT_OUT or not any(of in LARGE for of in types) or not all(of in LARGE or of in SMALL for of in types):
            continue
        of_super = next((LARGE[of] for of in types if of == "super"), [None])
        for shape in of_super:
            arguments = [shape if of == "super" else SMALL.get(of) or LARGE[of][0] for of in types]
            made.append(f'{schema}."{name}"({", ".join(arguments)})')
    return made + FITTING
