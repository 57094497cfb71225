"""Imports of src/ run one way: rooms.py [SRC] prints what does not, and fails. `unsafe` stands only where a README says so.

A room is a folder or file directly below src. Each may import those that stand before it here; `only` says which, where it is not all of them.
"""

import re
import sys
from pathlib import Path

ROOMS = "pg error aws access types catalog source scan view refresh api worker entry".split()
ONLY = {"error": {"pg"}, "types": {"pg", "error"}, "catalog": {"pg", "error"}}
# What is still to go: pairs of rooms, and rooms with circles of files. Nothing may be added.
PAIRS = []
CIRCLES = []
# Who names a source outside of its folder: what a source costs the others.
EACH = {"source/any", "scan/stream_scan", "worker/lanes"}
WHO_NAMES = {
    # Positions and losses of numbered records are those of Kafka's.
    "kafka": EACH | {"source/sql", "view/position"},
    "kinesis": EACH,
    # Whoever writes into a stream, and the SQL functions that create and change one.
    "sql": EACH | {"entry/stream_insert", "entry/functions"},
}


def code(path):
    """The file without comments and string literals."""
    return re.sub(r'//[^\n]*|"(?:\\.|[^"\\])*"', "", path.read_text(encoding="utf-8"))


def expand(path):
    """`a::{b, c::{d}}` as a::b, a::c::d."""
    head, brace, rest = path.partition("{")
    if not brace:
        yield path.split(" as ")[0].strip()
        return
    part, depth = "", 0
    for char in rest:
        if (char in ",}") and depth == 0:
            if part.strip():
                yield from (head.strip() + tail for tail in expand(part))
            part = ""
        else:
            depth += (char == "{") - (char == "}")
            part += char


def modules(src):
    """{module path as a tuple: file}"""
    found = {}
    for path in sorted(src.rglob("*.rs")):
        parts = path.relative_to(src).with_suffix("").parts
        found[parts[:-1] if parts[-1] in ("mod", "lib") else parts] = path
    return found


def imports(files):
    """{module: modules that it names}, without lib.rs."""
    edges = {}
    for module, path in files.items():
        text, found = code(path), set()
        for use in re.findall(r"\b(?:crate|super)::[\w:]*(?:\{(?:[^{}]|\{[^{}]*\})*\})?", text):
            for name in expand(use):
                base, *parts = [part for part in name.split("::") if part and part != "self"]
                where = list(module[:-1]) if base == "super" else []
                while parts and parts[0] == "super":
                    where, parts = where[:-1], parts[1:]
                found.add(tuple(where + parts))
        # `use crate::pg;` and then `pg::time::now()`.
        short = {name[-1]: name for name in found if name in files}
        found |= {short[a] + (b,) for a, b in re.findall(r"(?<![\w:])(\w+)::(\w+)", text) if a in short}
        targets = set()
        for name in found:
            while name and name not in files:
                name = name[:-1]
            targets.add(name)
        edges[module] = targets - {module, ()}
    return edges


def circles(edges):
    """Sets of modules that reach each other."""
    reach = {}
    for start in edges:
        seen, todo = set(), [start]
        while todo:
            new = edges.get(todo.pop(), set()) - seen
            seen |= new
            todo += new
        reach[start] = seen
    return {frozenset(b for b in edges if b in reach[a] and a in reach[b]) for a in edges} - {frozenset()}


def naming(edges):
    """{source: files outside of its folder that name it}. Another source's folder counts as one."""
    found = {}
    for module, targets in edges.items():
        for source in {target[1] for target in targets if target[0] == "source" and target[1:2] and target[1] in WHO_NAMES}:
            if module and module[:2] != ("source", source):
                is_source = module[0] == "source" and module[1:2] and module[1] in WHO_NAMES
                found.setdefault(source, set()).add("/".join(module[:2] if is_source else module))
    return found


def undeclared_unsafe(root):
    """Files with `unsafe` of which no README, from their folder up to that of the crate, says that it is there."""
    places = [root / "src", *(root / "crates" / name for name in ("plan", "settings", "stream", "super-value"))]
    for place, path in ((place, path) for place in places for path in sorted(place.rglob("*.rs"))):
        if "tests" in path.parts or not re.search(r"\bunsafe\b", code(path).replace("unsafe(no_mangle)", "")):
            continue
        readmes = [up / "README.md" for up in path.parents if up.is_relative_to(place)]
        if not any("`unsafe`" in readme.read_text(encoding="utf-8") for readme in readmes if readme.exists()):
            yield path.relative_to(root)


def main(src):
    files = modules(src)
    edges = imports(files)
    problems, up = [], set()
    for module, targets in sorted(edges.items()):
        if not module:
            continue
        if module[0] not in ROOMS:
            problems.append(f"{files[module]} is in no room: {module[0]}")
            continue
        below = ROOMS[: ROOMS.index(module[0])]
        for target in sorted(targets):
            here, there = module[0], target[0]
            if here != there and there not in ONLY.get(here, below):
                up.add(f"{here}>{there}")
                if f"{here}>{there}" not in PAIRS:
                    problems.append(f"imports upwards: {'/'.join(module)} > {'/'.join(target)}")
    rings = circles({a: b for a, b in edges.items() if a})
    for ring in sorted(rings, key=sorted):
        if any(module[0] not in CIRCLES for module in ring):
            problems.append("a circle: " + ", ".join(sorted("/".join(module) for module in ring)))
    for source, who in naming(edges).items():
        problems += [f"names source {source}: {path}" for path in sorted(who - WHO_NAMES[source])]
    problems += [f"unsafe without a README that says so: {path}" for path in undeclared_unsafe(src.parent)]
    if problems:
        print("\n".join(problems))
    if gone := [pair for pair in PAIRS if pair not in up]:
        print(f"to be struck off the list: {' '.join(gone)}")
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in files.values())
    print(f"{len(files)} files, {lines} lines; {len(up)} pairs of rooms upwards, {sum(map(len, rings))} files in {len(rings)} circles")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "src").resolve()))
