"""What can be seen from the text of a file. Each check returns its complaints, so that a test can
show that it has some."""

import re

FUNCTION_LINES_MAX = 70
FUNCTION_LINES_MEDIAN = 20
FILE_LINES_MAX = 500

# What the core may use beside its own headers: types, limits, memory and strings. Everything else
# would be a socket, a clock, a disk or a log.
CORE_SYSTEM_HEADERS = {"assert.h", "endian.h", "errno.h", "inttypes.h", "limits.h", "stdbool.h",
                       "stddef.h", "stdint.h", "stdlib.h", "string.h"}
CORE_COMMON_HEADERS = {"bounds.h", "byteorder.h", "check.h", "cleanup.h", "list.h", "util.h"}

# What a plain release build of the core may ask of the C library.
CORE_SYMBOLS = re.compile(r"mem(cpy|move|set|cmp|chr|rchr)|str(n?len|n?cmp|n?cpy|r?chr)|abort"
                          r"|malloc|calloc|realloc|reallocarray|free"
                          r"|_GLOBAL_OFFSET_TABLE_|__stack_chk_fail")

TOP_LEVEL = {"daemon", "ctl", "common", "systemd", "man", "tests", "meson.build",
             "meson_options.txt", "README.md"}


def function_lengths(text):
    """(last line, number of lines between the braces' lines) of each C function."""
    start = None
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("{"):
            start = number
        elif line.startswith("}") and start is not None:
            yield number, number - start
            start = None


def long_functions(name, text):
    return [f"{name}:{end}: a function of {lines} lines (at most {FUNCTION_LINES_MAX})"
            for end, lines in function_lengths(text) if lines > FUNCTION_LINES_MAX]


def long_file(name, text):
    lines = text.count("\n")
    return [f"{name}: {lines} lines (at most {FILE_LINES_MAX})"] if lines > FILE_LINES_MAX else []


def without_comments(text):
    return re.sub(r'"(\\.|[^"\\\n])*"|//[^\n]*|/\*.*?\*/',
                  lambda match: match[0] if match[0][0] == '"' else
                  "\n" * match[0].count("\n") or " ", text, flags=re.S)


def enumerators(text):
    """The constants of the enums that a text defines; a name ending in "_" stands for all names
    that a table of rows makes with that beginning."""
    found = set()
    for body in re.findall(r"\benum\s+\w*\s*\{(.*?)\}", without_comments(text), re.S):
        found.update(re.findall(r"\b([A-Z][A-Z0-9_]*_)##", body))
        body = re.sub(r"^\s*#.*$", "", body, flags=re.M)
        found.update(re.findall(r"(?:^|,)\s*([A-Z][A-Z0-9_]+)\b", body))
    return found


def _is_own(label, constants):
    return label in constants or any(
        constant.endswith("_") and label.startswith(constant) for constant in constants)


def defaults_over_enums(name, text, constants):
    """`default:` in a switch whose cases are constants of the project's own enums."""
    complaints, switches, depth = [], [], 0
    pattern = re.compile(r"[{}]|\bswitch\b|\bcase\s+(\w+)\s*:|\bcase\s+(\w+)\s|\bdefault\s*:|\n")
    line, pending = 1, False
    for match in pattern.finditer(without_comments(text)):
        token = match[0]
        if token == "\n":
            line += 1
        elif token == "switch":
            pending = True
        elif token == "{":
            depth += 1
            if pending:
                switches.append({"depth": depth, "labels": set(), "default": None})
                pending = False
        elif token == "}":
            if switches and switches[-1]["depth"] == depth:
                switch = switches.pop()
                own = sorted(one for one in switch["labels"] if _is_own(one, constants))
                if switch["default"] and own:
                    complaints.append(f"{name}:{switch['default']}: default: beside {own[0]}")
            depth -= 1
        elif switches and token.startswith("case"):
            switches[-1]["labels"].add(match[1] or match[2])
        elif switches:
            switches[-1]["default"] = line
    return complaints


def core_includes(name, text):
    """Headers that the core must not know."""
    complaints = []
    for header in re.findall(r"^\s*#\s*include\s+<([^>]+)>", text, re.M):
        if header not in CORE_SYSTEM_HEADERS:
            complaints.append(f"{name}: the core includes <{header}>")
    for header in re.findall(r'^\s*#\s*include\s+"([^"]+)"', text, re.M):
        folder, _, base = header.rpartition("/")
        if folder == "common" and base in CORE_COMMON_HEADERS:
            continue
        if folder not in ("", "ring"):
            complaints.append(f'{name}: the core includes "{header}"')
    return complaints


def wrong_layer(name, text, forbidden):
    """Includes of a folder that the file's own folder must not depend on."""
    return [f'{name}: includes "{header}"'
            for header in re.findall(r'^\s*#\s*include\s+"([^"]+)"', text, re.M)
            if header.split("/")[0] in forbidden]


def core_symbols(symbols):
    """What `nm` shows, as (name, type) pairs: undefined symbols that the core must not need."""
    defined = {symbol for symbol, kind in symbols if kind != "U"}
    return sorted({symbol for symbol, kind in symbols if kind == "U" and symbol not in defined
                   and not CORE_SYMBOLS.fullmatch(symbol)})


def sleeps(name, text):
    """Tests wait for events."""
    pattern = re.compile(r"\b(u|nano|clock_nano|time\.)?sleep *\(|^\s*sleep +[0-9.$]", re.M)
    return [f"{name}:{text.count(chr(10), 0, match.start()) + 1}: a test that sleeps"
            for match in pattern.finditer(text)]


def left_for_later(name, text):
    words = "|".join(["TO" + "DO", "FIX" + "ME", "X" * 3, "HA" + "CK"])
    return [f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]}"
            for match in re.finditer(rf"\b({words})\b", text)]


def strangers_at_the_top(names):
    return sorted(name for name in names if name not in TOP_LEVEL and not name.startswith("."))


HARDENING = {
    "it is not position-independent": r"Type:\s+DYN .*Position-Independent|FLAGS_1.*\bPIE\b",
    "relocations stay writable": r"GNU_RELRO",
    "symbols are bound late": r"FLAGS_1.*\bNOW\b|BIND_NOW",
    "its stack is executable": r"GNU_STACK(?!.*\bRWE\b)",
    "its stack is not protected": r"__stack_chk_fail",
    "calls of libc are not checked": r"__\w+_chk@",
}


def not_hardened(shown):
    """What `readelf -hldsW` shows, searched for what each program must have."""
    return [what for what, pattern in HARDENING.items() if not re.search(pattern, shown)]
