"""Runs the examples of README.md and docs/*.md, page by page, compares what the pages show with what happens, and follows their links.

A page has a database and an embedded broker of its own, and one psql session from its first block to its last.

- ```sql blocks run. Every error must be announced in the block, in order: `-- ERROR: RS001`, a SQLSTATE and, if wanted, a part of the message.
- A ```text block right behind one is what psql shows. Each of its lines must come, in this order; `..` stands for anything, and a line that is only
  `..` for any lines. Times are compared as times, blanks and the dashes of table heads by their presence.
- ```sh blocks run where a comment asks for it.

HTML comments steer, each for the block behind it (or for the whole page, where it says so):

    <!-- test: empty database -->     the page starts without extension and external schema (else both are there, the schema is `shop`)
    <!-- test: apache -->             the block needs Apache Kafka; the page runs there too, in a second pass
    <!-- test: shell -->              the sh block runs
    <!-- test: not run: REASON -->    the block is listed with the reason
    <!-- test: kafka CALL -->         (or `apache kafka CALL`) calls a method of tests/e2e/broker.py, such as topic(1, name="payments")
    <!-- test: kinesis CALL -->       calls a method of tests/e2e/kinesis.py, such as samples()
    <!-- test: sql STATEMENTS -->     statements that readers need not see

`localhost:9092` stands for the broker, `localhost:4567` for the Kinesis emulator, `mydb` for the database. On Apache Kafka 9094 stands for its TLS
listener, 9093 for the one that wants client certificates, 9096 for SASL, 9098 for IAM, `/etc/kafka/tls` for the directory of certificates and
`localhost:5000` for an emulator of AWS (tests/e2e/aws.py).
"""

import argparse
import contextlib
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
from broker import Kafka  # noqa: E402
from kinesis import Kinesis  # noqa: E402
from secure import Listeners  # noqa: E402

RUN = pathlib.Path(os.environ.get("RUN_DIR", ROOT / ".run")).resolve()
PROGRAM = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "mock-kafka"
SETUP = """CREATE EXTENSION redshift_streaming;
CALL redshift.create_external_schema('shop', source => 'kafka', uri => 'localhost:9092', authentication => 'none');"""
SECONDS = 60


# --- pages ---------------------------------------------------------------------------------------------------------------------


class Block:
    def __init__(self, line, language, text):
        self.line, self.language, self.text = line, language, text
        self.marks, self.output = [], None

    def mark(self, name):
        """What stands behind `test: name` in a comment before the block; None without one."""
        return next((mark[len(name):].strip() for mark in self.marks if mark.startswith(name)), None)


def read_page(path):
    """The blocks of a page, with the comments before each and the output behind it."""
    text = path.read_text(encoding="utf-8")
    blocks, marks = [], []
    for found in re.finditer(r"^```(\w*)\n(.*?)^```$|<!-- test: (.*?)-->", text, re.M | re.S):
        line = text.count("\n", 0, found.start()) + 1
        if found[3] is not None:
            what = found[3].strip()
            if what.startswith("sql"):
                blocks.append(Block(line, "sql", what[3:].strip() + "\n"))
            elif what.startswith("kinesis"):
                blocks.append(Block(line, "kinesis", what[7:].strip()))
            elif what.startswith(("kafka", "apache kafka")):
                block = Block(line, "kafka", what.split("kafka", 1)[1].strip())
                block.marks = ["apache"] if what.startswith("apache") else []
                blocks.append(block)
            else:
                marks.append(what)
            continue
        block = Block(line, found[1], found[2])
        if block.language == "text" and blocks and blocks[-1].language in ("sql", "sh") and end == text[: found.start()].rstrip():
            blocks[-1].output = block.text
            continue
        block.marks, marks = marks, []
        blocks.append(block)
        end = text[: found.end()]
    return blocks, any(m.startswith("empty database") for b in blocks for m in b.marks)


def needs_apache(blocks):
    return any(block.mark("apache") is not None for block in blocks)


# --- brokers -------------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def embedded():
    """A broker of the page's own, with the sample orders."""
    with tempfile.TemporaryDirectory() as directory:
        ready, control = pathlib.Path(directory, "ready"), pathlib.Path(directory, "embedded.control")
        command = [PROGRAM, "serve", "--topic", "orders:4", "--orders", "10000", "--ready-file", ready, "--control", control]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                deadline = time.monotonic() + 20
                while not (ready.exists() and ready.read_text().strip()):
                    assert process.poll() is None and time.monotonic() < deadline, "the embedded broker did not start"
                    time.sleep(0.02)
                yield Kafka("embedded", ready.read_text().strip(), directory)
            finally:
                process.kill()


@contextlib.contextmanager
def apache():
    """The Apache Kafka that runs, with the sample orders."""
    kafka = Kafka("apache", (RUN / "apache.bootstrap").read_text().strip(), str(RUN))
    if "orders" not in kafka.topics():
        kafka.topic(4, "orders")
        kafka.made.clear()  # It stays.
        subprocess.run([PROGRAM, "produce", "--bootstrap-servers", kafka.bootstrap, "--topic", "orders", "--partitions", "4", "--records", "10000",
                        "--shape", "order"], check=True, capture_output=True)
    try:
        yield kafka
    finally:
        kafka.clean_up()


# --- psql ----------------------------------------------------------------------------------------------------------------------


class Session:
    """One psql from the first block of a page to the last."""

    def __init__(self, database, environment):
        self.out, self.err = tempfile.TemporaryFile("w+", encoding="utf-8"), tempfile.TemporaryFile("w+", encoding="utf-8")
        command = ["psql", "-X", "-P", "pager=off", "-v", "VERBOSITY=verbose", "-v", "ON_ERROR_STOP=0", "-d", database]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=self.out, stderr=self.err, text=True, env=environment)
        self.blocks = 0

    def run(self, sql):
        """What the statements wrote: (stdout, stderr)."""
        self.blocks += 1
        sentinel = f"end-of-block-{self.blocks}"
        start = self._size()
        self.process.stdin.write(f"{sql}\n;\n\\echo {sentinel}\n\\warn {sentinel}\n")
        self.process.stdin.flush()
        deadline = time.monotonic() + SECONDS
        while True:
            texts = [self._from(file, at) for file, at in zip((self.out, self.err), start)]
            if all(sentinel in text for text in texts):
                return [text.split(sentinel)[0] for text in texts]
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError("psql ended" if self.process.poll() is not None else f"no end after {SECONDS} s: {texts}")
            time.sleep(0.01)

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)

    def _size(self):
        return [os.fstat(file.fileno()).st_size for file in (self.out, self.err)]

    @staticmethod
    def _from(file, at):
        return os.pread(file.fileno(), os.fstat(file.fileno()).st_size - at, at).decode()


MESSAGE = re.compile(r"^(?:psql:\S+ )?(ERROR|FATAL|WARNING|NOTICE|INFO|DETAIL|HINT|CONTEXT|QUERY|LINE \d+):")


def messages(text):
    """stderr as psql shows it by default, and the errors in it: [(SQLSTATE, message)]."""
    lines, errors = [], []
    for line in text.splitlines():
        if line.startswith("LOCATION:"):
            continue
        found = re.match(r"^(ERROR|FATAL|PANIC|WARNING|NOTICE|INFO):  ([0-9A-Z]{5}): (.*)", line)
        if found and found[1] in ("ERROR", "FATAL", "PANIC"):
            errors.append((found[2], found[3]))
        lines.append(f"{found[1]}:  {found[3]}" if found else line)
    return lines, errors


def announced(sql):
    """`-- ERROR: 0A000 streaming materialized view`: (SQLSTATE, part of the message), in order."""
    found = re.findall(r"--\s*ERROR:?\s+(\S{5})\b[ \t]*(.*)", sql)
    wrong = re.findall(r"--\s*ERROR(?!:?\s+[0-9A-Z]{5}\b).*", sql)
    assert not wrong, f"not an announcement: {wrong}"
    return found


def compare_errors(expected, actual):
    for (code, part), (actual_code, message) in zip(expected, actual):
        assert code == actual_code, f"announced ERROR {code}, got {actual_code}: {message}"
        assert part.strip() in message, f"announced {part!r}, got {message!r}"
    assert len(actual) <= len(expected), f"not announced: ERROR {actual[len(expected)][0]}: {actual[len(expected)][1]}"
    assert len(actual) == len(expected), f"announced, but it did not come: ERROR {' '.join(expected[len(actual)])}"


def plain(line):
    """A line without what varies: times, widths."""
    line = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?(\+\d\d)?", "TIME", line)
    return re.sub(r"-{2,}", "--", " ".join(line.split()))


def compare_output(expected, out, err):
    """Each expected line comes, messages among messages and rows among rows."""
    streams = {True: iter([plain(line) for line in err]), False: iter([plain(line) for line in out.splitlines()])}
    for line in expected.splitlines():
        wanted = plain(line)
        if wanted in ("", ".."):
            continue
        pattern = re.compile(".*".join(re.escape(part) for part in wanted.split("..")) + r"\Z")
        stream = streams[bool(MESSAGE.match(line))]
        assert any(pattern.match(line) for line in stream), f"shown, but it did not come (in this order): {line}"


# --- running -------------------------------------------------------------------------------------------------------------------


def emulator():
    """The address of the Kinesis emulator that runs, without http://; one that nobody has if there is none."""
    file = RUN / "kinesis.endpoint"
    return file.read_text().strip().removeprefix("http://") if file.exists() else "no-kinesis-emulator"


@contextlib.contextmanager
def secure_places(kind, page):
    """What stands for the secure listeners of Apache Kafka, and for AWS: {as the page says: as it is}."""
    if kind != "apache":
        yield {}
        return
    listeners = Listeners(RUN)
    ports = {"9093": "MTLS", "9094": "TLS", "9096": "SASL", "9098": "IAM"}
    places = {f"localhost:{port}": listeners.uri(name) for port, name in ports.items()} | {"/etc/kafka/tls": str(listeners.directory)}
    if "localhost:5000" not in page:
        yield places
        return
    from aws import Aws

    aws = Aws(listeners.directory / "access-keys")
    try:
        yield places | {"localhost:5000": aws.url.removeprefix("http://")} | aws.samples(listeners)
    finally:
        aws.close()


def run_block(block, session, kafka, kinesis, places, environment, database, directory):
    pairs = {"localhost:9092": kafka.bootstrap, "localhost:4567": emulator()} | places

    def local(text):
        for place, real in pairs.items():
            text = text.replace(place, real)
        return re.sub(r"\bmydb", database, text)

    def shown(text):
        for place, real in pairs.items():
            text = text.replace(real, place)
        return text.replace(database, "mydb")

    if block.language == "kinesis":
        eval(f"kinesis.{block.text}", {"kinesis": kinesis})  # The repository's own pages.
        return

    if block.language == "kafka":
        eval(f"kafka.{block.text}", {"kafka": kafka})  # The repository's own pages.
        return
    if block.language == "sh":
        done = subprocess.run(["bash", "-e", "-c", local(block.text)], env=environment, cwd=directory, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"exit status {done.returncode}: {done.stderr}"
        out, err, errors = done.stdout, done.stderr.splitlines(), []
    else:
        out, err = session.run(local(block.text))
        err, errors = messages(err)
    out, err = shown(out), [shown(line) for line in err]
    try:
        compare_errors(announced(block.text) if block.language == "sql" else [], errors)
        if block.output is not None:
            compare_output(block.output, out, err)
    except AssertionError as failure:
        raise AssertionError(f"{failure}\n--- psql showed:\n{out}{chr(10).join(err)}\n---") from None


def administer(environment, sql):
    done = subprocess.run(["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", "postgres", "-c", sql], env=environment, check=True,
                          capture_output=True, text=True)
    return done.stdout.split()


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0


def run_page(path, broker, kind, environment, tally, must_fail=False):
    """Runs a page; `must_fail`: each block has to fail, which shows that the runner sees it."""
    blocks, empty = read_page(path)
    name = path.stem.lower().replace("-", "_")
    database = f"docs_{name}"
    roles = set(administer(environment, "SELECT rolname FROM pg_roles"))
    administer(environment, f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
    administer(environment, f"CREATE DATABASE {database}")
    session = Session(database, environment)
    kinesis = Kinesis(f"http://{emulator()}")
    try:
        page = path.read_text(encoding="utf-8")
        with broker() as kafka, tempfile.TemporaryDirectory() as directory, secure_places(kind, page) as places:
            if not empty:
                run_block(Block(0, "sql", SETUP), session, kafka, kinesis, places, environment, database, directory)
            for block in blocks:
                label = f"{path.relative_to(ROOT)}:{block.line} ({kind})"
                runs = block.language in ("sql", "kafka", "kinesis") or block.mark("shell") is not None
                reason = block.mark("not run:")
                if block.mark("apache") is not None and kind != "apache":
                    reason = "needs Apache Kafka"
                if reason is not None:
                    if kind != "apache" and reason != "needs Apache Kafka" or not (RUN / "apache.bootstrap").exists():
                        tally.skipped += 1
                        print(f"not run {label}: {reason}")
                    continue
                if not runs:
                    continue
                try:
                    run_block(block, session, kafka, kinesis, places, environment, database, directory)
                    failure = None
                except Exception as error:  # pylint: disable=broad-except
                    failure = error
                if (failure is not None) == must_fail:
                    tally.passed += 1
                    print(f"ok {label}")
                else:
                    tally.failed += 1
                    print(f"FAILED {label}: {failure or 'this block must fail'}")
                    if session.process.poll() is not None:
                        print(f"FAILED {label}: the rest of the page has not run")
                        break
    finally:
        session.close()
        kinesis.clean_up()
        for made in administer(environment, f"SELECT datname FROM pg_database WHERE datname LIKE '{database}%'"):
            administer(environment, f"DROP DATABASE {made} WITH (FORCE)")
        for role in set(administer(environment, "SELECT rolname FROM pg_roles")) - roles:
            administer(environment, f'DROP ROLE "{role}"')


def anchors(text):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def check_links(path, tally):
    """Relative links lead to files and headings that are there."""
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if re.match(r"\w+:", target):
            continue
        file, _, anchor = target.partition("#")
        to = (path.parent / file).resolve() if file else path
        if not to.exists() or anchor and anchor not in anchors(to.read_text(encoding="utf-8")):
            broken.append(target)
    label = f"{path.relative_to(ROOT)} links"
    tally.failed += bool(broken)
    tally.passed += not broken
    print(f"FAILED {label}: {broken}" if broken else f"ok {label}")


def main():
    arguments = argparse.ArgumentParser(description="Runs the examples of the documentation.")
    arguments.add_argument("pages", nargs="*", type=pathlib.Path, help="default: all")
    pages = [page.resolve() for page in arguments.parse_args().pages] or [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
    env = dict(line.split("=", 1) for line in (RUN / "env").read_text(encoding="utf-8").splitlines())
    programs = next((RUN / "postgres" / "lib" / "postgresql").glob("*/bin"))
    environment = os.environ | env | {"PATH": f"{programs}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}
    tally = Tally()
    run_page(ROOT / "tests" / "docs" / "must-fail.md", embedded, "embedded", environment, tally, must_fail=True)
    for page in pages:
        check_links(page, tally)
        blocks, _ = read_page(page)
        if not any(block.language == "sql" for block in blocks):
            continue
        run_page(page, embedded, "embedded", environment, tally)
        if needs_apache(blocks) and (RUN / "apache.bootstrap").exists():
            run_page(page, apache, "apache", environment, tally)
    print(f"{tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped")
    return tally.failed > 0


if __name__ == "__main__":
    sys.exit(main())
