"""Every check can fail."""

import checks


def test_a_function_of_71_lines_is_found_and_one_of_70_is_not():
    def body(lines):
        return "int f(void)\n{\n" + "    x();\n" * (lines - 1) + "}\n"
    assert checks.long_functions("a.c", body(71))
    assert not checks.long_functions("a.c", body(70))


def test_a_file_of_501_lines_is_found_and_one_of_500_is_not():
    assert checks.long_file("a.c", "\n" * 501)
    assert not checks.long_file("a.c", "\n" * 500)


HEADER = """
enum phase {
    PHASE_ONE, /* first */
    PHASE_TWO = 7,
};
enum event {
#define EVENT(name) EVENT_##name,
#include "event.def"
#undef EVENT
    EVENT_TYPES
};
"""


def test_constants_of_enums_are_known_also_those_of_tables():
    assert checks.enumerators(HEADER) >= {"PHASE_ONE", "PHASE_TWO", "EVENT_"}


def test_a_default_over_an_own_enum_is_found():
    constants = checks.enumerators(HEADER)
    for label in ["PHASE_TWO", "EVENT_JOINED"]:
        code = f"switch (x) {{\ncase {label}:\n    f();\n    break;\ndefault:\n    g();\n}}\n"
        assert checks.defaults_over_enums("a.c", code, constants) == [
            f"a.c:5: default: beside {label}"]


def test_a_default_over_characters_or_system_constants_is_not():
    code = ("switch (c) { case 'a': switch (phase) { case PHASE_ONE: break; } break; default: }"
            " switch (errno) { case EAGAIN: break; default: break; }")
    assert not checks.defaults_over_enums("a.c", code, checks.enumerators(HEADER))


def test_headers_that_the_core_must_not_know_are_found():
    for header in ["<time.h>", "<sys/socket.h>", "<event2/event.h>", '"daemon/link.h"',
                   '"common/varlink.h"', '"../store.h"']:
        assert checks.core_includes("ring.c", f"#include {header}\n"), header
    for header in ["<stdint.h>", "<string.h>", '"ring.h"', '"common/check.h"']:
        assert not checks.core_includes("ring.c", f"#include {header}\n"), header


def test_includes_across_layers_are_found():
    assert checks.wrong_layer("ctl/main.c", '#include "daemon/engine.h"\n', {"daemon"})
    assert not checks.wrong_layer("ctl/main.c", '#include "common/util.h"\n', {"daemon"})


def test_symbols_that_the_core_must_not_need_are_found():
    symbols = [("ring_step", "T"), ("ring_step", "U"), ("memcpy", "U"), ("clock_gettime", "U"),
               ("printf", "U")]
    assert checks.core_symbols(symbols) == ["clock_gettime", "printf"]


def test_a_test_that_sleeps_is_found():
    for line in ["time.sle" + "ep(1)", "    usle" + "ep(10);", "sle" + "ep 0.1"]:
        assert checks.sleeps("t", line + "\n"), line
    assert not checks.sleeps("t", "nothing here sleeps, and sleep is no event\n")


def test_a_note_left_for_later_is_found():
    assert checks.left_for_later("a.c", "/* TO" + "DO: later */")


def test_a_stranger_at_the_top_is_found():
    assert checks.strangers_at_the_top(["daemon", ".ci", "notes.txt"]) == ["notes.txt"]


HARDENED = """
  Type:                              DYN (Position-Independent Executable file)
  GNU_STACK      0x000000 0x0000000000000000 0x0000000000000000 0x000000 0x000000 RW  0x10
  GNU_RELRO      0x03bd30 0x000000000003cd30 0x000000000003cd30 0x0012d0 0x0012d0 R   0x1
 0x000000006ffffffb (FLAGS_1)            Flags: NOW PIE
    12: 0000000000000000     0 FUNC    GLOBAL DEFAULT  UND __stack_chk_fail@GLIBC_2.4 (2)
    13: 0000000000000000     0 FUNC    GLOBAL DEFAULT  UND __snprintf_chk@GLIBC_2.3.4 (3)
"""


def test_a_program_that_lacks_a_protection_is_found():
    assert not checks.not_hardened(HARDENED)
    for old, new in [("NOW PIE", "NOW"), ("GNU_RELRO", ""), ("NOW PIE", "PIE"), (" RW ", " RWE "),
                     ("__stack_chk_fail", ""), ("__snprintf_chk", "snprintf")]:
        text = HARDENED.replace(old, new)
        if new == "NOW":
            text = text.replace("DYN", "EXEC")
        assert len(checks.not_hardened(text)) == 1, (old, new)
