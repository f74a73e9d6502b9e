"""How much of the core the seeds and the stories reach, alone. What they do not is listed, with its
reason, in uncovered.md; that list may hold nothing that is not in the source."""

import concurrent.futures
import json
import os
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parents[2]
CORE = ROOT / "daemon" / "ring"
LIST = pathlib.Path(__file__).parent / "uncovered.md"
BUILD = pathlib.Path(os.environ.get("RINGCHAT_BUILD", ROOT / "build")).resolve().parent / "coverage"
SEEDS = 4000
LINES_MIN, BRANCHES_MIN = 95.0, 85.0

# The other side of an assertion is a bug that aborts, and the invariants are nothing but
# assertions: neither counts.
ASSERTION = re.compile(r"\bcheck(_unreachable)?\(")
ASSERTIONS = "invariant.c"


def build():
    """The simulator with counters, not optimized: each line and branch as it was written."""
    again = ["--reconfigure"] if (BUILD / "build.ninja").exists() else []
    for command in (["/usr/bin/meson", "setup", *again, "-Db_coverage=true", "--buildtype=debug",
                     str(BUILD), str(ROOT)],
                    ["/usr/bin/ninja", "-C", str(BUILD), "tests/sim/sim"]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:]
    for counters in BUILD.rglob("*.gcda"):
        counters.unlink()
    return BUILD / "tests" / "sim" / "sim"


def play(arguments):
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-1000:]


def count(objects):
    """By (file, line): how often it ran, and how often each branch of it was taken."""
    lines, branches = {}, {}
    done = subprocess.run(["gcov", "--json-format", "--stdout", "-b",
                           *sorted(path.name for path in objects.glob("*.gcda"))],
                          cwd=objects, capture_output=True, text=True, check=True)
    for report in done.stdout.splitlines():
        for file in json.loads(report)["files"]:
            name = pathlib.Path(file["file"])
            if name.parent.name != "ring" or name.name == ASSERTIONS:
                continue
            for line in file["lines"]:
                place = name.name, line["line_number"]
                lines[place] = lines.get(place, 0) + line["count"]
                taken = [branch["count"] for branch in line["branches"]]
                before = branches.get(place, [0] * len(taken))
                if taken and len(before) == len(taken):
                    branches[place] = [a + b for a, b in zip(before, taken)]
    return lines, branches


@pytest.fixture(scope="session")
def counts():
    simulator = build()
    half = SEEDS // 2
    runs = [[simulator, "--seeds", f"1..{half}"], [simulator, "--seeds", f"{half + 1}..{SEEDS}"]]
    runs += [[simulator, "--story", str(story)]
             for story in sorted((ROOT / "tests" / "golden").glob("*.story"))]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(play, runs))
    return count(BUILD / "daemon" / "ring" / "libring.a.p")


def source(place):
    return (CORE / place[0]).read_text().splitlines()[place[1] - 1].strip()


def listed():
    """The list's entries: (file or *, line)."""
    return re.findall(r"^- `([\w*.-]+)`: `(.*)`$", LIST.read_text(), re.M)


def is_listed(place):
    return (place[0], source(place)) in listed() or ("*", source(place)) in listed()


def percent(reached, all_of_them):
    return 100 * reached / all_of_them


def test_the_seeds_and_stories_reach_nearly_every_line(counts):
    lines, _ = counts
    reached = percent(sum(times > 0 for times in lines.values()), len(lines))
    print(f"{reached:.1f} % of {len(lines)} lines")
    assert reached >= LINES_MIN


def test_and_take_most_branches(counts):
    taken = [times for place, branch in counts[1].items()
             if not ASSERTION.search(source(place)) for times in branch]
    reached = percent(sum(times > 0 for times in taken), len(taken))
    print(f"{reached:.1f} % of {len(taken)} branches")
    assert reached >= BRANCHES_MIN


def test_every_line_that_is_not_reached_is_listed_with_its_reason(counts):
    missing = [f"- `{place[0]}`: `{source(place)}`  (line {place[1]})"
               for place, times in sorted(counts[0].items())
               if times == 0 and not ASSERTION.search(source(place)) and not is_listed(place)]
    assert not missing, "reach these, delete them, or add them to uncovered.md:\n" + \
        "\n".join(missing)


def test_the_list_holds_nothing_that_is_not_in_the_source():
    texts = {path.name: [line.strip() for line in path.read_text().splitlines()]
             for path in CORE.glob("*.[ch]")}
    stale = [entry for entry in listed()
             if not any(entry[1] in lines for name, lines in texts.items()
                        if entry[0] in ("*", name))]
    assert len(listed()) > 10 and not stale
