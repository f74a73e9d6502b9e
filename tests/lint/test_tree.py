"""The tree keeps its own rules."""

import os
import pathlib
import re
import shutil
import statistics
import subprocess

import checks
import pytest

ROOT = pathlib.Path(__file__).parents[2]
BUILD = pathlib.Path(os.environ.get("RINGCHAT_BUILD", ROOT / "build")).resolve()


def tracked_files():
    """What is, or would be, in the repository; without git all that is not ignored by its name."""
    done = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT), "ls-files", "-co",
         "--exclude-standard"], capture_output=True, text=True, check=False) \
        if shutil.which("git") else None
    if done is not None and done.returncode == 0:
        return sorted(name for name in done.stdout.splitlines() if (ROOT / name).exists())
    skip = re.compile(r"(^|/)(build[^/]*|__pycache__|\.git|\.cache|\.pytest_cache)/|\.pyc$")
    names = (str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if path.is_file())
    return sorted(name for name in names if not skip.search(name))


FILES = tracked_files()


def texts(pattern):
    for name in FILES:
        if re.search(pattern, name):
            yield name, (ROOT / name).read_text()


def complaints_of(check, pattern, *arguments):
    return [line for name, text in texts(pattern) for line in check(name, text, *arguments)]


def need(program):
    if shutil.which(program) is None:
        pytest.skip(f"there is no {program}")


def built(name):
    path = BUILD / name
    if not path.exists():
        pytest.skip(f"{path} is not built")
    return str(path)


def scripts():
    """Shell scripts, known by their first line, and what bash reads of completion."""
    return [name for name in FILES if name.endswith(".bash") or "." not in os.path.basename(name)
            and re.match(rb"#!.*\b(ba)?sh\b", (ROOT / name).open("rb").readline())]


def test_no_function_is_longer_than_a_screen():
    assert not complaints_of(checks.long_functions, r"\.[ch]$")


def test_half_of_all_functions_are_short():
    lengths = [lines for _, text in texts(r"^(common|ctl|daemon)/.*\.c$")
               for _, lines in checks.function_lengths(text)]
    assert statistics.median(lengths) < checks.FUNCTION_LINES_MEDIAN


def test_no_file_is_longer_than_500_lines():
    assert not complaints_of(checks.long_file, r"\.([ch]|py|def)$")


def test_code_is_laid_out_by_clang_format():
    need("clang-format")
    version = subprocess.run(["clang-format", "--version"], capture_output=True, text=True,
                             check=True).stdout
    if not re.search(r"version 14\.", version):
        pytest.skip(f"versions of clang-format differ, the layout is version 14's: {version}")
    sources = [str(ROOT / name) for name in FILES if re.search(r"\.[ch]$", name)]
    done = subprocess.run(["clang-format", "--dry-run", "-Werror", *sources],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[:3000]


def test_no_switch_over_an_own_enum_has_a_default():
    constants = set().union(*(checks.enumerators(text) for _, text in texts(r"\.[ch]$")))
    assert len(constants) > 50
    assert not complaints_of(checks.defaults_over_enums, r"\.[ch]$", constants)


def test_the_core_includes_nothing_that_it_must_not_know():
    assert not complaints_of(checks.core_includes, r"^daemon/ring/.*\.[ch]$")


def test_common_depends_on_neither_daemon_nor_ctl_and_these_not_on_each_other():
    assert not complaints_of(checks.wrong_layer, r"^common/.*\.[ch]$", {"daemon", "ctl", "ring"})
    assert not complaints_of(checks.wrong_layer, r"^ctl/.*\.[ch]$", {"daemon", "ring"})
    assert not complaints_of(checks.wrong_layer, r"^daemon/.*\.[ch]$", {"ctl"})


@pytest.fixture(scope="session")
def release_build(tmp_path_factory):
    """A plain release build of the core: no sanitizer, no flags of the caller's environment."""
    directory = tmp_path_factory.mktemp("release")
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("CFLAGS", "CPPFLAGS", "LDFLAGS")}
    for command in (["/usr/bin/meson", "setup", "--buildtype=release", "-Dwerror=true",
                     "-Dtests=false", str(directory), str(ROOT)],
                    ["ninja", "-C", str(directory), "daemon/ring/libring.a"]):
        done = subprocess.run(command, capture_output=True, text=True, check=False,
                              env=environment)
        assert done.returncode == 0, done.stdout[-3000:]
    return directory


def test_a_release_build_of_the_core_needs_memory_and_strings_and_nothing_else(release_build):
    done = subprocess.run(["nm", "-P", str(release_build / "daemon/ring/libring.a")],
                          capture_output=True, text=True, check=True)
    symbols = [line.split()[:2] for line in done.stdout.splitlines() if not line.endswith(":")]
    assert ["ring_step", "T"] in symbols
    assert not checks.core_symbols(symbols)


@pytest.mark.parametrize("program", ["daemon/ringchatd", "ctl/ringchatctl"])
def test_programs_are_hardened(program):
    """Position-independent, all relocations read-only, stack protected, libc calls checked."""
    need("readelf")
    shown = subprocess.run(["readelf", "-hldsW", built(program)], capture_output=True, text=True,
                           check=True).stdout
    assert not checks.not_hardened(shown)


def test_shellcheck_likes_every_script():
    need("shellcheck")
    done = subprocess.run(["shellcheck", *scripts()], cwd=ROOT, capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stdout


# The status that mandoc(1) ends with where it has remarks of style only.
MANDOC_STYLE = 1


def test_mandoc_likes_every_manual_page():
    need("mandoc")
    pages = [name for name in FILES if re.match(r"man/.*\.[1-8]$", name)]
    assert pages
    done = subprocess.run(["mandoc", "-Tlint", *pages], cwd=ROOT, capture_output=True, text=True,
                          check=False)
    # Whether other pages are installed is no fault of these.
    complaints = [line for line in done.stdout.splitlines()
                  if "referenced manual not found" not in line]
    assert done.returncode <= MANDOC_STYLE and not complaints, complaints


def test_man_renders_every_manual_page_without_a_warning():
    """groff(1) minds what mandoc does not."""
    need("man")
    need("groff")
    for page in [name for name in FILES if re.match(r"man/.*\.[1-8]$", name)]:
        done = subprocess.run(["man", "--warnings", "--local-file", "-Tutf8", page], cwd=ROOT,
                              env={**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80"},
                              capture_output=True, text=True, check=False)
        assert done.returncode == 0 and len(done.stdout) > 1000, page
        assert done.stderr == "", (page, done.stderr)


def test_every_verb_of_ringchatctl_is_in_its_manual_page():
    done = subprocess.run([built("ctl/ringchatctl"), "help"], capture_output=True, text=True,
                          check=True)
    verbs = re.findall(r"^  ([a-z]+)\b", done.stdout, re.M)
    assert {"send", "tail", "history", "members", "status", "wait"} <= set(verbs)
    page = (ROOT / "man/ringchatctl.1").read_text()
    heads = " ".join(re.findall(r"^\.(?:It|Ss|Sh|B|BI|BR|Cm|Ic|TP|SS)\b.*", page, re.M))
    assert not [verb for verb in verbs if not re.search(rf"\b{verb}\b", heads)]


def settings():
    """The settings that the default configuration shows, as (section, key, value)."""
    section = None
    for line in (ROOT / "systemd/ringchatd.conf").read_text().splitlines():
        if match := re.fullmatch(r"\[(\w+)\]", line):
            section = match[1]
        elif match := re.fullmatch(r"#(\w+)=(.*)", line):
            yield section, match[1], match[2]
        else:
            assert line == "" or line.startswith("# ") or line == "#", line


def test_every_line_of_the_default_configuration_is_a_commented_setting_that_ringchatd_knows(
        tmp_path):
    shown = list(settings())
    assert len(shown) > 15
    active = tmp_path / "ringchatd.conf"
    active.write_text("".join(f"[{section}]\n{key}={value}\n" for section, key, value in shown))
    done = subprocess.run([built("daemon/ringchatd"), "--check", "--config", str(active)],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0 and str(active) not in done.stderr, done.stderr


def test_the_example_of_a_drop_in_is_accepted():
    example = ROOT / "systemd/local.conf.example"
    done = subprocess.run([built("daemon/ringchatd"), "--check", "--config", str(example)],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0 and not done.stderr, done.stderr


def catalog():
    """The entries of the journal's catalog: name, id, headers, text."""
    text = (ROOT / "systemd/ringchat.catalog").read_text()
    for entry in re.split(r"^# (?=[A-Z_]+\n-- )", text, flags=re.M)[1:]:
        head, _, body = entry.partition("\n\n")
        name, ident, *headers = head.splitlines()
        yield name, ident.removeprefix("-- "), headers, body.strip()


def test_every_line_for_an_operator_is_explained_in_the_catalog_and_nothing_else():
    shown = set()
    for table, kind in [("daemon/journal-line.def", "LINE"), ("daemon/ring/event.def", "EVENT")]:
        rows = re.findall(rf"^{kind}\((\w+), \w+, (\w+)", (ROOT / table).read_text(), re.M)
        assert len(rows) > 8
        shown |= {name for name, priority in rows if priority != "DEBUG"}
    explained = [name for name, *_ in catalog()]
    assert len(explained) == len(set(explained))
    assert set(explained) == shown


def test_every_entry_of_the_catalog_has_an_id_of_its_own_a_subject_a_page_and_a_text():
    entries = list(catalog())
    assert len({ident for _, ident, _, _ in entries}) == len(entries) > 20
    for name, ident, headers, body in entries:
        assert re.fullmatch("[0-9a-f]{32}", ident), name
        assert re.match("Subject: .+", headers[0]) and headers[1] == "Defined-By: ringchat", name
        assert re.fullmatch(r"Documentation: man:[\w.-]+\(\d\)", headers[2]), name
        assert len(body.split()) > 15, name


def test_systemd_takes_the_whole_catalog(tmp_path):
    need("journalctl")
    folder = tmp_path / "usr/lib/systemd/catalog"
    folder.mkdir(parents=True)
    (tmp_path / "var/lib/systemd/catalog").mkdir(parents=True)
    shutil.copy(ROOT / "systemd/ringchat.catalog", folder)
    subprocess.run(["journalctl", "--update-catalog", f"--root={tmp_path}"], check=True)
    done = subprocess.run(["journalctl", "--list-catalog", f"--root={tmp_path}"],
                          capture_output=True, text=True, check=True)
    assert {line.split()[0] for line in done.stdout.splitlines()} == {
        ident for _, ident, _, _ in catalog()}


def test_every_setting_is_in_its_manual_page():
    page = (ROOT / "man/ringchatd.conf.5").read_text()
    assert not [key for _, key, _ in settings() if key not in page]


def installed_units(tmp_path):
    """The units as they were built, with a daemon that exists."""
    directory = tmp_path / "units"
    directory.mkdir()
    for path in [*(BUILD / "systemd").glob("*.service"), *(BUILD / "systemd").glob("*.socket")]:
        text = re.sub(r"^ExecStart=\S+", f"ExecStart={shutil.which('true')}", path.read_text(),
                      flags=re.M)
        name = path.name.replace("@.", "@other.")
        (directory / name).write_text(text)
    units = sorted(map(str, directory.iterdir()))
    if not units:
        pytest.skip(f"{BUILD} has no units")
    return units


def test_systemd_finds_no_mistake_in_the_units(tmp_path):
    need("systemd-analyze")
    for unit in installed_units(tmp_path):
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit],
                              capture_output=True, text=True, check=False)
        assert done.returncode == 0 and os.path.basename(unit) not in done.stderr, done.stderr


def test_the_units_are_sandboxed(tmp_path):
    need("systemd-analyze")
    for unit in installed_units(tmp_path):
        if unit.endswith(".socket"):
            continue
        done = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--threshold=15",
                               unit], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-2000:]


def long_lines(name, text):
    return [f"{name}:{number}: longer than 100 columns"
            for number, line in enumerate(text.splitlines(), 1)
            if len(line) > 100 and "{{" not in line]


def test_no_line_is_longer_than_100_columns():
    assert not complaints_of(
        long_lines, r"\.(py|sysusers|tmpfiles|conf|in|build)$|/(run|setup|failover|repair|endure)$")


def test_the_top_level_holds_nothing_but_the_fixed_names():
    assert not checks.strangers_at_the_top({name.split("/")[0] for name in FILES})


def test_no_test_sleeps():
    assert not complaints_of(checks.sleeps, r"^tests/(?!lint/|fuzz/corpus/)")


def test_nothing_in_the_code_is_left_for_later():
    assert not complaints_of(checks.left_for_later, r"^(common|ctl|daemon|man|systemd)/")


def test_every_path_that_the_readme_names_exists():
    readme = (ROOT / "README.md").read_text()
    paths = re.findall(r"`((?:common|ctl|daemon|man|systemd|tests)/[\w./-]*)`", readme)
    assert len(paths) > 8
    assert not [path for path in paths if not (ROOT / path).exists()]


def test_every_story_is_in_the_manual_of_the_protocol():
    page = (ROOT / "man/ringchat-protocol.7").read_text()
    told = set(re.findall(r"^\.Pa ([\w-]+)(?: |$)", page, re.M))
    stories = {path.stem for path in (ROOT / "tests/golden").glob("*.story")}
    assert stories and stories <= told, stories - told
