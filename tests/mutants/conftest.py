"""The table of the mutants, at the end of the output."""

KILLED = []


def pytest_terminal_summary(terminalreporter):
    if not KILLED:
        return
    terminalreporter.section("mutants of the core")
    for name, checker, seed in KILLED:
        terminalreporter.write_line(f"{name:45} {checker:14} seed {seed}")
