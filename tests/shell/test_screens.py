"""The whole screens of status, members, rooms and history on a narrow, a usual and a wide
terminal: a row that does not fit is folded there, nothing is cut and no column is lost."""

import pytest
from fake import CONTROL, MEMBERS, MESSAGE, STATUS, ManyClients
from terminal import Terminal

HOURS = 3600 * 1000000  # µs
FAR = "far-host"
FAR_ID = "d1a952c2-c2fa-4e41-b32f-f155d9e4d4fc"

ANSWERS = {
    "Status": [{"status": {**STATUS, "warnings": ["the disk is nearly full: make room for the "
                                                  "history, or set a retention"]}}],
    "Members": [{**MEMBERS, "warnings": [], "gone": [], "members": [
        MEMBERS["members"][0],
        {**MEMBERS["members"][0], "position": 1, "id": FAR_ID, "name": FAR, "leader": False,
         "self": False, "address": "[fd00::abcd]:7263", "hop_usec": 25000}]}],
    "Tail": [{"cursor": "c"}],
    "Rooms": [{"rooms": [{"name": "backup of the databases", "messages": 1204,
                          "last": MESSAGE["sent"] - 9 * HOURS},
                         {"name": "main", "messages": 1000000, "last": MESSAGE["sent"]}]},
              {"rooms": [{"name": "\x1b[2J", "messages": 1, "last": MESSAGE["sent"]}]}],
    "History": [{"messages": [
        {**MESSAGE, "origin": STATUS["id"]},
        {**MESSAGE, "origin": FAR_ID, "node": FAR, "room": "ops", "sent": MESSAGE["sent"] +
         9 * HOURS, "text": "a longer one, whose words do not fit into eighty columns"},
        {**MESSAGE, "origin": STATUS["id"], "sent": MESSAGE["sent"] + 18 * HOURS,
         "text": "two\nlines"}]}],
}
SCREENS = {
    "status": """\
  Warning: the disk is nearly full: make room for the history, or set a retention
     Node: host1 (6af99290-350c-4487-909b-4f8a627b4334)
  Address: 10.0.0.1:7263
     Ring: live, 1 member, led by host1
     View: 2-00000000000000aa
  History: 7 messages, 4.0 KiB
  Waiting: 0 queued, 0 unstable, 0 undelivered
      Lap: 1.5 ms
  Clients: 1
       Up: since 2026-11-23 20:31:08, version 0.1.0""",
    "members": """\
POSITION  NAME      ADDRESS            ROLE               SINCE                HOP      VERSION
0         host1     10.0.0.1:7263      leader, this host  2026-11-23 20:31:08  89 us    1
1         far-host  [fd00::abcd]:7263  member             2026-11-23 20:31:08  25.0 ms  1
2 members, view 2-00000000000000aa""",
    "rooms": """\
ROOM                     MESSAGES  UNREAD  LAST
\\x1b[2J                  1         0       2026-11-23 20:31:08
backup of the databases  1204      0       2026-11-23 11:31:08
main                     1000000   0       2026-11-23 20:31:08
unread: since chat was left""",
    "history": """\
-- Mon 2026-11-23 --
20:31:08 alice@host1  hi
-- Tue 2026-11-24 --
05:31:08 alice@far-host #ops  a longer one, whose words do not fit into eighty columns
14:31:08 alice@host1  two
                   lines""",
}


# Of status, words are kept whole, and lines after the first are set in.
REST = SCREENS["status"].split("\n", 1)[1]
STATUS_OF_80 = f"""\
  Warning: the disk is nearly full: make room for the history, or set a
           retention
{REST}"""
STATUS_OF_40 = """\
  Warning: the disk is nearly full:
           make room for the history,
           or set a retention
     Node: host1
           (6af99290-350c-4487-909b-4f8
           a627b4334)
  Address: 10.0.0.1:7263
     Ring: live, 1 member, led by host1
     View: 2-00000000000000aa
  History: 7 messages, 4.0 KiB
  Waiting: 0 queued, 0 unstable, 0
           undelivered
      Lap: 1.5 ms
  Clients: 1
       Up: since 2026-11-23 20:31:08,
           version 0.1.0"""
WRAPPED = {("status", 40): STATUS_OF_40, ("status", 80): STATUS_OF_80}


def folded(text, columns):
    """As a terminal of so many columns shows it."""
    return "\n".join(line[at:at + columns].rstrip() for line in text.split("\n")
                     for at in range(0, len(line), columns))


@pytest.mark.parametrize("columns", [40, 80, 200])
@pytest.mark.parametrize("verb", SCREENS)
def test_the_whole_screen(verb, columns):
    with ManyClients(ANSWERS) as daemon:
        command = [str(CONTROL), "--no-pager", "--socket", daemon.path, verb]
        with Terminal(command, columns) as terminal:
            assert terminal.wait_for_end() == 0
            shown = WRAPPED.get((verb, columns), SCREENS[verb])
            assert terminal.text() == folded(shown, columns)
