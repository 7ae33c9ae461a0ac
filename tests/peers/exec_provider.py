#!/usr/bin/env python3
"""Runs `dsops exec-provider` by OpenClaw's rules, in an emulation of its own, once for each era of these rules.

    tests/peers/exec_provider.py [path to dsops]

What is emulated: the checks of the command, the environment that is empty but for what is named, the directory, one
process for each batch, the time of the whole tree, the time of silence, the bytes of both streams together, the reading
of the answer, and what an error of one id does to the others. The rules were read in OpenClaw's source and tried
against its release 2026.9.6. Only the standard library is used. The emulation is tried first with programs that break
each rule. Exit code: 0 where every verdict is the expected one, 1 where one is not.
"""

import json
import os
import re
import selectors
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

MARKER = "__OPENCLAW_REDACTED__"
CANARY = "c4n4ry-value"
MOST_IDS = 512
MOST_REQUEST = 256 << 10


class Refused(Exception):
    """The whole provider failed."""


@dataclass(frozen=True)
class Era:
    name: str
    hash_in_ids: bool
    # Milliseconds; none where it is the time of the whole run.
    silence: int | None
    first_error_fails_all: bool
    shows_messages: bool

    def is_id(self, text):
        plain = r"[A-Za-z0-9][A-Za-z0-9._:/#-]{0,255}" if self.hash_in_ids else r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,255}"
        return re.fullmatch(plain, text) is not None and not {".", ".."} & set(text.split("/"))


ERAS = [
    Era("early 2026", False, 2000, True, True),
    Era("spring 2026", True, None, True, False),
    Era("2026.9", True, None, False, False),
]


@dataclass
class Provider:
    command: str
    args: list = field(default_factory=list)
    env: dict = field(default_factory=dict)
    pass_env: list = field(default_factory=list)
    timeout: int = 5000
    silence: int | None = None
    most_output: int = 1 << 20
    json_only: bool = True
    trusted: list = field(default_factory=list)


def check_command(provider):
    """Refuses a program that somebody else may have put there."""
    path = provider.command
    if not os.path.isabs(path):
        raise Refused("the command is no absolute path")
    try:
        found = os.lstat(path)
    except OSError:
        raise Refused("the command is not there") from None
    if stat.S_ISLNK(found.st_mode):
        raise Refused("the command is a symlink")
    if not stat.S_ISREG(found.st_mode):
        raise Refused("the command is no file")
    if found.st_mode & 0o022:
        raise Refused("the command may be written by others")
    if not found.st_mode & 0o100:
        raise Refused("the command may not be executed")
    if found.st_uid != os.getuid():
        raise Refused("the command is another user's")
    real = os.path.realpath(path)
    if provider.trusted and not any(os.path.commonpath([real, os.path.realpath(d)]) == os.path.realpath(d) for d in provider.trusted):
        raise Refused("the command is outside the trusted directories")


def descendants(pid):
    """Returns a process and what it started, as far as that can be seen."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                text = Path("/proc", entry, "stat").read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
            children.setdefault(int(text.rsplit(")", 1)[1].split()[1]), []).append(int(entry))
    found, todo = [], [pid]
    while todo:
        current = todo.pop()
        found.append(current)
        todo += children.get(current, [])
    return found


def kill_tree(pid):
    for each in descendants(pid):
        try:
            os.kill(each, signal.SIGKILL)
        except ProcessLookupError:
            pass


def spawn(provider, era, request):
    """Runs the program once, and returns its stdout."""
    environment = {name: os.environ[name] for name in provider.pass_env if name in os.environ} | provider.env
    child = subprocess.Popen(
        [provider.command, *provider.args], env=environment, cwd=os.path.dirname(provider.command),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )
    silence = provider.silence or era.silence or provider.timeout
    started = heard = time.monotonic()
    # A request fits no pipe in the worst case, so it is written as it is read.
    waiting = memoryview(request)
    os.set_blocking(child.stdin.fileno(), False)
    streams = {child.stdout: bytearray(), child.stderr: bytearray()}
    with selectors.DefaultSelector() as selector:
        for stream in streams:
            selector.register(stream, selectors.EVENT_READ)
        selector.register(child.stdin, selectors.EVENT_WRITE)
        try:
            while streams.keys() & {key.fileobj for key in selector.get_map().values()}:
                now = time.monotonic()
                left = min(started + provider.timeout / 1000, heard + silence / 1000) - now
                if left <= 0:
                    late = now >= started + provider.timeout / 1000
                    raise Refused("timed out" if late else "no output")
                for key, _ in selector.select(left):
                    stream = key.fileobj
                    if stream is child.stdin:
                        try:
                            waiting = waiting[os.write(stream.fileno(), waiting):]
                        except BrokenPipeError:
                            waiting = waiting[:0]
                        if not waiting:
                            selector.unregister(stream)
                            stream.close()
                        continue
                    piece = os.read(stream.fileno(), 1 << 16)
                    if not piece:
                        selector.unregister(stream)
                        continue
                    heard = time.monotonic()
                    streams[stream] += piece
                    if sum(map(len, streams.values())) > provider.most_output:
                        raise Refused("too much output")
            try:
                code = child.wait(max(0.0, started + provider.timeout / 1000 - time.monotonic()))
            except subprocess.TimeoutExpired:
                raise Refused("timed out") from None
        except Refused:
            kill_tree(child.pid)
            child.wait()
            raise
        finally:
            for stream in [child.stdin, child.stdout, child.stderr]:
                try:
                    stream.close()
                except BrokenPipeError:
                    pass
    out, err = bytes(streams[child.stdout]), bytes(streams[child.stderr])
    if CANARY.encode() in err:
        raise Refused("a value on stderr")
    if code != 0:
        raise Refused(f"exit code {code}")
    return out


def resolve(provider, era, ids):
    """Returns what each id came to: a value, or an error as `(code, message)`. Raises where nothing came of it."""
    check_command(provider)
    for each in ids:
        if not era.is_id(each):
            raise Refused("an id outside the grammar")
    ids = list(dict.fromkeys(ids))
    if len(ids) > MOST_IDS:
        raise Refused("too many ids")
    request = json.dumps({"protocolVersion": 1, "provider": "dsops", "ids": ids}).encode()
    if len(request) > MOST_REQUEST:
        raise Refused("the request is too large")
    text = spawn(provider, era, request).decode("utf-8", errors="replace").strip()
    if not text:
        raise Refused("empty stdout")
    raw = not provider.json_only and len(ids) == 1
    try:
        answer = json.loads(text)
    except ValueError:
        if raw:
            return {ids[0]: text}
        raise Refused("no JSON") from None
    if not isinstance(answer, dict):
        if raw and isinstance(answer, str):
            return {ids[0]: answer}
        raise Refused("no object")
    version = answer.get("protocolVersion")
    if isinstance(version, bool) or version != 1:
        raise Refused("another version")
    values, errors = answer.get("values"), answer.get("errors")
    if not isinstance(values, dict):
        raise Refused("no values")
    if errors is not None and not isinstance(errors, dict):
        raise Refused("errors are no object")
    results = {}
    for each in ids:
        if each in (errors or {}):
            error = errors[each] if isinstance(errors[each], dict) else {}
            results[each] = (error.get("code"), error.get("message"))
            if era.first_error_fails_all:
                shown = f": {error.get('message')}" if era.shows_messages else ""
                raise Refused(f"{each} failed with {error.get('code')}{shown}")
        elif each not in values:
            results[each] = ("absent", None)
            if era.first_error_fails_all:
                raise Refused(f"{each} is missing")
        elif not isinstance(values[each], str) or not values[each]:
            results[each] = ("unusable", None)
        elif values[each] == MARKER:
            results[each] = ("marker", None)
        else:
            results[each] = values[each]
    return results


TABLE = []


def verdict(era, case, good, told=""):
    TABLE.append((era, case, good, str(told)[:200]))


def outcome(provider, era, ids):
    try:
        return resolve(provider, era, ids)
    except Refused as refusal:
        return f"refused: {refusal}"


def script(directory, name, text, mode=0o700):
    path = Path(directory, name)
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def check_the_emulation(directory):
    """Programs that break each rule, so that a rule that is not kept here is seen."""
    last = ERAS[-1]
    answer = """printf '{"protocolVersion":1,"values":{"A":"v"}}'"""
    for case, text, change, told in [
        ("good", answer, {}, {"A": "v"}),
        ("bad end", answer + "; exit 3", {}, "refused: exit code 3"),
        ("nothing", "exit 0", {}, "refused: empty stdout"),
        ("no JSON", "echo hello", {}, "refused: no JSON"),
        ("raw", "echo hello", {"json_only": False}, {"A": "hello"}),
        ("version", """printf '{"protocolVersion":2,"values":{}}'""", {}, "refused: another version"),
        ("no values", """printf '{"protocolVersion":1}'""", {}, "refused: no values"),
        ("late", f"while :; do echo; /bin/sleep 0.1; done; {answer}", {"timeout": 600}, "refused: timed out"),
        ("silent", f"/bin/sleep 60; {answer}", {"silence": 300}, "refused: no output"),
        ("a left child", f"/bin/sleep 60 & {answer}", {"timeout": 600}, "refused: timed out"),
        ("stderr counts", f"echo 12345678901 >&2; {answer}", {"most_output": 45}, "refused: too much output"),
        ("environment", """printf '{"protocolVersion":1,"values":{"A":"%s"}}' "[$HOME$USER$GIVEN]" """, {"env": {"GIVEN": "x"}}, {"A": "[x]"}),
        ("directory", """printf '{"protocolVersion":1,"values":{"A":"%s"}}' "$(/bin/pwd -P)" """, {}, {"A": os.path.realpath(directory)}),
        ("empty", """printf '{"protocolVersion":1,"values":{"A":""}}'""", {}, {"A": ("unusable", None)}),
        ("marker", f"""printf '{{"protocolVersion":1,"values":{{"A":"{MARKER}"}}}}'""", {}, {"A": ("marker", None)}),
        ("neither", """printf '{"protocolVersion":1,"values":{"B":"v"}}'""", {}, {"A": ("absent", None)}),
    ]:
        program = script(directory, "helper", f"#!/bin/sh\n{text}\n")
        got = outcome(Provider(program, **change), last, ["A"])
        verdict("emulation", case, got == told, got)


PROGRAM = """#!/bin/sh
# Answers every id with its own name after a while, and leaves its number for whoever looks what is left.
echo $$ >> "$0.pids"
read -r request
case $1 in never) while :; do /bin/sleep 50; done ;; *) /bin/sleep "$1" ;; esac
ids=${request#*'"ids":['}; ids=${ids%']}'*}
IFS=,; for id in $ids; do values="$values,$id:$id"; done
printf '{"protocolVersion":1,"values":{%s}}' "${values#,}"
"""

AWKWARD = CANARY + ' "quotes" \\ back\\slash\nlines\té😀\u2028 \u0001 end'


def configuration(directory):
    """Writes the file of all cases; `env` names how the stores of its variables behave."""
    program = script(directory, "program", PROGRAM)
    store = lambda wait: f"{{type: exec, command: [{json.dumps(program)}, '{wait}'], pass_env: []}}"
    names = "".join(f"    N{number}: {{literal: {CANARY}-{number}}}\n" for number in range(MOST_IDS))
    big = "x" * (2 << 20)
    path = Path(directory, "config", "dsops.yaml")
    path.parent.mkdir()
    path.write_text(
        f"""secretStores:
  lit: {{type: literal, values: {{KEY: {CANARY}, a/KEY: {CANARY}-a, EMPTY: ''}}}}
  environment: {{type: env}}
  slow: {store("1.5")}
  never: {store("never")}
envs:
  good:
    A: {{from: lit/KEY}}
    B: {{from: lit/a/KEY}}
    AWKWARD: {{literal: {json.dumps(AWKWARD)}}}
    GONE: {{from: lit/GONE}}
    EMPTY: {{from: lit/EMPTY}}
    MARKER: {{literal: {MARKER}}}
    LARGE: {{literal: {big}}}
    PASSED: {{from: environment/PEER_PASSED}}
    KEPT: {{from: environment/PEER_KEPT}}
  many:
{names}
  slow: {{A: {{from: slow/A}}}}
  never: {{A: {{from: never/A}}}}
  half: {{A: {{from: never/A}}, B: {{from: slow/B}}, C: {{literal: {CANARY}}}}}
agents:
  openclaw: {{env: good, ids: {{'providers/openai/apiKey': {{from: lit/KEY}}, 'with#hash': {{from: lit/KEY}}}}}}
  raw: {{raw: on, allow: [lit/KEY]}}
"""
    )
    return str(path), f"{program}.pids"


def main():
    given = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("DSOPS", "target/debug/dsops")
    os.environ.update(PEER_PASSED=CANARY + "-passed", PEER_KEPT="not for the program")
    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o700)
        check_the_emulation(directory)
        binary = Path(directory, "bin", "dsops")
        binary.parent.mkdir(mode=0o700)
        shutil.copyfile(os.path.realpath(given), binary)
        binary.chmod(0o700)
        config, pids = configuration(directory)
        dsops = lambda *args, **more: Provider(str(binary), ["exec-provider", "--config", config, *args], **more)
        for era in ERAS:
            every_era(era, dsops)
        last_era(ERAS[-1], dsops, config)
        commands(ERAS[-1], dsops, binary, directory)
        started = Path(pids).read_text().split() if Path(pids).exists() else ["none was started"]
        left = [pid for pid in started if not pid.isdigit() or is_running(pid)]
        verdict("all", "nothing of a store's program is left", not left, left)
    width = max(len(case) for _, case, *_ in TABLE)
    for era, case, good, told in TABLE:
        print(f"{'right' if good else 'WRONG':5} {era:12} {case:{width}} {'' if good else told}".rstrip())
    wrong = [row for row in TABLE if not row[2]]
    print(f"{len(TABLE)} verdicts, {len(wrong)} of them wrong")
    return 1 if wrong else 0


def is_running(pid):
    over = time.monotonic() + 5
    while time.monotonic() < over:
        try:
            text = Path("/proc", pid, "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return False
        if text.rsplit(")", 1)[1].split()[0] == "Z":
            return False
        time.sleep(0.02)
    return True


def in_time(attempt, expected):
    """A limit of a few hundred milliseconds is a matter of what else the machine does: three tries are given."""
    for _ in range(3):
        got = attempt()
        if got == expected:
            break
    return got


def every_era(era, dsops):
    """What has to come out in the same way whatever the rules are."""
    ids = ["A", "B", "A", "providers/openai/apiKey", "AWKWARD"]
    good = {"A": CANARY, "B": CANARY + "-a", "providers/openai/apiKey": CANARY, "AWKWARD": AWKWARD}
    got = outcome(dsops(), era, ids)
    verdict(era.name, "values are exact", got == good, got)
    got = outcome(dsops("--env", "many"), era, [f"N{number}" for number in range(MOST_IDS)])
    verdict(era.name, "512 ids", got == {f"N{n}": f"{CANARY}-{n}" for n in range(MOST_IDS)}, got)
    got = outcome(dsops(pass_env=["PEER_PASSED"]), era, ["PASSED"])
    verdict(era.name, "a variable that is passed", got == {"PASSED": CANARY + "-passed"}, got)
    got = in_time(lambda: outcome(dsops("--env", "slow"), era, ["A"]), {"A": "A"})
    verdict(era.name, "a store of 1.5 s", got == {"A": "A"}, got)
    got = in_time(lambda: outcome(dsops("--env", "slow", silence=1200), era, ["A"]), {"A": "A"})
    verdict(era.name, "a store of 1.5 s, and 1.2 s of silence", got == {"A": "A"}, got)
    got = outcome(dsops(json_only=False), era, ["A"])
    verdict(era.name, "one id without jsonOnly", got == {"A": CANARY}, got)
    got = outcome(dsops("--profile", "raw"), era, ["lit/KEY"])
    verdict(era.name, "a path", got == {"lit/KEY": CANARY}, got)
    got = outcome(dsops(), era, ["with#hash"])
    expected = {"with#hash": CANARY} if era.hash_in_ids else "refused: an id outside the grammar"
    verdict(era.name, "an id with #", got == expected, got)
    got = outcome(dsops(), era, ["A", "GONE"])
    if era.first_error_fails_all:
        right = isinstance(got, str) and got.startswith("refused: GONE failed with NOT_FOUND") and CANARY not in got
    else:
        right = isinstance(got, dict) and got["A"] == CANARY and got["GONE"][0] == "NOT_FOUND"
    verdict(era.name, "one that is not there", right, got)
    got = in_time(lambda: shape(outcome(dsops("--env", "never"), era, ["A"])), "TIMED_OUT")
    verdict(era.name, "a store that never answers", got == "TIMED_OUT", got)


def shape(got):
    """Reduces an answer to the code of its error, in whatever way the era tells it."""
    if isinstance(got, str):
        return next((code for code in ["TIMED_OUT", "NOT_FOUND"] if f"failed with {code}" in got), got)
    return next((error[0] for error in got.values() if isinstance(error, tuple)), got)


def last_era(era, dsops, config):
    """What only an era that tells ids apart can show."""
    codes = lambda got: {i: r[0] if isinstance(r, tuple) else r for i, r in got.items()} if isinstance(got, dict) else got
    half = {"A": "TIMED_OUT", "B": "B", "C": CANARY}
    got = in_time(lambda: codes(outcome(dsops("--env", "half"), era, ["A", "B", "C"])), half)
    verdict(era.name, "half of the stores answer", got == half, got)
    short = {"A": "TIMED_OUT", "C": CANARY}
    got = in_time(lambda: codes(outcome(dsops("--env", "half", "--timeout", "2500ms", timeout=2500), era, ["A", "C"])), short)
    verdict(era.name, "half of them, in 2.5 s", got == short, got)
    got = codes(outcome(dsops(), era, ["A", "EMPTY", "MARKER", "KEPT", "GONE", "CLOSED", "LARGE"]))
    expected = {"A": CANARY, "EMPTY": "EMPTY", "MARKER": "PLACEHOLDER", "KEPT": "NOT_FOUND", "GONE": "NOT_FOUND", "CLOSED": "NOT_FOUND", "LARGE": "TOO_LARGE"}
    verdict(era.name, "good ids beside bad ones", got == expected, got)
    got = outcome(dsops("--profile", "raw"), era, ["lit/KEY", "lit/a/KEY", "lit/NONE"])
    same = isinstance(got, dict) and got["lit/KEY"] == CANARY and got["lit/a/KEY"] == got["lit/NONE"]
    verdict(era.name, "forbidden is the same as absent", same and got["lit/NONE"][0] == "NOT_FOUND", got)
    # As an audit asks after a batch with failures: one process for each id, several at once.
    from concurrent.futures import ThreadPoolExecutor
    with ThreadPoolExecutor(5) as pool:
        got = list(pool.map(lambda each: codes(outcome(dsops(), era, [each])), ["A", "GONE", "B", "EMPTY", "AWKWARD"]))
    expected = [{"A": CANARY}, {"GONE": "NOT_FOUND"}, {"B": CANARY + "-a"}, {"EMPTY": "EMPTY"}, {"AWKWARD": AWKWARD}]
    verdict(era.name, "one process for each id, at once", got == expected, got)
    broken = Path(config).with_name("broken.yaml")
    broken.write_text("envs: {good: {A: {form: x}}}\n")
    got = outcome(Provider(dsops().command, ["exec-provider", "--config", str(broken)]), era, ["A"])
    verdict(era.name, "a file that does not load", got == "refused: exit code 3", got)
    # The program's directory is the command's own: a file there is not read.
    beside = Path(dsops().command).with_name("dsops.yaml")
    beside.write_text(f"envs: {{good: {{A: {{literal: {CANARY}}}}}}}\nagents: {{openclaw: {{env: good}}}}\n")
    got = outcome(Provider(dsops().command, ["exec-provider"], env={"HOME": str(beside.parent)}), era, ["A"])
    verdict(era.name, "a file beside the program", got == "refused: exit code 3", got)
    beside.unlink()


def commands(era, dsops, binary, directory):
    """Copies of the program that are refused before they run."""
    link = Path(directory, "link")
    link.symlink_to(binary)
    def copy(name, mode):
        path = Path(directory, name)
        shutil.copyfile(binary, path)
        path.chmod(mode)
        return path
    cases = [
        ("a symlink", link, "is a symlink"),
        ("a relative path", Path("bin/dsops"), "no absolute path"),
        ("no file", Path(directory, "gone"), "is not there"),
        ("a directory", Path(directory), "is no file"),
        ("writable for the group", copy("group", 0o770), "written by others"),
        ("not executable", copy("plain", 0o600), "may not be executed"),
    ]
    if os.getuid() == 0:
        other = copy("other", 0o700)
        os.chown(other, 12345, 12345)
        cases.append(("of another user", other, "another user's"))
    else:
        print("not run: a command of another user, which only root can make")
    for case, path, told in cases:
        provider = dsops()
        provider.command = str(path)
        got = outcome(provider, era, ["A"])
        verdict(era.name, f"a command that is {case}", isinstance(got, str) and told in got, got)
    for trusted, expected in [(str(binary.parent), {"A": CANARY}), ("/usr/bin", "refused: the command is outside the trusted directories")]:
        got = outcome(dsops(trusted=[trusted]), era, ["A"])
        verdict(era.name, f"trusted is {'its own' if trusted != '/usr/bin' else 'another'} directory", got == expected, got)


if __name__ == "__main__":
    sys.exit(main())
