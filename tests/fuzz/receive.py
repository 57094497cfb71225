"""Random bytes where the binary protocol and the disk hand bytes to the extension: receive.py INPUTS SEED, prints "inputs crashes mismatches".

- super_recv, by a binary parameter and by COPY BINARY: verdict and bytes are those of jsonb_recv, and what was taken is read back by its text.
- varbyte_recv: the bytes come back as they were; varbyte(n) takes n of them and no more.
- Stored images that are broken: each function over SUPER gives a result or an error.
- redshift.decompress: what was compressed comes back; broken, it is an error of class 22 or 54.

A lost connection is a crash. What differed goes to stderr.
"""

import gzip
import random
import struct
import sys
import time
import zlib

import psycopg
from psycopg.pq import ExecStatus

WORDS = [b"null", b"true", b"false", b"0", b"-1.50", b"1e400", b"1E+131071", b'"a"', b'"\\u00e9"', b'"\\ud800"', b'"\\u0000"', b'"\xc3\xa9"', b'"\xff"', b"[]", b"{}", b" ", b"\n", b"\x00"]


class Fuzz:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.crashes = self.mismatches = 0
        self.images = [b"\x00\x00\x00\x40"]
        self.connect()
        self.calls = [row[0] for row in self.connection.execute("SELECT call FROM image_calls").fetchall()]
        assert len(self.calls) > 40

    def connect(self):
        deadline = time.monotonic() + 60
        while True:
            try:
                self.connection = psycopg.connect("", autocommit=True)
                break
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        self.connection.execute("CREATE TEMP TABLE received (a super, b varbyte, c varbyte(8))")

    def ask(self, sql, *parameters):
        """(SQLSTATE or None, first value in binary)"""
        result = self.connection.pgconn.exec_params(sql.encode(), list(parameters), param_formats=[1] * len(parameters), result_format=1)
        if result.status == ExecStatus.TUPLES_OK:
            return None, result.get_value(0, 0) if result.ntuples else None
        state = result.error_field(psycopg.pq.DiagnosticField.SQLSTATE)
        if state is None or self.connection.pgconn.status != psycopg.pq.ConnStatus.OK:
            raise psycopg.OperationalError("connection lost")
        return state.decode(), None

    def copy(self, fields):
        """SQLSTATE of COPY BINARY of one row, or None."""
        row = b"PGCOPY\n\xff\r\n\x00" + struct.pack("!IIh", 0, 0, len(fields)) + b"".join(struct.pack("!i", len(field)) + field for field in fields) + struct.pack("!h", -1)
        try:
            with self.connection.cursor() as cursor, cursor.copy("COPY received FROM STDIN (FORMAT binary)") as copy:
                copy.write(row)
        except psycopg.Error as error:
            if self.connection.broken:
                raise
            return error.sqlstate
        return None

    def mismatch(self, what, data):
        self.mismatches += 1
        print(what, data[:200], file=sys.stderr)

    def broken(self, data):
        """With some bytes changed, lost, repeated or cut off."""
        data = bytearray(data)
        for _ in range(self.random.randint(1, 4)):
            if not data:
                return bytes(data)
            at = self.random.randrange(len(data))
            match self.random.randrange(6):
                case 0: data[at] = self.random.randrange(256)
                case 1: data[at] ^= 1 << self.random.randrange(8)
                case 2: del data[at:at + self.random.randint(1, 8)]
                case 3: data[at:at] = data[at:at + self.random.randint(1, 8)]
                case 4: del data[at + 1:]
                case _: data[at:at + 4] = struct.pack("=I", self.random.choice([0, 1, 0x0FFFFFFF, 0x10000001, 0x20000001, 0x40000001, 0x50000000, 0x80000000, 0xFFFFFFFF]))
        return bytes(data)

    def document(self, depth=0):
        kind = self.random.randrange(10)
        if kind < 5 or depth > 6:
            return self.random.choice(WORDS)
        if kind < 8:
            return b"[" + b",".join(self.document(depth + 1) for _ in range(self.random.randrange(5))) + b"]"
        return b"{" + b",".join(b'"%c":' % self.random.choice(b"abcab") + self.document(depth + 1) for _ in range(self.random.randrange(5))) + b"}"

    def of_super(self):
        data = b"\x01" + (self.document() if self.random.random() < 0.95 else b"[" * self.random.choice([999, 1001, 20000]))
        if self.random.random() < 0.4:
            data = self.broken(data)
        ours, theirs = self.ask("SELECT $1::super", data), self.ask("SELECT $1::jsonb", data)
        if ours != theirs:
            self.mismatch(f"super_recv {ours}, jsonb_recv {theirs}", data)
        if ours[0] is None:
            state, text = self.ask("SELECT ($1::super)::text::super = ($1::super)::jsonb::super AND redshift.super_eq($1::super, json_parse(json_serialize_to_varbyte($1::super)))", data)
            if state not in (None, "22P02"):
                self.mismatch(f"{state} from what was received", data)
            self.keep_image(data)
        if self.copy([data, b"", b""]) != ours[0]:
            self.mismatch("COPY BINARY has another verdict", data)

    def keep_image(self, data):
        state, image = self.ask("SELECT ($1::super)::varbyte", data)
        if state is None and image is not None:
            self.images = (self.images + [image])[-500:]

    def of_varbyte(self):
        data = self.random.randbytes(self.random.choice([0, 1, 7, 8, 9, 100, 70000]))
        if self.ask("SELECT $1::varbyte", data) != (None, data):
            self.mismatch("varbyte_recv has other bytes", data)
        if self.copy([b"\x01null", data, data]) != (None if len(data) <= 8 else "22001"):
            self.mismatch("varbyte(8) by COPY BINARY", data)

    def of_image(self):
        images = [self.random.choice(self.images) for _ in range(2)]
        images[self.random.randrange(2)] = self.broken(images[0])
        call = self.random.choice(self.calls)
        state, what = self.ask("SELECT read_image($1::varbyte, $2::varbyte, convert_from($3::bytea, 'UTF8'))", *images, call.encode())
        if state is not None or what not in (None, b"read"):
            self.mismatch(f"{state} {what}", images[0] + b" " + images[1])

    def of_compressed(self):
        data = self.document()
        codec, packed = self.random.choice([("gzip", gzip.compress(data)), ("zlib", zlib.compress(data)), ("deflate", zlib.compress(data)[2:-4])])
        bombs = self.random.random() < 0.01
        if bombs:
            codec, packed = "gzip", gzip.compress(b"\x00" * 20_000_000)
        is_broken = self.random.random() < 0.5
        if is_broken:
            packed, codec = self.broken(packed), self.random.choice([codec, "zstd", "lz4", "snappy"])
        state, result = self.ask("SELECT redshift.decompress($1::varbyte, convert_from($2::bytea, 'UTF8'))", packed, codec.encode())
        if is_broken or bombs:
            if state not in (None, "22P03", "54000", "53200"):
                self.mismatch(f"decompress by {codec}: {state}", packed)
        elif (state, result) != (None, data):
            self.mismatch(f"decompress by {codec}: {state}", packed)

    def run(self, inputs):
        kinds = [self.of_super, self.of_varbyte, self.of_image, self.of_image, self.of_compressed]
        for done in range(inputs):
            try:
                kinds[done % len(kinds)]()
                if done % 1000 == 0:
                    self.connection.execute("TRUNCATE received")
            except psycopg.OperationalError as error:
                self.crashes += 1
                print(f"crash: {error}", file=sys.stderr)
                self.connect()
        print(inputs, self.crashes, self.mismatches)


if __name__ == "__main__":
    Fuzz(int(sys.argv[2])).run(int(sys.argv[1]))
