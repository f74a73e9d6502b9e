"""Clients of other authors on the control socket: Debian's tools for Varlink in Go, and varlinkctl
of systemd as Debian 13 has it, run from a root directory that holds nothing else."""

import fcntl
import hashlib
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess

import pytest
from fake import CONTROL, PATIENCE
from live import LiveDaemon

TREE = pathlib.Path(__file__).parents[2]
INTERFACE = (TREE / "common" / "ringchat.varlink").read_text()
METHODS = re.findall(r"^method (\w+)", INTERFACE, re.M)
RELEASE = "trixie"


@pytest.fixture(scope="module")
def daemon():
    with LiveDaemon() as made:
        made.send("first")
        made.send("second")
        yield made


# ---- Go ----

def need(program):
    if shutil.which(program) is None:
        pytest.skip(f"there is no {program} (package varlink-go)")


class CertificationServer:
    """The daemon's way of speaking Varlink, with the methods of Varlink's own test."""

    def __init__(self, directory):
        self.path = str(directory / "certification")
        self.process = subprocess.Popen(
            [CONTROL.parents[1] / "tests" / "shell" / "certification-server", self.path],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def call(self, *calls):
        """The last answer to these methods of one client, one after the other."""
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(PATIENCE)
            control.connect(self.path)
            with control.makefile("rw", encoding="utf-8") as stream:
                for method, parameters in calls:
                    stream.write(json.dumps({"method": f"org.varlink.certification.{method}",
                                             "parameters": parameters}) + "\n")
                    stream.flush()
                    reply = json.loads(stream.readline())
        return reply["parameters"]

    def complaints(self):
        """The methods that got what they were not to get; ends the server."""
        self.process.terminate()
        told = self.process.communicate()[1]
        return re.findall(r"^org\.varlink\.certification\.(\w+): got", told, re.M)


def run_certification(path):
    need("varlink-go-certification")
    done = subprocess.run(["varlink-go-certification", "-client", "-varlink", f"unix:{path}"],
                          capture_output=True, text=True, timeout=PATIENCE, check=False)
    return done.stdout + done.stderr


def test_the_certification_client_brings_all_back_and_gets_all_replies(tmp_path):
    with CertificationServer(tmp_path) as server:
        for _ in range(2):
            told = run_certification(server.path)
            assert told.count("  Receive: 'Reply number") == 10
            assert told.endswith("Test11: ''\nEnd: 'true'\n")
        assert not server.complaints()


ONE = {"client_id": "the only one"}


@pytest.mark.parametrize(("calls", "wrong"), [
    ([("Test01", {"client_id": "another one"})], ["Test01", "End"]),
    ([("Test01", ONE), ("Test02", {**ONE, "bool": False})], ["Test02", "End"]),
    ([("Test02", {**ONE, "bool": True})], ["Test02", "End"]),
    ([("Test01", ONE), ("Test02", {**ONE, "bool": True}), ("Test03", {**ONE, "int": -1})],
     ["Test03", "End"])])
def test_the_certification_tells_what_did_not_come_back(tmp_path, calls, wrong):
    with CertificationServer(tmp_path) as server:
        assert server.call(("Start", {}), *calls, ("End", ONE)) == {"all_ok": False}
        assert server.complaints() == wrong


def test_the_certification_client_reads_the_error_that_answers_it(daemon):
    """It asks for an interface of its own, which no daemon but its own server has: what it gets is
    an error that it can read, and the daemon lives."""
    told = run_certification(daemon.path)
    assert "Start() failed" in told and "panic" not in told
    assert daemon.json("status")["state"] == "live"


def test_the_generator_for_go_understands_the_interface(tmp_path):
    need("varlink-go-interface-generator")
    (tmp_path / "org.ringchat.varlink").write_text(INTERFACE)
    subprocess.run(["varlink-go-interface-generator", "org.ringchat.varlink"], cwd=tmp_path,
                   capture_output=True, timeout=PATIENCE, check=True)
    [made] = tmp_path.glob("*.go")
    code = made.read_text()
    for method in METHODS:
        assert re.search(rf"\btype {method}_methods\b", code), method


# ---- varlinkctl ----

def _mirror():
    """Where apt gets Debian from on this machine."""
    done = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(ORIGIN)|$(REPO_URI)", "Created-By: Packages"],
        capture_output=True, text=True, check=False)
    rows = [line.split("|")[1] for line in done.stdout.splitlines() if line.startswith("Debian|")]
    rows = [uri for uri in rows if "security" not in uri]
    return rows[0] if rows else None


def _make_root(path):
    mirror = _mirror()
    if mirror is None:
        pytest.skip("apt knows no source of Debian; run apt-get update")
    done = subprocess.run(
        ["mmdebstrap", "--quiet", "--variant=extract", "--mode=root", "--include=systemd", RELEASE,
         str(path), f"deb {mirror} {RELEASE} main"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no root of Debian 13: {done.stderr[-300:]}")
    # Nothing is configured in it, so what base-files would do is done here.
    for name in ("bin", "lib", "lib64", "sbin"):
        if not (path / name).exists():
            (path / name).symlink_to(f"usr/{name}")


@pytest.fixture(scope="module")
def root():
    """The root directory, made once and kept beside the builds."""
    if os.geteuid() != 0 or shutil.which("mmdebstrap") is None:
        pytest.skip("needs root and mmdebstrap")
    cache = CONTROL.parents[2]
    recipe = hashlib.sha256(pathlib.Path(__file__).read_bytes()).hexdigest()[:8]
    path = cache / f"varlinkctl-{recipe}"
    with open(cache / "varlinkctl.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            made = path.with_suffix(".new")
            shutil.rmtree(made, ignore_errors=True)
            _make_root(made)
            made.rename(path)
    return path


@pytest.fixture
def varlinkctl(root, daemon):
    """Runs varlinkctl on the daemon's socket, which its root directory sees as /tmp/ring."""
    place = root / "tmp" / "ring"
    place.mkdir(exist_ok=True)
    command = ["unshare", "--mount", "sh", "-c",
               'mount --bind "$1" "$2" && shift 2 && exec chroot "$@"', "sh",
               os.path.dirname(daemon.path), str(place), str(root), "varlinkctl"]

    def run(verb, *words, options=()):
        return subprocess.run([*command, *options, verb, "unix:/tmp/ring/control", *words],
                              capture_output=True, text=True, timeout=PATIENCE, check=False,
                              env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"})
    return run


def test_varlinkctl_shows_who_answers(varlinkctl):
    done = varlinkctl("info")
    assert done.returncode == 0, done.stderr
    assert "ringchatd" in done.stdout and "org.ringchat" in done.stdout


def test_varlinkctl_reads_the_whole_interface(varlinkctl):
    done = varlinkctl("introspect", "org.ringchat")
    assert done.returncode == 0, done.stderr
    assert re.findall(r"^method (\w+)", done.stdout, re.M) == METHODS


def test_varlinkctl_calls_and_finds_the_answer_as_the_interface_has_it(varlinkctl):
    done = varlinkctl("call", "org.ringchat.Members", "{}", options=["--json=short"])
    assert done.returncode == 0, done.stderr
    assert [member["name"] for member in json.loads(done.stdout)["members"]] == ["alpha"]


def test_varlinkctl_sends_and_is_told_of_a_wrong_parameter(varlinkctl, daemon):
    done = varlinkctl("call", "org.ringchat.Send", '{"text":"from varlinkctl"}')
    assert done.returncode == 0, done.stderr
    assert daemon.json("history", "-n", "1")["text"] == "from varlinkctl"
    done = varlinkctl("call", "org.ringchat.Send", '{"words":"nonsense"}')
    assert done.returncode != 0
    assert "InvalidParameter" in done.stderr or "Invalid argument" in done.stderr


def test_varlinkctl_takes_a_stream(varlinkctl):
    done = varlinkctl("call", "org.ringchat.Tail", '{"lines":2}',
                      options=["--json=short", "--more"])
    assert done.returncode == 0, done.stderr
    replies = [json.loads(line) for line in done.stdout.replace("\x1e", "").splitlines()]
    assert len([reply for reply in replies if "message" in reply]) == 2
    assert set(replies[-1]) == {"cursor"}
