"""The recipes of the README work as they stand there."""

import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest
from fake import CONTROL, MESSAGE, PATIENCE, Daemon
from live import LiveDaemon

README = (pathlib.Path(__file__).parents[2] / "README.md").read_text()
RECIPES = re.search(r"## For scripts\n.*?```sh\n(.*?)```", README, re.S)[1].split("\n\n")


def recipe(words):
    [found] = [text for text in RECIPES if words in text]
    return found


@pytest.fixture
def daemon():
    with LiveDaemon() as made:
        yield made


def run(script, path, directory, **variables):
    """In a directory where programs that a test has no use for do nothing, or note what they do."""
    programs = directory / "bin"
    programs.mkdir(exist_ok=True)
    for name, text in [("run-backup", "true"), ("mail", 'echo "$2" >>"$NOTED"; cat >/dev/null')]:
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    done = subprocess.run(
        ["sh", "-euc", script], capture_output=True, text=True, timeout=PATIENCE, check=False,
        cwd=directory, env={"PATH": f"{programs}:{CONTROL.parent}:{os.environ['PATH']}",
                            "RINGCHAT_SOCKET": path, "NOTED": str(directory / "noted"),
                            **variables})
    assert done.returncode == 0, done.stderr
    return done


def test_shellcheck_likes_the_recipes():
    if shutil.which("shellcheck") is None:
        pytest.skip("there is no shellcheck")
    done = subprocess.run(["shellcheck", "--shell=sh", "--exclude=SC2154", "-"],
                          input="\n\n".join(RECIPES), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_a_job_of_cron_tells_how_it_ended(daemon, tmp_path):
    run(recipe("run-backup"), daemon.path, tmp_path)
    message = daemon.json("history", "-n", "1")
    assert message["text"].startswith("backup of ") and message["text"].endswith(": succeeded")
    assert (message["room"], message["kind"]) == ("backup", "notice")


def test_a_notice_from_ci_is_sent_once(daemon, tmp_path):
    variables = {"CI_JOB_URL": "https://ci.example/1", "CI_JOB_NAME": "lint",
                 "CI_JOB_STATUS": "success"}
    for _ in range(2):
        run(recipe("uuidgen"), daemon.path, tmp_path, **variables)
    history = daemon.control("--json", "history").stdout.decode().splitlines()
    assert [json.loads(line)["text"] for line in history] == ["lint: success https://ci.example/1"]


def test_waiting_at_boot_ends_either_way(daemon, tmp_path):
    script = recipe("wait --members")
    done = run(script.replace("--members 3", "--members 1"), daemon.path, tmp_path)
    assert done.stderr == ""
    done = run(script.replace("--timeout 120", "--timeout 0.1"), daemon.path, tmp_path)
    assert "not all are here, going on" in done.stderr


def test_a_mail_goes_out_for_each_host_that_fails(tmp_path):
    event = {"event": "failed", "node": "beta", "id": "i", "time": MESSAGE["sent"], "epoch": 1}
    joined = {**event, "event": "joined", "node": "gamma"}
    with Daemon({"Tail": [{"event": joined}, {"event": event}, {"cursor": "c"}]}) as fake:
        run(recipe("mail -s"), fake.path, tmp_path)
    assert (tmp_path / "noted").read_text() == "ring: beta has failed\n"


def test_what_came_since_the_last_time_comes_once(daemon, tmp_path):
    daemon.send("before")
    (tmp_path / "cursor").write_text(daemon.json("tail", "-n", "1")["cursor"])
    for texts in (["one", "two"], [], ["three"]):
        for text in texts:
            daemon.send(text)
        run(recipe("cat cursor"), daemon.path, tmp_path)
    seen = (tmp_path / "seen.json").read_text().splitlines()
    assert [json.loads(line)["text"] for line in seen] == ["one", "two", "three"]
