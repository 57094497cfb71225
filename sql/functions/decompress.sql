-- Not of Redshift's. Code: src/api/decompress.rs.
CREATE FUNCTION redshift.decompress(varbyte, text) RETURNS varbyte
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'decompress_wrapper';
COMMENT ON FUNCTION redshift.decompress(varbyte, text) IS 'what was compressed: by gzip, zlib, deflate, zstd, lz4 or snappy; an error above 16 MB';
