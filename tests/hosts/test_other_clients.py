"""The control socket answers to socat and to ten lines of Python, as the README has them."""

import json
import pathlib
import re
import shlex
import subprocess

import pytest
from client import PATIENCE
from ring import start_together

README = pathlib.Path(__file__).parents[2] / "README.md"
SOCKET = "/run/ringchat/control"


@pytest.fixture
def hosts(lab):
    made = lab.make_hosts(3)
    start_together(made)
    return made


def snippets(language):
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(), re.S)


def test_the_readmes_line_for_socat_answers(hosts):
    [line] = [line for text in snippets("sh") for line in text.splitlines() if "socat" in line]
    assert SOCKET in line
    done = subprocess.run(["sh", "-c", line.replace(SOCKET, shlex.quote(hosts[1].socket))],
                          capture_output=True, timeout=PATIENCE, check=True)
    members = json.loads(done.stdout)["parameters"]["members"]
    assert [member["name"] for member in members] == [
        member["name"] for member in hosts[1].members()["members"]]


def test_a_call_without_parameters_through_socat_answers_at_once(hosts):
    done = subprocess.run(
        ["sh", "-c", "echo '{\"method\":\"org.ringchat.Members\"}' |"
         f" socat -t5 - UNIX-CONNECT:{shlex.quote(hosts[0].socket)}"],
        capture_output=True, timeout=5, check=True)
    assert len(json.loads(done.stdout)["parameters"]["members"]) == 3


def test_the_readmes_ten_lines_of_python_work(hosts):
    [script] = snippets("python")
    assert len([line for line in script.splitlines() if line.strip()]) <= 10
    assert SOCKET in script
    done = subprocess.run(["/usr/bin/python3", "-c", script.replace(SOCKET, hosts[2].socket)],
                          capture_output=True, timeout=PATIENCE, check=True, text=True)
    assert "3" in done.stdout
    assert any("Python" in message["text"] for message in hosts[2].messages())
