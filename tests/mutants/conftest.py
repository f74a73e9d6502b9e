"""The table of the mutants, what noticed each, and where, at the end of the output."""

KILLED = []


def pytest_terminal_summary(terminalreporter):
    if not KILLED:
        return
    terminalreporter.section("mutants of the core")
    for name, checker, where in KILLED:
        terminalreporter.write_line(f"{name:45} {checker:14} {where}")
