"""What was measured: each result as a line of JSON, then one table with the goals, and a comparison
with the runs before."""

import json
import pathlib
import statistics
import time

# A ratio that is worse by this much than the median of the last runs is told.
REGRESSION = 0.20
RUNS_COMPARED = 5


class Goal:
    """`limit` is to be reached; `stretch` would be better still. `more` is better, or less."""

    def __init__(self, limit, stretch=None, more=False):
        self.limit, self.stretch, self.more = limit, stretch, more

    def is_met(self, value, limit):
        return value >= limit if self.more else value <= limit

    def judge(self, value):
        if not self.is_met(value, self.limit):
            return "NOT REACHED"
        if self.stretch is not None and self.is_met(value, self.stretch):
            return "stretch"
        return "reached"

    def __str__(self):
        sign = ">=" if self.more else "<="
        stretch = f" ({sign} {self.stretch:g})" if self.stretch is not None else ""
        return f"{sign} {self.limit:g}{stretch}"


class Report:
    def __init__(self):
        self.rows = {}  # name: its values, goal, unit, and whether it goes into the history

    def tell(self, result):
        print(json.dumps(result), flush=True)
        return result

    def note(self, text):
        print(f"# {text}", flush=True)

    def add(self, name, value, unit="", goal=None, kept=False):
        """One more value of that name; the median counts. `kept`: compared with earlier runs, so it
        should not depend on the machine: a ratio to what was measured beside it."""
        row = self.rows.setdefault(name, {"values": [], "unit": unit, "goal": goal, "kept": kept})
        row["values"].append(value)

    def value(self, name):
        return statistics.median(self.rows[name]["values"])

    def table(self):
        width = max(map(len, self.rows))
        for name, row in self.rows.items():
            value, goal = self.value(name), row["goal"]
            number = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
            spread = (f"{min(row['values']):.3g} to {max(row['values']):.3g}"
                      if len(row["values"]) > 1 else "")
            print(f"{name:{width}}  {number:>9} {row['unit']:6}  {spread:18}  "
                  f"{str(goal or ''):20}  {goal.judge(value) if goal else ''}".rstrip())

    def compare(self, path):
        """Adds this run to the history file; returns how many ratios have become much worse."""
        path = pathlib.Path(path)
        runs = ([json.loads(line) for line in path.read_text().splitlines()]
                if path.exists() else [])
        now = {name: self.value(name) for name, row in self.rows.items() if row["kept"]}
        worse = 0
        for name, value in now.items():
            goal = self.rows[name]["goal"]
            past = [run["ratios"][name] for run in runs[-RUNS_COMPARED:] if name in run["ratios"]]
            if not past:
                continue
            usual = statistics.median(past)
            loss = usual / value if not goal or goal.more else value / usual
            if loss > 1 + REGRESSION:
                worse += 1
                self.note(f"worse than before: {name}: {value:.3g}, it was {usual:.3g}")
        with open(path, "a", encoding="utf-8") as file:
            when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            file.write(json.dumps({"when": when, "ratios": now}) + "\n")
        return worse
