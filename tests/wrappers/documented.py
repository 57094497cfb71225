"""Is everything that users can name somewhere in the documentation? documented.py INSTALL.SQL

Relations, functions and procedures of the install script. docs/functions.tsv, which pg_regress compares with pg_proc, stands for the functions of the
dialect; the tables of settings and options are compared by crates/settings.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# What the extension calls itself: no user has a reason to.
INTERNAL = {
    "alter_as_owner",
    "ask_lag",
    "bind_external_schema",
    "blocker",
    "check_preloaded",
    "current_role_id",
    "foreign_partitions",
    "forget_dropped",
    "forget_origin",
    "forget_orphan_streams",
    "forget_orphans",
    "forget_streams",
    "forget_views",
    "know_row_type",
    "lag_answer",
    "lag_records",
    "lag_seconds",
    "last_query_id",
    "lock_external_schema",
    "look_at_lag",
    "metric_labels",
    "is_position",
    "offset_of",
    "origin",
    "outside_dependents",
    "present_view",
    "register_stream",
    "require_untouched_stream",
    "running_refreshes",
    "sees_everything",
    "set_stream_partitions",
    "set_stream_retention",
    "stream_fdw_handler",
    "stream_fdw_validator",
    "unlogged_tables",
    "view_lag",
    "view_server",
    "visible_definition",
    "worker_obstacle",
}


def words(pattern, text):
    return set(re.findall(pattern, text))


def of_sql(sql):
    """Relations, and what is in schema redshift; support functions of types, operators and casts are no names of users'."""
    sql = re.sub(r"--[^\n]*", "", sql)
    relations = words(r"CREATE (?:TABLE|VIEW) (?:redshift\.)?(\w+)", sql)
    routines = words(r"CREATE (?:OR REPLACE )?(?:FUNCTION|PROCEDURE) redshift\.(\w+)\s*\(", sql)
    support = words(r"(?:PROCEDURE|FUNCTION) = (?:redshift\.)?(\w+)", sql) | words(r"WITH FUNCTION (?:redshift\.)?(\w+)", sql)
    support |= words(r"\b(?:SUBSCRIPT|INPUT|OUTPUT|RECEIVE|SEND|TYPMOD_IN|TYPMOD_OUT|SFUNC|FINALFUNC|FUNCTION 1|FUNCTION 2) *=? *(?:redshift\.)?(\w+)", sql)
    return relations | (routines - support)


def main(sql_path):
    names = of_sql(pathlib.Path(sql_path).read_text(encoding="utf-8"))
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages if page.name != "CHANGELOG.md")
    text += (ROOT / "docs" / "functions.tsv").read_text(encoding="utf-8")
    # A name is documented where it stands as code.
    code = " ".join(re.findall(r"```.*?```|`[^`]+`", text, re.S)) + (ROOT / "docs" / "functions.tsv").read_text(encoding="utf-8")
    known = {word.lower() for word in re.findall(r"[\w.]+", code)}
    known |= {part for word in known for part in word.split(".")} | {word for word in known}
    missing = sorted(name for name in names - INTERNAL if name.lower() not in known)
    unused = sorted(INTERNAL - names)
    for name in missing:
        print(f"{name} is in no page of the documentation")
    for name in unused:
        print(f"{name} is listed as internal, and is not there")
    print(f"{len(names)} names, {len(missing) + len(unused)} problems")
    return 1 if missing or unused else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
