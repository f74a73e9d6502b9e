"""chat in a real terminal with a real daemon: what a person types, and what the screen shows."""

import fcntl
import json
import os
import pathlib
import re
import signal
import unicodedata

import pytest
from chatting import CLOCK, USER, open_chat, prompt_line
from fake import CONTROL, MEMBERS, MESSAGE, STATUS, ManyClients, control
from live import LiveDaemon
from terminal import Terminal


@pytest.fixture
def daemon():
    with LiveDaemon() as made:
        yield made


@pytest.fixture
def chat(daemon):
    with open_chat(daemon) as terminal:
        yield terminal


def test_what_is_typed_is_shown_with_how_many_disks_have_it(chat, daemon):
    chat.enter("hello, everybody")
    chat.wait_for(rf"^{CLOCK} {USER}@alpha  hello, everybody \(delivered to 1\)$")
    assert chat.text().count("hello, everybody") == 1
    assert prompt_line(chat) == "main>"
    assert [message["text"] for message in [daemon.json("history", "-n", "1")]] == [
        "hello, everybody"]


def test_a_message_that_comes_in_leaves_alone_what_is_being_typed(chat, daemon):
    chat.type("half a sen")
    chat.wait_for(r"^main> half a sen$")
    daemon.send("an interruption")
    chat.wait_for(r"an interruption$")
    assert prompt_line(chat) == "main> half a sen"
    assert chat.cursor()[0] == len("main> half a sen")
    chat.enter("tence")
    chat.wait_for(r"@alpha  half a sentence \(delivered to 1\)$")
    assert chat.text().count("half a sen") == 1


def test_a_paste_of_several_lines_is_one_message(chat, daemon):
    chat.paste("first line\nsecond line\n\nlast line\n")
    chat.wait_for(r"^last line$")
    assert daemon.control("history").stdout.count(b"first line") == 0
    daemon.send("meanwhile")
    chat.wait_for(r"meanwhile$")
    chat.key("Enter")
    chat.wait_for(r"last line \(delivered to 1\)$")
    assert daemon.json("history", "-n", "1")["text"] == "first line\nsecond line\n\nlast line"
    assert chat.text().count("last line") == 1
    assert prompt_line(chat) == "main>"


def test_a_text_of_several_rows_survives_what_comes_in(chat, daemon):
    text = "x" * 70 + " " + "y" * 70 + " " + "z" * 20
    chat.type(text)
    chat.wait_for("z{8}$")
    for number in range(3):
        daemon.send(f"interruption {number}")
    chat.wait_for("interruption 2$")
    chat.wait_until("the text is there again", lambda chat: ("main> " + text) in "".join(
        line.ljust(80) for line in chat.screen()[-3:]))
    chat.key("Enter")
    chat.wait_for(r"\(delivered to 1\)")
    assert daemon.json("history", "-n", "1")["text"] == text


@pytest.mark.parametrize("columns", [40, 200])
def test_the_terminal_may_be_resized_while_a_line_is_typed(chat, daemon, columns):
    daemon.send("before")
    chat.wait_for("before$")
    chat.type("typed before the resize, long enough to be folded")
    chat.wait_for("to be folded$")
    chat.resize(columns)
    daemon.send("after")
    chat.wait_for("after$")
    text = "".join(chat.screen()).replace(" ", "")
    assert text.count("typedbeforetheresize,longenoughtobefolded") == 1
    chat.key("Enter")
    chat.wait_for(r"\(delivered to 1\)$")
    assert daemon.json("history", "-n", "1")["text"].endswith("long enough to be folded")


# ---- what comes in ----

def test_what_a_peer_wrote_cannot_drive_the_terminal(chat, daemon):
    daemon.send("a\x1b[2Jb\x07c\u202ed\u009be")
    chat.wait_for(r"a\\x1b\[2Jb\\x07c\\u\{202e\}d\\u\{9b\}e$")
    assert b"\x1b[2J" not in chat.output_bytes() and b"\x07" not in chat.output_bytes()


def test_wide_characters_keep_their_place(chat, daemon):
    chat.type("漢字 ö")
    chat.wait_for("main> 漢字 ö$")
    daemon.send("漢字 in the text, " * 6)
    chat.wait_for("in the text,$")
    assert prompt_line(chat) == "main> 漢字 ö"
    chat.key("BSpace")
    chat.type("ü")
    chat.key("Enter")
    chat.wait_for(r"漢字 ü \(delivered to 1\)$")
    assert daemon.json("history", "-n", "1")["text"] == "漢字 ü"
    assert all(columns_of(line) < 80 for line in chat.screen())


@pytest.mark.parametrize("paste", [False, True])
def test_combining_characters_are_shown_as_typed_and_sent_as_typed(chat, daemon, paste):
    text = "e\u0301te\u0301 n\u0303 o\u0302\u0323 fin"
    (chat.paste if paste else chat.type)(text)
    chat.wait_for("fin$")
    daemon.send("meanwhile")
    chat.wait_for("meanwhile$")
    chat.wait_for("^main> .*fin$")
    assert prompt_line(chat) == "main> " + text
    assert chat.cursor()[0] == len("main> ete n o fin")
    chat.key("BSpace", "BSpace", "BSpace", "BSpace", "BSpace")
    chat.type("u\u0308")
    chat.key("Enter")
    chat.wait_for("  e\u0301te\u0301 n\u0303 u\u0308 \\(delivered to 1\\)$")
    assert daemon.json("history", "-n", "1")["text"] == "e\u0301te\u0301 n\u0303 u\u0308"


def columns_of(line):
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else
               0 if unicodedata.combining(character) else 1 for character in line)


def test_who_is_spoken_to_hears_the_bell_and_others_do_not():
    bob = [{**MESSAGE, "id": f"id{number}", "user": "bob", "node": "beta", "text": text}
           for number, text in enumerate([f"{USER}s are many", f"{USER}: a word with you",
                                          "and host1 too", "nobody is meant"])]
    tail = [{"message": message, "late": False, "cursor": "c"} for message in bob]
    answers = {"Status": [{"status": {**STATUS, "warnings": []}}], "Tail": [*tail, {"cursor": "c"}],
               "Members": [{**MEMBERS, "warnings": []}], "Rooms": [{"rooms": []}]}
    with ManyClients(answers) as fake:
        with Terminal([str(CONTROL), "--socket", fake.path, "chat"]) as chat:
            chat.wait_for("nobody is meant$")
            chat.wait_for("^main.*>$")
            written = chat.output_bytes()
            assert written.count(b"\x07") == 2
            assert f"\x1b[1m{USER}: a word".encode() in written
            assert b"\x1b[1mand host1" in written


def test_chat_tells_hosts_of_one_name_apart_as_tail_does():
    """The message is not of the member host1: of one that has left, perhaps for good."""
    tail = [{"message": MESSAGE, "late": False, "cursor": "c"}]
    answers = {"Status": [{"status": {**STATUS, "warnings": []}}], "Tail": [*tail, {"cursor": "c"}],
               "Members": [{**MEMBERS, "warnings": []}], "Rooms": [{"rooms": []}]}
    with ManyClients(answers) as fake:
        command = [str(CONTROL), "--socket", fake.path]
        for verb in ("chat", "tail"):
            with Terminal([*command, verb]) as terminal:
                terminal.wait_for(f"{CLOCK} alice@host1~{MESSAGE['origin'][:4]}  hi$")


def test_a_message_of_another_room_is_counted_and_the_room_can_be_entered(chat, daemon):
    for number in range(3):
        daemon.send("-r", "ops", f"to ops {number}")
    chat.wait_for(r"^main \+3>$")
    assert "to ops" not in chat.text()
    chat.enter("/room")
    chat.wait_for("ops: 3 unread$")
    chat.enter("/room ops")
    chat.wait_for("^-- unread:$")
    chat.wait_for("to ops 2$")
    chat.wait_for("^ops>$")
    chat.enter("an answer")
    chat.wait_for(r"an answer \(delivered to 1\)$")
    assert daemon.json("history", "-n", "1")["room"] == "ops"


def test_what_came_while_nobody_looked_is_marked_as_unread(daemon, tmp_path):
    environment = {"XDG_STATE_HOME": str(tmp_path)}
    daemon.send("seen")
    with open_chat(daemon, environment=environment) as chat:
        chat.wait_for("seen$")
        chat.enter("/quit")
        assert chat.wait_for_end() == 0
    daemon.send("missed one")
    daemon.send("-r", "ops", "missed elsewhere")
    rooms = daemon.control("--no-legend", "rooms", environment=environment).stdout.decode()
    assert [line.split()[:3] for line in rooms.splitlines()] == [["main", "2", "1"],
                                                                ["ops", "1", "1"]]
    with open_chat(daemon, environment=environment) as chat:
        chat.wait_for(r"seen\n-- unread:\n.*missed one$")
        chat.wait_for("^-- 1 unread in ops; /room ops shows them$")
        chat.wait_for(r"^main \+1>$")


def test_a_room_whose_name_could_drive_the_terminal_is_shown_and_not_offered(daemon):
    daemon.send("-r", "evil\x1b[2J", "in a bad room")
    with open_chat(daemon) as chat:
        chat.enter("/room")
        chat.wait_for(r"^-- evil\\x1b\[2J: ")
        chat.type("/room ev")
        chat.key("Tab")
        chat.wait_until("bell", lambda _: b"\x07" in chat.output_bytes())
        assert b"\x1b[2J" not in chat.output_bytes()
        assert prompt_line(chat).endswith("> /room ev")


# ---- the daemon goes and comes ----

def test_chat_goes_on_when_the_history_of_its_daemon_is_rebuilt(chat, daemon):
    chat.enter("before")
    chat.wait_for(r"before \(delivered to 1\)$")
    daemon.stop()
    chat.wait_for("waiting for it$")
    for path in pathlib.Path(daemon.state).iterdir():
        if path.is_file():
            path.unlink()
    daemon.start()
    chat.wait_for("^-- the history of this host was rebuilt; these are its last messages$")
    chat.enter("after")
    chat.wait_for(r"after \(delivered to 1\)$")


def test_chat_and_tail_say_of_a_daemon_that_takes_long_to_start_that_it_starts(chat, daemon):
    """A daemon that upgrades its history holds a lock beside its socket."""
    command = [str(CONTROL), "--socket", daemon.path, "tail", "-f"]
    with Terminal(command) as tail:
        chat.enter("before")
        tail.wait_for("before$")
        daemon.stop()
        for terminal in (chat, tail):
            terminal.wait_for("ringchatd is not running; waiting for it$")
        starting = pathlib.Path(daemon.path + ".starting")
        with open(starting, "wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            for terminal in (chat, tail):
                terminal.wait_for("ringchatd is starting; waiting for it$")
            with Terminal(command) as late:
                late.wait_for("^ringchatctl: ringchatd is starting; waiting for it$")
                assert "not running" not in late.text()
        starting.unlink()
        daemon.start()
        chat.wait_for("^-- connected again$")
        daemon.send("after")
        tail.wait_for("after$")
        for terminal in (chat, tail):
            assert terminal.text().count("waiting for it") == 2


@pytest.mark.parametrize("line, said", [
    (b"upgrade  40\n", "it upgrades its history, 40 % done;"),
    (b"upgrade  -1\n", "it upgrades its history, which can take minutes;"),
    (b"check    -1\n", "it checks its history, which can take minutes;"),
    (b"", "it upgrades or checks its history, which can take minutes;"),
    (b"upgrade", "it upgrades or checks its history, which can take minutes;"),
    (b"upgrade 999\n", "it upgrades its history, which can take minutes;"),
    (b"\x1b[31m\0 %s %n\n", "it upgrades or checks its history, which can take minutes;"),
])
def test_whoever_asks_a_daemon_that_starts_is_told_what_it_does(tmp_path, line, said):
    with open(tmp_path / "control.starting", "wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(line)
        file.flush()
        done = control("status", socket_path=str(tmp_path / "control"))
    assert done.returncode == 3
    assert done.stderr.decode() == (
        f"ringchatctl: ringchatd is starting: {said} look at: systemctl status ringchatd\n")


def test_who_waits_for_an_upgrade_is_told_of_every_tenth_of_it(tmp_path):
    path = str(tmp_path / "control")
    with open(path + ".starting", "wb", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(b"upgrade   3\n")
        with Terminal([str(CONTROL), "--socket", path, "tail", "-f"]) as tail:
            said = "^ringchatctl: ringchatd is starting: it upgrades its history, {} % done;"
            tail.wait_for(said.format(3))
            for percent in (8, 20, 29, 31):
                os.pwrite(file.fileno(), b"upgrade %3d\n" % percent, 0)
                if percent % 10 < 5:
                    tail.wait_for(said.format(percent))
            assert tail.text().count("it upgrades its history") == 3


def test_chat_outlives_a_restart_of_the_daemon_and_shows_what_was_missed(chat, daemon):
    chat.enter("before")
    chat.wait_for(r"before \(delivered to 1\)$")
    daemon.stop()
    chat.wait_for("waiting for it$")
    chat.wait_for(r"^main \(offline\)>$")
    chat.enter("typed meanwhile")
    chat.wait_for(r"^ +\(waiting\) typed meanwhile$")
    chat.type("half a")
    daemon.start()
    chat.wait_for("^-- connected again$")
    chat.wait_for(r"typed meanwhile \(delivered to 1\)$")
    chat.wait_for(r"^main> half a$")
    texts = [json.loads(line)["text"] for line in
             daemon.control("--json", "history").stdout.decode().splitlines()]
    assert texts == ["before", "typed meanwhile"]
    assert chat.text().count("before") == 1 and chat.text().count("typed meanwhile") == 1


def test_a_daemon_that_is_killed_loses_no_line_of_chat(chat, daemon):
    daemon.process.kill()
    daemon.process.wait()
    for number in range(5):
        chat.enter(f"line {number}")
    chat.wait_for("^   and 2 more$")
    daemon.start()
    chat.wait_for(r"line 4 \(delivered to 1\)$")
    lines = [line for line in chat.screen() if "(delivered to 1)" in line]
    assert [line.split("  ")[1] for line in lines] == [
        f"line {number} (delivered to 1)" for number in range(5)]
    assert prompt_line(chat) == "main>"


# ---- commands ----

def test_the_original_words_and_the_commands_do_the_same(chat):
    chat.enter("@HELP")
    chat.wait_for("^-- /fim, FIM: ")
    chat.enter("@MEMBERS")
    chat.wait_for("^--  0 alpha, leader, this host")
    chat.enter("/ring")
    chat.wait_for(r"^★ alpha \(this host\)$")
    chat.enter("@LIDER")
    chat.wait_for("alpha leads, epoch|nothing to elect|overtaken|again")


def test_an_unknown_command_is_told_and_two_slashes_are_a_message(chat, daemon):
    chat.enter("/dance")
    chat.wait_for("^-- there is no command /dance; see /help")
    chat.enter("//dance")
    chat.wait_for(r"  /dance \(delivered to 1\)$")
    chat.enter("@nobody hello")
    chat.wait_for(r"  @nobody hello \(delivered to 1\)$")


def test_fim_lets_the_host_leave_and_ends_chat(chat, daemon):
    chat.enter("FIM")
    assert chat.wait_for_end() == 0
    chat.wait_for("this host has left the ring; come back with: ringchatctl join$")
    assert daemon.json("status")["state"] == "left"


def test_fim_of_who_may_not_ends_chat_and_says_that_the_host_stays(daemon):
    answers = {"Status": [{"status": {**STATUS, "warnings": []}}],
               "Tail": [{"cursor": "c"}], "Rooms": [{"rooms": []}],
               "Members": [{**MEMBERS, "warnings": []}],
               "Leave": [("org.ringchat.PermissionDenied",
                          {"user": "bob", "group": "ringchat-admin"})]}
    with ManyClients(answers) as fake:
        with Terminal([str(CONTROL), "--socket", fake.path, "chat"]) as chat:
            chat.wait_for("1 member: host1")
            chat.enter("FIM")
            assert chat.wait_for_end() == 0
            assert "the host stays in the ring" in chat.text()


def test_tab_completes_commands_names_and_rooms(chat, daemon):
    daemon.send("-r", "operations", "a room")
    chat.wait_for(r"main \+1>")
    for typed, completed in [("/mem", "/members"), ("/room oper", "/room operations"),
                             ("alp", "alpha:"), ("well @al", "well @alpha"),
                             ("/elect a", "/elect alpha"), ("@LIS", "@LIST")]:
        chat.type(typed)
        chat.key("Tab")
        chat.type("|")
        chat.wait_for(rf"^main \+1> {re.escape(completed)} \|$")
        chat.key("C-u")
        chat.wait_for(r"^main \+1>$")
    chat.type("/l")
    chat.key("Tab")
    chat.wait_for("^/list  /leave")


def test_the_arrow_keys_fetch_back_what_was_typed(chat):
    for text in ("first", "second"):
        chat.enter(text)
        chat.wait_for(rf"{text} \(delivered to 1\)$")
    chat.key("Up", "Up")
    chat.wait_for("^main> first$")
    chat.key("Home")
    chat.type("the very ")
    chat.key("Enter")
    chat.wait_for(r"the very first \(delivered to 1\)$")


# ---- the terminal ----

def test_ctrl_z_gives_the_shell_its_terminal_and_fg_comes_back_with_all_that_was_missed(daemon):
    script = f"cd; stty -a >before; PS1='shell> '; {CONTROL} --socket {daemon.path} chat"
    with Terminal(["bash", "--norc", "--noprofile", "-i"]) as shell:
        shell.enter("bind 'set enable-bracketed-paste off'")  # its own
        shell.enter(script)
        shell.wait_for(r"alpha \(leader\)")
        shell.type("half a sen")
        shell.wait_for("^main> half a sen$")
        shell.key("C-z")
        shell.wait_for("Stopped")
        shell.wait_until("end of pasting", Terminal.pastes_as_before)
        shell.enter("stty -a >after; cmp before after && echo restored")
        shell.wait_for("^restored$")
        daemon.send("while you were away")
        shell.enter("clear; fg")
        shell.wait_for("while you were away$")
        shell.wait_until("what was typed", lambda _: prompt_line(shell) == "main> half a sen")
        shell.enter("tence")
        shell.wait_for(r"half a sentence \(delivered to 1\)$")
        shell.enter("/quit")
        shell.wait_for("^shell> ?$")


@pytest.mark.parametrize("keys", [["C-d"], ["C-c"], ["/quit", "Enter"]])
def test_every_way_out_leaves_the_terminal_as_it_was(daemon, keys):
    script = ('trap : INT; stty -a >"$HOME/before"; "$@"; echo "status $?"; stty -a >"$HOME/after";'
              ' cmp "$HOME/before" "$HOME/after" && echo restored; read -r wait')
    with Terminal(["sh", "-c", script, "sh", str(CONTROL), "--socket", daemon.path,
                   "chat"]) as chat:
        chat.wait_for(r"alpha \(leader\)")
        chat.wait_for("^main>$")
        chat.key(*keys)
        chat.wait_for("^status 0$")
        chat.wait_for("^restored$")
        chat.wait_until("end of pasting", Terminal.pastes_as_before)


def test_ctrl_c_clears_what_is_typed_and_ends_on_an_empty_line(chat):
    chat.type("never mind")
    chat.wait_for("never mind$")
    chat.key("C-c")
    chat.wait_for("^main>$")
    chat.key("C-c")
    assert chat.wait_for_end() == 0


def test_a_signal_ends_chat_in_good_order(chat):
    os.kill(chat.pid(), signal.SIGTERM)
    assert chat.wait_for_end() == 0
    chat.wait_until("end of pasting", Terminal.pastes_as_before)


SCREENS = {
    40: """\
-- you are USER at alpha, in room main;
   /help shows what you can type
-- 1 member: alpha (leader)
-- DATE --
00:00 USER  a short one
00:00 USER  a longer one, with so many
            words that it does not fit
00:00 USER  two
            lines
00:00 USER  my answer (delivered to 1)
main>""",
    80: """\
-- you are USER at alpha, in room main; /help shows what you can type
-- 1 member: alpha (leader)
-- DATE --
00:00:00 USER@alpha  a short one
00:00:00 USER@alpha  a longer one, with so many words that it does not fit
00:00:00 USER@alpha  two
                     lines
00:00:00 USER@alpha  my answer (delivered to 1)
main>""",
    200: """\
-- you are USER at alpha, in room main; /help shows what you can type
-- 1 member: alpha (leader)
-- DATE --
00:00:00 USER@alpha  a short one
00:00:00 USER@alpha  a longer one, with so many words that it does not fit
00:00:00 USER@alpha  two
                     lines
00:00:00 USER@alpha  my answer (delivered to 1)
main>""",
}


@pytest.mark.parametrize("columns", SCREENS)
def test_the_whole_screen(daemon, columns):
    if USER != "root":
        pytest.skip("the screens are those of a user of four letters")
    with open_chat(daemon, columns=columns) as chat:
        daemon.send("a short one")
        daemon.send("a longer one, with so many words that it does not fit")
        daemon.send("two\nlines")
        chat.wait_for("^ +lines$")
        chat.enter("my answer")
        chat.wait_for(r"\(delivered to 1\)$")
        chat.wait_for("^main>$")
        text = re.sub(r"\b\d\d:\d\d(:\d\d)?\b",
                      lambda match: "00:00:00" if match[1] else "00:00", chat.text())
        text = re.sub(r"^-- \w{3} \d{4}-\d\d-\d\d --$", "-- DATE --", text, flags=re.M)
        assert text == SCREENS[columns].replace("USER", USER)
