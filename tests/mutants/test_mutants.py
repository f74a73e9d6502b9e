"""The simulator notices: each mutant of the core fails within the seeds that every run plays."""

import json
import os
import pathlib
import re
import shlex
import subprocess

import conftest
import pytest
from mutants import MUTANTS

ROOT = pathlib.Path(__file__).parents[2]
CORE = ROOT / "daemon" / "ring"
BUILD = pathlib.Path(os.environ.get("RINGCHAT_BUILD", ROOT / "build")).resolve()
SEEDS = os.environ.get("RINGCHAT_SEEDS", "2000")


@pytest.fixture(scope="session")
def commands():
    """How the build compiles each file of the core."""
    entries = json.loads((BUILD / "compile_commands.json").read_text())
    return {pathlib.Path(entry["file"]).name: entry for entry in entries
            if "daemon/ring/libring" in entry["output"]}


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


def first_failure(program):
    """(checker, seed) of the first seed that fails; a crash is caught by the core's own checks."""
    done = subprocess.run([program, "--seeds", SEEDS, "--until-failure"], capture_output=True,
                          text=True, check=False, timeout=300)
    found = re.search(r"failed: sim --seed (\d+).*# (\w+):", done.stdout)
    if found:
        return found[2], int(found[1])
    if done.returncode < 0:
        return "its own check", "-"
    return None


@pytest.mark.parametrize("name,file,text,change", MUTANTS, ids=[row[0] for row in MUTANTS])
def test_the_simulator_kills_the_mutant(name, file, text, change, commands, tmp_path):
    program = compile_mutant(commands, file, mutate(file, text, change), tmp_path)
    failure = first_failure(program)
    assert failure, f"{SEEDS} seeds do not notice it: {name}"
    conftest.KILLED.append((name, *failure))
