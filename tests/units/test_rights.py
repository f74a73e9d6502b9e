"""Who may do what: people at the control socket, and the daemon in its sandbox."""

import pathlib
import re

import pytest
from ringchat import SERVICE, configure, install


@pytest.fixture(scope="module")
def host(module_lab):
    [made] = module_lab.boot(1)
    install(made)
    configure(made)
    made.run("sh", "-ec", "useradd -m outsider; useradd -m -G ringchat member;"
             " useradd -m -G ringchat,ringchat-admin admin; useradd -m -G ringchat-admin half")
    made.systemctl("start", SERVICE)
    return made


# ---- people ----

def test_a_member_of_the_group_reads_and_sends_under_its_own_name(host):
    host.control("send", "from a member", user="member")
    shown = host.control("--json", "tail", "-n", "1", user="member").stdout
    assert '"user":"member"' in shown and "from a member" in shown


def test_a_member_of_the_group_may_not_change_things(host):
    for words in [("leave",), ("log", "debug")]:
        done = host.control(*words, user="member", check=False)
        assert done.returncode == 1
        assert "ringchat-admin" in done.stderr
    assert host.status()["state"] != "left"


def test_an_administrator_changes_things(host):
    host.control("log", "heartbeat", user="admin")
    assert host.control("log", user="admin").stdout.strip() == "heartbeat"
    host.control("log", "normal", user="admin")
    host.control("leave", user="admin")
    host.control("join", user="admin")


@pytest.mark.parametrize("user", ["outsider", "half"])
def test_who_is_not_in_the_group_is_refused_and_told_the_cure(host, user):
    done = host.control("status", user=user, check=False)
    assert done.returncode == 1
    assert f"sudo usermod -aG ringchat {user}" in done.stderr


def test_the_daemons_files_are_its_own(host):
    shown = host.output("stat", "-c", "%n %U %G %a", "/run/ringchat", "/run/ringchat/control",
                        "/var/lib/ringchat", "/var/lib/ringchat/history.db")
    assert shown.splitlines() == [
        "/run/ringchat ringchat ringchat 755", "/run/ringchat/control ringchat ringchat 660",
        "/var/lib/ringchat ringchat ringchat 700",
        "/var/lib/ringchat/history.db ringchat ringchat 600"]


# ---- the daemon ----

def test_the_daemon_runs_without_capabilities_and_behind_a_filter(host):
    pid = host.outside_pid(host.show(SERVICE, "MainPID"))
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    for name in ["CapEff", "CapPrm", "CapBnd", "CapAmb"]:
        assert int(fields[name], 16) == 0, name
    assert fields["NoNewPrivs"] == "1"
    assert fields["Seccomp"] == "2"
    assert "0" not in fields["Uid"].split()


PROBE = r"""
use POSIX;
sub try { my ($name, $done) = @_; printf "%s: %s\n", $name, $done ? "done" : strerror($!); }
try("write /etc", open(my $a, ">", "/etc/probe"));
try("write /usr", open(my $b, ">", "/usr/probe"));
try("write /var/lib", open(my $c, ">", "/var/lib/probe"));
try("write its state", open(my $d, ">", "$ENV{STATE_DIRECTORY}/probe"));
try("write its runtime directory", open(my $e, ">", "$ENV{RUNTIME_DIRECTORY}/probe"));
try("read /root", -e "/root/.profile");
try("read /home", -e "/home/member/.profile");
try("write /proc/sys", open(my $h, ">", "/proc/sys/kernel/hostname"));
try("see PID 1", -e "/proc/1/status");
try("packet socket", socket(my $i, 17, 3, 0));
try("bluetooth socket", socket(my $j, 31, 3, 0));
try("netlink socket", socket(my $k, 16, 3, 0));
try("internet socket", socket(my $l, 2, 2, 0));
my ($tmpfs, $place, $time, $name) = ("tmpfs", "/tmp", pack("qq", 1, 1), "x");
try("mount", syscall(165, $tmpfs, $place, $tmpfs, 0, 0) == 0);
try("unshare", syscall(272, 0x10000000) == 0);
try("reboot", syscall(169, 0, 0, 0, 0) == 0);
try("set the clock", syscall(227, 0, $time) == 0);
try("set the host name", syscall(170, $name, 1) == 0);
try("memory that is written and run", syscall(9, 0, 4096, 7, 0x22, -1, 0) > 0);
try("set-user-id file", chmod(04755, "$ENV{STATE_DIRECTORY}/probe"));
try("step back for others", setpriority(0, 0, 19));
try("get ahead of others", setpriority(0, 0, -5));
try("kernel log", open(my $m, "<", "/dev/kmsg"));
try("disk", -b "/dev/vda");
"""


def test_what_the_daemon_must_not_touch_fails(host):
    """A probe in the daemon's place: the same unit with another command. The numbers of system
    calls are those of x86-64."""
    if host.output("uname", "-m") != "x86_64":
        pytest.skip("the probe's system calls are those of x86-64")
    host.write("/usr/local/bin/probe", PROBE)
    unit = host.output("systemctl", "cat", SERVICE)
    unit = re.sub(r"^ExecStart=(.*\\\n)*.*", "ExecStart=/usr/bin/perl /usr/local/bin/probe", unit,
                  flags=re.M)
    unit = unit.replace("Type=notify", "Type=oneshot").replace("=ringchat\n", "=ringchat-probe\n")
    unit = unit.replace("User=ringchat-probe", "User=ringchat")
    unit = unit.replace("Group=ringchat-probe", "Group=ringchat").replace("WatchdogSec=10", "")
    host.write("/run/systemd/system/probe.service",
               unit.replace("Restart=on-failure", "StandardOutput=journal"))
    host.systemctl("daemon-reload")
    host.systemctl("start", "probe")
    entries = host.journal("-u", "probe", "_COMM=perl")
    results = dict(entry["MESSAGE"].split(": ") for entry in entries)
    allowed = {name for name, result in results.items() if result == "done"}
    assert allowed == {"write its state", "write its runtime directory", "netlink socket",
                       "internet socket", "step back for others"}
    assert results["write /etc"] == "Read-only file system"
    assert results["packet socket"] == "Address family not supported by protocol"
    # By a filter, or by a kernel and a systemd that know of it.
    assert results["memory that is written and run"] in {"Operation not permitted",
                                                         "Permission denied"}
    assert results["set-user-id file"] == "Operation not permitted"


def test_systemd_finds_no_mistake_in_the_installed_units(host):
    done = host.run("systemd-analyze", "verify", "--man=no", SERVICE, "ringchatd.socket",
                    "ringchatd@lab.service", "ringchatd@lab.socket")
    assert not [line for line in done.stderr.splitlines() if "ringchat" in line]


def test_the_services_exposure_is_low(host):
    host.run("systemd-analyze", "security", "--threshold=15", SERVICE)
    assert host.run("systemd-analyze", "security", "--threshold=5", SERVICE,
                    check=False).returncode != 0
