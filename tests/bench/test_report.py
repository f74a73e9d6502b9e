"""The comparison of a measurement with the ones before it."""

import json

import pytest
from report import RUNS_COMPARED, Goal, Report

MORE, LESS = Goal(1.5, more=True), Goal(1.5)


def run(path, value, goal=MORE, kept=True):
    """One measurement of one ratio; how many ratios it calls worse."""
    report = Report()
    report.add("ratio", value, goal=goal, kept=kept)
    return report.compare(path)


@pytest.mark.parametrize(("goal", "bad", "fair", "better"), [
    (MORE, 1.6, 1.7, 3.0), (None, 1.6, 1.7, 3.0), (LESS, 2.5, 2.3, 1.0)])
def test_what_has_become_a_fifth_worse_is_told(tmp_path, capsys, goal, bad, fair, better):
    path = tmp_path / "history"
    for _ in range(3):
        assert run(path, 2.0, goal) == 0
    assert run(path, fair, goal) == run(path, better, goal) == 0
    assert not capsys.readouterr().out
    assert run(path, bad, goal) == 1
    assert f"worse than before: ratio: {bad}, it was 2" in capsys.readouterr().out


def test_the_last_runs_median_is_what_counts(tmp_path):
    path = tmp_path / "history"
    for _ in range(RUNS_COMPARED):
        run(path, 4.0)
    for _ in range(RUNS_COMPARED // 2):
        assert run(path, 2.0) == 1
    assert run(path, 2.0) == 1
    assert run(path, 2.0) == 0


def test_a_run_is_kept_with_its_time_and_only_what_does_not_depend_on_the_machine(tmp_path):
    path = tmp_path / "history"
    run(path, 2.0)
    run(path, 30000, kept=False)
    first, second = map(json.loads, path.read_text().splitlines())
    assert first["ratios"] == {"ratio": 2.0} and second["ratios"] == {}
    assert first["when"].endswith("Z")


def test_the_median_of_all_rounds_is_judged(tmp_path, capsys):
    report = Report()
    for value in (1.0, 1.4, 9.0):
        report.add("ratio", value, goal=MORE, kept=True)
    report.compare(tmp_path / "history")
    report.table()
    assert json.loads((tmp_path / "history").read_text())["ratios"] == {"ratio": 1.4}
    assert "NOT REACHED" in capsys.readouterr().out
