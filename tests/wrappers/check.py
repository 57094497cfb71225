"""Compares the install script with the library: check.py INSTALL.SQL LIBRARY.SO

The SQL is written by hand, the C entry points by pgrx's macros. Every function that the SQL declares must be exported together
with its pg_finfo record, and every exported one must be declared: none missing either way.
"""

import re
import subprocess
import sys


def declared(sql):
    """{symbol: SQL name} of every function and procedure in C."""
    sql = re.sub(r"--[^\n]*", "", sql)
    found = {}
    pattern = re.compile(
        r"CREATE\s+(?:OR\s+REPLACE\s+)?(?:FUNCTION|PROCEDURE)\s+([\w.\"@]+)\s*\((?:(?!\bCREATE\s+(?:OR\s+REPLACE\s+)?(?:FUNCTION|PROCEDURE)\b).)*?"
        r"\bAS\s+'(?:MODULE_PATHNAME|\$libdir/\w+)'(?:\s*,\s*'(\w+)')?",
        re.I | re.S,
    )
    for name, symbol in pattern.findall(sql):
        found[symbol or name.split(".")[-1].strip('"')] = name
    return found


def exported(library):
    out = subprocess.run(["nm", "-D", "--defined-only", library], check=True, capture_output=True, text=True).stdout
    return {line.split()[-1].split("@")[0] for line in out.splitlines()}


def main(sql_path, library):
    with open(sql_path, encoding="utf-8") as file:
        sql = declared(file.read())
    symbols = exported(library)
    with_record = {s.removeprefix("pg_finfo_") for s in symbols if s.startswith("pg_finfo_")}
    wrappers = {s for s in symbols if s.endswith("_wrapper") and not s.startswith("pg_finfo_")}

    problems = [f"{sql[s]} names {s}, which the library does not export" for s in sorted(set(sql) - symbols)]
    problems += [f"{s} has no pg_finfo record" for s in sorted((set(sql) & symbols) - with_record)]
    problems += [f"{s} is exported but declared nowhere in the SQL" for s in sorted((with_record | wrappers) - set(sql))]
    if not sql:
        problems.append("the SQL declares no function at all")
    for problem in problems:
        print(problem)
    print(f"{len(sql)} declared, {len(with_record)} exported, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
