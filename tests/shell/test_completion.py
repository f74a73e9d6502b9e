"""Completion in a real bash and a real zsh: what is typed, and what the shell makes of a tab."""

import pathlib
import shutil

import pytest
from fake import CONTROL, MEMBERS, Daemon, control
from terminal import Terminal

COMPLETION = pathlib.Path(__file__).parents[2] / "ctl" / "completion"
NODES = {**MEMBERS, "members": [
    {**MEMBERS["members"][0], "name": name} for name in ("alpha", "beta~3f2a", "bravo")]}
ROOMS = [{"rooms": [{"name": room, "messages": 1, "last": 1}]} for room in ("main", "operations")]


@pytest.fixture
def daemon():
    with Daemon({"Members": [NODES], "Rooms": ROOMS}) as made:
        yield made


@pytest.fixture(scope="module", params=["bash", "zsh"])
def running_shell(request, tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp(request.param)
    if shutil.which(request.param) is None:
        pytest.skip(f"there is no {request.param}")
    with Daemon({"Members": [NODES], "Rooms": ROOMS}) as daemon:
        environment = {"PATH": f"{CONTROL.parent}:/usr/bin:/bin", "RINGCHAT_SOCKET": daemon.path}
        command = shell_command(request.param, tmp_path, environment)
        with Terminal(command, columns=100, environment=environment) as terminal:
            terminal.wait_for("^ready>")
            yield terminal


def shell_command(name, tmp_path, environment):
    """The words that start the shell with completion and a short prompt."""
    if name == "bash":
        (tmp_path / "rc").write_text(f"PS1='ready> '\n. {COMPLETION}/ringchatctl.bash\n")
        return ["bash", "--noprofile", "--rcfile", str(tmp_path / "rc"), "-i"]
    environment["ZDOTDIR"] = str(tmp_path)
    (tmp_path / ".zshrc").write_text(
        f"PS1='ready> '\nfpath=({COMPLETION} $fpath)\nautoload -Uz compinit\n"
        f"compinit -u -d {tmp_path}/dump\n")
    return ["zsh", "-i"]


@pytest.fixture
def shell(running_shell):
    """With an empty line on an empty screen."""
    running_shell.key("C-e", "C-u", "C-l")
    running_shell.wait_until("empty line", lambda terminal: terminal.text().strip() == "ready>")
    return running_shell


@pytest.mark.parametrize("typed, completed", [
    ("ringchatctl hist", "ringchatctl history "),
    ("ringchatctl --no-l", "ringchatctl --no-legend "),
    ("ringchatctl --json=pr", "ringchatctl --json=pretty "),
    ("ringchatctl -q send --not", "ringchatctl -q send --notice "),
    ("ringchatctl tail -r op", "ringchatctl tail -r operations "),
    ("ringchatctl elect al", "ringchatctl elect alpha "),
    ("ringchatctl wait --leader bra", "ringchatctl wait --leader bravo "),
    ("ringchatctl elect be", r"ringchatctl elect beta\\?~3f2a "),
    ("ringchatctl log disc", "ringchatctl log discovery "),
])
def test_a_tab_completes_what_is_typed(shell, typed, completed):
    shell.type(typed)
    shell.key("Tab")
    shell.type("@")
    shell.wait_for(rf"ready> {completed}@")


def test_tabs_list_the_verbs(shell):
    shell.type("ringchatctl ")
    shell.key("Tab", "Tab")
    for verb in control("--verbs").stdout.decode().split():
        shell.wait_for(rf"\b{verb}\b")


# ---- what the shells are told ----

def complete(daemon, *words):
    done = control("--complete", *words, environment={"RINGCHAT_SOCKET": daemon.path})
    assert done.returncode == 0 and not done.stderr
    return [line.split("\t")[0] for line in done.stdout.decode().splitlines()]


def test_every_option_of_every_verb_is_offered(daemon):
    synopses = dict(line.split("\t")
                    for line in control("--synopses").stdout.decode().splitlines())
    assert set(synopses) == set(control("--verbs").stdout.decode().split())
    for verb, synopsis in synopses.items():
        words = synopsis.replace("[", " ").replace("]", " ").replace("|", " ").split()
        options = [word for word in words if word.startswith("-") and word != "-"]
        assert set(options) <= set(complete(daemon, verb, "-")), verb


def test_an_option_that_takes_a_value_gets_no_other_words(daemon):
    assert complete(daemon, "send", "--id", "") == []
    assert complete(daemon, "send", "-r", "") == ["main", "operations"]


def test_the_daemon_that_is_named_is_asked(daemon):
    done = control("--complete", "--socket", daemon.path, "elect", "a")
    assert done.stdout == b"alpha\n"


def test_without_a_daemon_completion_is_silent():
    done = control("--complete", "elect", "", environment={"RINGCHAT_SOCKET": "/nowhere"})
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_files_are_left_to_the_shell(daemon):
    assert complete(daemon, "--socket", "") == [":files"]


def test_a_name_that_could_drive_the_terminal_is_made_visible():
    hostile = {**NODES, "members": [{**NODES["members"][0], "name": "a\x1b[2J"}]}
    with Daemon({"Members": [hostile]}) as daemon:
        assert complete(daemon, "elect", "") == ["a\\x1b[2J"]
