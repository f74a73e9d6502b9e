"""The root file system of the hosts: a minimal Debian of this machine's own release, made once and
kept outside of the tree's sources, and on top of it what `meson install` writes. With
RINGCHAT_RELEASE=CODENAME it is Debian of that release."""

import fcntl
import hashlib
import os
import pathlib
import re
import shutil
import subprocess

TREE = pathlib.Path(__file__).parents[2]
BUILD = pathlib.Path(os.environ.get("RINGCHAT_BUILD", TREE / "build-tests" / "debug")).resolve()
CACHE = TREE / "build-tests"

PACKAGES = ["systemd", "systemd-sysv", "dbus", "iproute2", "procps", "libjson-c5",
            "libevent-core-2.1-7", "libevent-pthreads-2.1-7", "libevent-openssl-2.1-7", "libuuid1",
            "libsqlite3-0", "libssl3", "libsystemd0", "libedit2"]

OTHER_RELEASE = os.environ.get("RINGCHAT_RELEASE")

# The kind of a host (see lab.py) on which systemd/setup finds the packages that it would install.
BUILDING = "" if OTHER_RELEASE else "building"

# Nothing that only costs time runs in a host, and nothing of the machine's own is in it.
MASKED = ["console-getty.service", "getty@.service", "apt-daily.timer", "apt-daily-upgrade.timer",
          "dpkg-db-backup.timer", "e2scrub_all.timer", "e2scrub_reap.service", "fstrim.timer"]


class Impossible(Exception):
    """This machine cannot make such hosts; the text says why."""


def _release():
    fields = dict(line.split("=", 1) for line in
                  pathlib.Path("/etc/os-release").read_text().splitlines() if "=" in line)
    return fields.get("ID", "").strip('"'), fields.get("VERSION_CODENAME", "").strip('"')


def _sources(own, codename):
    """Where apt gets Debian from on this machine, as lines for sources.list."""
    done = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(ORIGIN)|$(REPO_URI)|$(CODENAME)|$(COMPONENT)",
         "Created-By: Packages"], capture_output=True, text=True, check=False)
    rows = {tuple(line.split("|")) for line in done.stdout.splitlines()}
    return [f"deb {uri} {suite.replace(own, codename)} {component}"
            for origin, uri, suite, component in sorted(rows)
            if origin == "Debian" and suite.startswith(own)]


def _packages():
    if not OTHER_RELEASE:
        return PACKAGES
    # Libraries have other names there; those for building have not, and bring them.
    [needed] = re.findall(r"^packages=\((.*?)\)", (TREE / "systemd/setup").read_text(), re.M | re.S)
    return [name for name in PACKAGES if not name.startswith("lib")] + needed.split()


def _make(path, sources, codename, packages):
    if not sources:
        raise Impossible("apt knows no source of Debian; run apt-get update")
    done = subprocess.run(
        ["mmdebstrap", "--quiet", "--variant=minbase", "--mode=root",
         f"--include={','.join(packages)}", "--aptopt=APT::Install-Recommends \"false\"",
         "--aptopt=Acquire::Languages \"none\"",
         *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("man", "doc", "locale")),
         codename, str(path), "-"],
        input="\n".join(sources), capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Impossible(f"mmdebstrap failed: {done.stderr.strip()[-500:]}")
    for name in ["etc/hostname", "etc/resolv.conf", "etc/apt/sources.list"]:
        (path / name).unlink(missing_ok=True)
    (path / "etc/machine-id").write_text("")
    for unit in MASKED:
        (path / "etc/systemd/system" / unit).symlink_to("/dev/null")


def make_base():
    """The directory of the base root, made if it is not there yet."""
    distribution, own = _release()
    codename, packages = OTHER_RELEASE or own, _packages()
    if distribution != "debian":
        raise Impossible("the hosts of these tests are made with Debian's mmdebstrap")
    for program in ["mmdebstrap", "systemd-nspawn", "ip"]:
        if shutil.which(program) is None:
            raise Impossible(f"there is no {program}")
    recipe = repr((codename, packages, MASKED, "1"))
    path = CACHE / f"units-base-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    CACHE.mkdir(exist_ok=True)
    with open(CACHE / "units-base.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            made = path.with_suffix(".new")
            shutil.rmtree(made, ignore_errors=True)
            _make(made, _sources(own, codename), codename, packages)
            made.rename(path)
    return path


def install(directory):
    """What `meson install` writes, in a directory of its own."""
    done = subprocess.run(["/usr/bin/meson", "install", "-C", str(BUILD), "--no-rebuild",
                           "--destdir", str(directory)],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return directory
