"""systemd/setup and `meson install`: installing, upgrading, removing."""

import json
import re
import subprocess

import pytest
from base import BUILD, BUILDING, TREE
from ringchat import SERVICE

INSTALLED = {
    "usr/local/sbin/ringchatd", "usr/local/bin/ringchatctl",
    "usr/local/lib/systemd/system/ringchatd.service",
    "usr/local/lib/systemd/system/ringchatd.socket",
    "usr/local/lib/systemd/system/ringchatd@.service",
    "usr/local/lib/systemd/system/ringchatd@.socket",
    "usr/local/lib/systemd/catalog/ringchat.catalog",
    "usr/local/lib/sysusers.d/ringchat.conf", "usr/local/lib/tmpfiles.d/ringchat.conf",
    "usr/local/share/doc/ringchat/local.conf.example",
    "usr/local/share/bash-completion/completions/ringchatctl",
    "usr/local/share/zsh/site-functions/_ringchatctl",
    "usr/local/share/man/man1/ringchatctl.1", "usr/local/share/man/man5/ringchatd.conf.5",
    "usr/local/share/man/man7/ringchat-protocol.7", "usr/local/share/man/man7/ringchat-varlink.7",
    "usr/local/share/man/man8/ringchatd.8", "etc/ringchat/ringchatd.conf",
}


# ---- meson install ----

def test_an_installation_into_a_directory_is_complete_and_does_not_know_where_it_was_made(lowers):
    directory = lowers[0]
    files = {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}
    assert files == INSTALLED
    assert (directory / "etc/ringchat/ringchatd.conf.d").is_dir()
    for name in files:
        content = (directory / name).read_bytes()
        assert str(directory).encode() not in content, name
        if not name.endswith(("ringchatd", "ringchatctl")):  # these have names for a debugger
            assert str(TREE).encode() not in content, name
        assert b"RPATH" not in content and b"RUNPATH" not in content


def test_another_prefix_moves_everything_that_names_a_path(tmp_path):
    done = subprocess.run(
        ["/usr/bin/meson", "setup", "--prefix=/opt/ring", "--sysconfdir=/etc", "-Dtests=false",
         str(tmp_path / "build"), str(TREE)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    for unit in ["ringchatd.service", "ringchatd@.service"]:
        text = (tmp_path / "build/systemd" / unit).read_text()
        assert "/opt/ring/sbin/ringchatd --config /etc/ringchat/" in text.replace("\\\n", "")
        assert "/usr/local" not in text
    plan = json.loads(subprocess.run(
        ["/usr/bin/meson", "introspect", "--installed", str(tmp_path / "build")],
        capture_output=True, text=True, check=True).stdout)
    assert len(plan) >= len(INSTALLED) - 1
    assert not [place for place in plan.values() if not place.startswith("/opt/ring/")]


def test_what_an_administrator_wrote_is_not_overwritten(tmp_path):
    settings = tmp_path / "etc/ringchat/ringchatd.conf"
    for expected in ["# ringchatd.conf", "[Ring]\nName=mine\n"]:
        subprocess.run(["/usr/bin/meson", "install", "-C", str(BUILD), "--no-rebuild",
                        "--destdir", str(tmp_path)], capture_output=True, check=True)
        assert settings.read_text().startswith(expected)
        settings.write_text("[Ring]\nName=mine\n")


# ---- systemd/setup ----

@pytest.fixture(scope="module")
def host(module_lab):
    """A host with the sources, and with the packages that the script would install."""
    made = module_lab.make(BUILDING).boot()
    names = subprocess.run(["git", "-c", f"safe.directory={TREE}", "-C", str(TREE), "ls-files",
                            "-coz", "--exclude-standard", "--deduplicate"],
                           capture_output=True, check=True).stdout
    files = b"\0".join(name for name in names.split(b"\0")
                       if name and (TREE / name.decode()).exists())
    archive = made.lab.directory / "tree.tar"
    subprocess.run(["tar", "--null", "-C", str(TREE), "-T", "-", "-cf", str(archive)],
                   input=files, check=True)
    # Nothing of what the other tests install is there.
    made.run("sh", "-ec", "rm -rf /etc/ringchat /usr/local/*; mkdir /root/ringchat")
    made.feed(archive, "tar", "-C", "/root/ringchat", "-xf", "-")
    return made


def call_setup(host, *words, **options):
    return host.run("/root/ringchat/systemd/setup", *words, **options)


def installed(host):
    shown = host.output("sh", "-c", "find /usr/local -type f; ls /etc/ringchat 2>/dev/null || :")
    return {line.removeprefix("/") for line in shown.splitlines()}


def test_other_systems_get_a_list_of_what_is_needed(host):
    host.run("cp", "--remove-destination", "/usr/lib/os-release", "/etc/os-release")
    host.run("sed", "-i", "s/^ID=.*/ID=otherlinux/; s/^PRETTY_NAME=.*/PRETTY_NAME=Other/",
             "/etc/os-release")
    done = call_setup(host, check=False)
    host.run("ln", "-sf", "../usr/lib/os-release", "/etc/os-release")
    assert done.returncode == 1
    assert "this is Other" in done.stderr
    for word in ["meson", "libevent", "libsystemd", "SQLite", "json-c", "systemd-sysusers"]:
        assert word in done.stderr
    assert not installed(host)


def test_it_installs_upgrades_and_removes_and_keeps_what_was_written(host):
    # A first installation runs, has a key, and is there after a boot.
    shown = call_setup(host).stdout
    assert "rck1_" in shown
    assert host.show(SERVICE, "ActiveState") == "active"
    assert host.show(SERVICE, "UnitFileState") == "enabled"
    host.control("send", "kept over an upgrade")
    assert {name for name in INSTALLED if name.startswith("usr")} <= installed(host)
    assert "ringchat: ringchatd has started" in host.output("journalctl", "--list-catalog")
    host.write("/etc/ringchat/ringchatd.conf.d/local.conf", "[Node]\nDisplayName=kept\n")

    # An upgrade restarts it, takes away what the new version has no more, and keeps the rest.
    host.run("sh", "-ec", "cd /root/ringchat; sed -i s/^Description=.*/Description=Upgraded/"
             " systemd/ringchatd.service.in; sed -i '/local.conf.example/d' systemd/meson.build")
    pid = host.show(SERVICE, "MainPID")
    call_setup(host)
    assert host.show(SERVICE, "Description") == "Upgraded"
    assert host.show(SERVICE, "MainPID") != pid
    assert host.texts() == ["kept over an upgrade"]
    assert host.status()["name"] == "kept"
    assert not [name for name in installed(host) if "local.conf.example" in name]

    # Removed, it leaves settings and history, and they are there again afterwards.
    host.systemctl("enable", "--now", "ringchatd@lab.service")
    identity = host.status()["id"]
    call_setup(host, "--uninstall")
    assert not [name for name in installed(host) if name.startswith("usr")]
    assert host.systemctl("is-active", SERVICE, "ringchatd@lab.service",
                          check=False).stdout.split() == ["inactive", "inactive"]
    assert not host.output("sh", "-c", "find /etc/systemd -name '*ringchat*'")
    assert "ringchat" not in host.output("journalctl", "--list-catalog")
    call_setup(host)
    assert host.status()["id"] == identity
    assert host.texts() == ["kept over an upgrade"]

    # Purged, nothing is left, also of a host where it was removed before.
    call_setup(host, "--uninstall")
    assert call_setup(host, "--uninstall", check=False).returncode == 1
    call_setup(host, "--uninstall", "--purge")
    assert not installed(host)
    left = host.output("sh", "-c", "ls -d /var/lib/ringchat* /run/ringchat* /etc/ringchat*"
                       " 2>/dev/null; getent passwd ringchat; getent group ringchat ringchat-admin;"
                       " :")
    assert left == ""


# ---- without systemd ----

# Who is PID 1 of its own namespace is no systemd. The demonstration ends with that namespace.
WITHOUT_SYSTEMD = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "bash",
                   "-ec"]

# The three, as each of them sees the ring: its members, its key and who may read that.
DEMONSTRATION = """
/root/ringchat/systemd/setup >&2
cd /run/ringchat-demo
for again in 0 1; do
    for name in one two three; do
        ringchatctl --socket $name/control --json members
        ringchatctl --socket $name/control --json key show
        ringchatctl --socket $name/control --json key list
        ringchatctl --socket $name/control --json history
        stat -c '{"mode": "%a", "owner": "%U"}' $name/state/keyring
    done
    [ $again = 1 ] || /root/ringchat/systemd/setup >&2
done
cd /
/root/ringchat/systemd/setup --stop >&2
[ ! -e /run/ringchat-demo ]
if ls -l /proc/[0-9]*/exe 2>/dev/null | grep ringchatd >&2; then exit 1; fi
"""


def test_without_systemd_three_daemons_with_one_key_are_one_ring(host):
    done = host.run(*WITHOUT_SYSTEMD, DEMONSTRATION)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    members = [row for row in rows if "members" in row]
    keys = [row["key"] for row in rows if "key" in row]
    lists = [row["keys"] for row in rows if "keys" in row]
    assert len(members) == len(keys) == len(lists) == 6
    assert len(set(keys)) == 1 and keys[0].startswith("rck1_")
    assert lists == [[{"id": keys[0].split("_")[1], "used": True}]] * 6
    for ring in members:
        assert {member["name"] for member in ring["members"]} == {"one", "two", "three"}
    assert [row for row in rows if "mode" in row] == [{"mode": "600", "owner": "ringchat"}] * 6
    # One message at the first start, and another at the second, at each of them.
    assert len([row for row in rows if row.get("kind") == "chat"]) == 3 * 1 + 3 * 2


def test_without_systemd_a_key_is_refused_before_anything_is_done(host):
    before = installed(host)
    done = host.run(*WITHOUT_SYSTEMD, 'exec "$0" "$@"', "/root/ringchat/systemd/setup", "--key",
                    "-", text="rck1_\n", check=False)
    assert done.returncode == 1 and done.stdout == ""
    assert "loopback" in done.stderr and "ringchatctl key add" in done.stderr
    assert "rck1_" not in done.stderr
    assert installed(host) == before


def test_a_wrong_word_is_refused_and_changes_nothing(host):
    before = installed(host)
    for words in [("--purge",), ("--remove",), ("--uninstall", "now")]:
        done = call_setup(host, *words, check=False)
        assert done.returncode == 2
        assert re.search("--uninstall", done.stderr)
    assert installed(host) == before
