"""The simulator notices: each mutant of the core fails within the seeds that every run plays, or in
a story of its own where it takes more than chance to notice it."""

import concurrent.futures
import json
import os
import pathlib
import re
import resource
import shlex
import subprocess

import conftest
import pytest
from mutants import MUTANTS

ROOT = pathlib.Path(__file__).parents[2]
CORE = ROOT / "daemon" / "ring"
STORIES = sorted((ROOT / "tests" / "golden").glob("*.story"))
BUILD = pathlib.Path(os.environ.get("RINGCHAT_BUILD", ROOT / "build")).resolve()
SEEDS = int(os.environ.get("RINGCHAT_SEEDS", "2000"))

# Most are noticed by then; then the stories have their turn, then the rest of the seeds.
FIRST_SEEDS = 150

# Of processor time for a seed; 5 ms are usual. A mutant that goes on and on is noticed by that.
MOST_SECONDS = 0.15


def mutate(file, text, change):
    source = (CORE / file).read_text()
    assert source.count(text) == 1, f"{file} has this {source.count(text)} times: {text}"
    return source.replace(text, change)


def compile_mutant(commands, file, source, directory):
    """The simulator with this file of the core changed."""
    mutant, compiled, program = directory / file, directory / f"{file}.o", directory / "sim"
    mutant.write_text(source)
    entry = commands[file]
    words = shlex.split(entry["command"])
    words[words.index("-o") + 1] = str(compiled)
    words[words.index("-c") + 1] = str(mutant)
    # What the change leaves unused is no fault of it.
    words += ["-I", str(CORE), "-Wno-unused", "-Wno-error", "-MF", str(directory / "depends")]
    subprocess.run(words, cwd=entry["directory"], check=True)
    others = [BUILD / other["output"] for name, other in commands.items() if name != file]
    simulator = sorted((BUILD / "tests/sim/sim.p").glob("*.o"))
    subprocess.run(["cc", "-o", program, *simulator, compiled, *others,
                    "-Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc"], check=True)
    return program


def run(program, most, *arguments):
    """`most`: seconds of processor time; whoever uses more is ended."""
    most = max(1, round(most))
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (most, most)))


def killed_by_seed(program, first, last):
    """A crash is the core's own check; so is having no end."""
    done = run(program, (last - first + 1) * MOST_SECONDS, "--seeds", f"{first}..{last}",
               "--until-failure")
    found = re.search(r"failed: sim --seed (\d+).*# (\w+):", done.stdout)
    if found:
        return found[2], f"seed {found[1]}"
    return ("its own check", f"seeds {first} to {last}") if done.returncode < 0 else None


def killed_by_story(program):
    """By what the story and the checkers say, not by its trace: any change changes that."""
    for story in STORIES:
        done = run(program, 60 * MOST_SECONDS, "--story", story)
        found = re.search(r"!!! (\w+):", done.stdout)
        if done.returncode != 0:
            return found[1] if found else "its own check", f"story {story.stem}"
    return None


def examine(mutant, commands, directory):
    """(checker, seed or story) of the first failure; None: nothing notices it."""
    _, file, text, change = mutant
    directory.mkdir()
    program = compile_mutant(commands, file, mutate(file, text, change), directory)
    first = min(FIRST_SEEDS, SEEDS)
    killed = killed_by_seed(program, 1, first) or killed_by_story(program)
    if not killed and SEEDS > first:
        killed = killed_by_seed(program, first + 1, SEEDS)
    return killed


@pytest.fixture(scope="session")
def examined(tmp_path_factory, request):
    """All that are asked for, as many at once as there are processors: name to what came of it."""
    commands = {pathlib.Path(entry["file"]).name: entry
                for entry in json.loads((BUILD / "compile_commands.json").read_text())
                if "daemon/ring/libring" in entry["output"]}
    directory = tmp_path_factory.mktemp("mutants")
    wanted = {item.callspec.params["name"] for item in request.session.items
              if hasattr(item, "callspec")}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return {mutant[0]: pool.submit(examine, mutant, commands, directory / str(number))
                for number, mutant in enumerate(MUTANTS) if mutant[0] in wanted}


@pytest.mark.parametrize("name", [mutant[0] for mutant in MUTANTS])
def test_the_simulator_kills_the_mutant(name, examined):
    killed = examined[name].result()
    assert killed, f"neither {SEEDS} seeds nor a story notice it: {name}"
    conftest.KILLED.append((name, *killed))
