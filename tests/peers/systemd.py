#!/usr/bin/env python3
"""Runs units under systemd itself, in namespaces of its own, with dsops as the guide says.

    tests/peers/systemd.py [path to dsops]

systemd is PID 1 of a new PID namespace, with mounts and control groups of its own; nothing of the machine's own
systemd is touched, and the host key lies on a file system in memory that goes with it. The units of docs/guide/systemd.md are
run with the paths of this machine. Needs root, unshare(1) and systemd 250. Exit code: 0 where all agree, 1 where something does not.
"""

import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIMIT = 60
SEED = 17


def not_run(why):
    print(f"not run: {why}")
    sys.exit(0)


def enter():
    """Starts this script again in a mount namespace, with an empty /var/lib/systemd."""
    systemd = next((path for path in ("/lib/systemd/systemd", "/usr/lib/systemd/systemd") if os.path.exists(path)), None)
    for program in ("unshare", "systemd-creds", "systemd-analyze", "systemctl"):
        if shutil.which(program) is None:
            not_run(f"no {program}")
    if systemd is None:
        not_run("no systemd")
    if os.geteuid() != 0:
        not_run("needs root")
    probe = subprocess.run(["unshare", "--mount", "--pid", "--fork", "--cgroup", "--ipc", "true"], capture_output=True)
    if probe.returncode != 0:
        not_run(f"no namespaces: {probe.stderr.decode().strip()}")
    os.environ["DSOPS_PEER_SYSTEMD"] = systemd
    script = 'mount -t tmpfs tmpfs /var/lib/systemd && exec "$@"'
    command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", sys.executable, __file__, *sys.argv[1:]]
    sys.exit(subprocess.run(command).returncode)


def quoted(text):
    return '"' + "".join(c if c not in '"\\' and " " <= c < "\x7f" else f"\\u{ord(c):04x}" if ord(c) < 0x10000 else f"\\U{ord(c):08x}" for c in text) + '"'


def values():
    chosen = ["", "plain", " lead", "tail ", "two\nlines\n", "cr\r\nlf\r", "$HOME ${A} %h %%", "it's \"x\" \\ `id`", "#a", ";a", "\\n", "end\\", "é€😀", "\x01\x7f", "export A=1", "=", "A\nB=c"]
    generator = random.Random(SEED)
    pieces = list(" \t\n\r'\"\\$`#=%;{}a") + ["\\\n", "é", "$A", "%n"]
    return chosen + ["".join(generator.choices(pieces, k=generator.randint(1, 12))) for _ in range(100)]


def cgroups():
    """Returns the control groups that systemd needs, each as its directory and the options to mount it."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, after = line.split(" - ")
        place, (kind, _, options) = before.split()[4], after.split()
        if kind == "cgroup2":
            found.append((place, ["-t", "cgroup2", "cgroup2"]))
        elif kind == "cgroup" and "name=systemd" in options:
            found.append((place, ["-t", "cgroup", "-o", "none,name=systemd", "cgroup"]))
    return found


class Manager:
    """systemd in namespaces of its own, which ends with this object."""

    def __init__(self, place, target):
        self.groups = []
        name = f"dsops-peer-{os.getpid()}"
        mounts, enter = [], []
        groups = cgroups()
        if not groups:
            not_run("no control groups")
        hybrid = len(groups) > 1
        mounts.append("mount -t tmpfs tmpfs /sys/fs/cgroup" if hybrid else "true")
        for directory, options in groups:
            group = Path(directory) / name
            try:
                group.mkdir()
            except OSError as error:
                not_run(f"no control group can be made: {error}")
            self.groups.append(group)
            enter.append(f"echo $$ > {group}/cgroup.procs")
            if hybrid:
                mounts.append(f"mkdir -p {directory} && mount {' '.join(options)} {directory}")
            else:
                mounts.append(f"umount -l {directory}; mount {' '.join(options)} {directory}")
        # systemd hands credentials to its services by mounts that spread: in here, and not to where this came from.
        inner = " && ".join(["mount -t proc proc /proc", "mount -t tmpfs tmpfs /run", "mkdir /run/lock", *mounts, "mount --make-rshared /"])
        environment = f"env -i PATH={os.environ['PATH']} container=peer SYSTEMD_UNIT_PATH={place}/units"
        inner += f" && exec {environment} {os.environ['DSOPS_PEER_SYSTEMD']} --system --unit={target} --log-target=console --show-status=0"
        # The control groups of the namespace are those that it is made in.
        script = " && ".join(enter) + " && exec unshare --pid --fork --kill-child --mount --cgroup --ipc --uts --propagation private sh -c \"$0\""
        self.log = (place / "manager.log").open("w")
        self.process = subprocess.Popen(["sh", "-c", script, inner], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def end(self):
        self.process.kill()
        self.process.wait()
        deadline = time.monotonic() + LIMIT
        for group in self.groups:
            inside = sorted((path for path in group.rglob("*") if path.is_dir()), key=lambda path: -len(path.parts))
            for directory in [*inside, group]:
                while directory.exists() and time.monotonic() < deadline:
                    try:
                        directory.rmdir()
                    except OSError:
                        time.sleep(0.05)


APP = r"""
import json, os, socket, sys
place, name = sys.argv[1], sys.argv[2]
directory = os.environ.get("CREDENTIALS_DIRECTORY")
credentials = {} if directory is None else {n: open(f"{directory}/{n}", "rb").read().hex() for n in os.listdir(directory)}
state = {"pid": os.getpid(), "ppid": os.getppid(), "environment": {k: os.fsencode(v).hex() for k, v in os.environ.items()}, "credentials": credentials}
state["descriptors"] = sorted(int(n) for n in os.listdir("/proc/self/fd"))
with open(f"{place}/{name}.new", "w") as file: json.dump(state, file)
if "NOTIFY_SOCKET" in os.environ:
    address = os.environ["NOTIFY_SOCKET"]
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.sendto(b"READY=1", "\0" + address[1:] if address[0] == "@" else address)
os.rename(f"{place}/{name}.new", f"{place}/{name}.json")
import signal; signal.pause()
"""


def unit_of_the_guide(name, dsops, app):
    page = (ROOT / "docs/guide/systemd.md").read_text()
    text = re.search(rf"```ini unit={re.escape(name)}\n(.*?)```", page, re.S)[1]
    return text.replace("/usr/local/bin/dsops", dsops).replace("/usr/local/bin/app", app)


def main():
    if "DSOPS_PEER_SYSTEMD" not in os.environ:
        enter()
    dsops = os.path.realpath(sys.argv[1] if len(sys.argv) > 1 else ROOT / "target" / "debug" / "dsops")
    failures = []

    def check(holds, claim):
        print(f"{'ok    ' if holds else 'FAILED'} {claim}")
        if not holds:
            failures.append(claim)

    place = Path(tempfile.mkdtemp(prefix="dsops-systemd-"))
    (place / "units").mkdir()
    (place / "creds").mkdir()
    (place / "app.py").write_text(APP)
    python = os.path.realpath(sys.executable)
    expected = {f"V{number}": value for number, value in enumerate(values())}

    # A store whose own credential comes from systemd, and that answers with it.
    program = place / "store"
    program.write_text('#!/bin/sh\ncat >/dev/null\nprintf \'{"protocolVersion":1,"values":{"KEY":"%s"}}\' "$TOKEN"\n')
    program.chmod(0o755)
    config = ["secretStores:", f"  own: {{type: exec, command: {program}, env: {{TOKEN: {{systemd: store-token}}}}}}", "envs:"]
    config += ["  production:", "    SECRET: {from: own/KEY}", "  values:"]
    config += [f"    {name}: {{literal: {quoted(value)}}}" for name, value in expected.items()]
    config += ["  bytes:", '    BYTES: {literal: "/wD+Cg==", transform: base64_decode}', "  one:", "    DATABASE_URL: {literal: encrypted-url}"]
    (place / "dsops.yaml").write_text("\n".join(config) + "\n")

    def render(environment, form, out, *options):
        command = [dsops, "--config", str(place / "dsops.yaml"), "--quiet", "render", "--env", environment, "--format", form, "--out", str(out), *options]
        done = subprocess.run(command, capture_output=True)
        if done.returncode != 0:
            print(done.stderr.decode("utf-8", "replace"))
        return done.returncode

    # Encrypted credentials, read back by systemd-creds.
    for environment in ("values", "bytes", "one"):
        check(render(environment, "systemd-creds", place / "creds", "--with-key", "host") == 0, f"systemd-creds encrypts the environment {environment}")
    decrypted = {}
    for name in [*expected, "BYTES"]:
        done = subprocess.run(["systemd-creds", "decrypt", f"--name={name}", str(place / "creds" / name), "-"], capture_output=True)
        decrypted[name] = done.stdout if done.returncode == 0 else None
    exact = sum(decrypted[name] == value.encode() for name, value in expected.items())
    check(exact == len(expected), f"systemd-creds decrypts {exact} of {len(expected)} values exactly")
    check(decrypted["BYTES"] == b"\xff\x00\xfe\n", "systemd-creds decrypts bytes that are no text")
    wrong = subprocess.run(["systemd-creds", "decrypt", "--name=V2", str(place / "creds" / "V1"), "-"], capture_output=True)
    check(wrong.returncode != 0, "a credential under another name is refused")
    raw = b"".join(path.read_bytes() for path in (place / "creds").iterdir())
    check(b"plain" not in raw and all(path.stat().st_mode & 0o777 == 0o600 for path in (place / "creds").iterdir()), "the files hold no value and are private")
    check(render("values", "systemd", place / "values.env") == 0, "the format systemd holds all values")

    # The units: those of the guide, and variants of them.
    token = subprocess.run(["systemd-creds", "encrypt", "--with-key=host", "--name=store-token", "-", str(place / "creds" / "store-token")], input=b"from-systemd")
    check(token.returncode == 0, "the store's own credential is encrypted")
    app = lambda name: f"{python} {place}/app.py {place} {name}"
    guide = unit_of_the_guide("app.service", dsops, app("notify"))
    guide = guide.replace("/etc/credstore.encrypted", str(place / "creds")).replace("/etc/app", str(place))
    # There is no network in here, and nothing to install into.
    guide = re.sub(r"(?m)^(Wants|After)=network-online.target\n", "", guide).replace("[Unit]", "[Unit]\nDefaultDependencies=no")
    encrypted = unit_of_the_guide("encrypted.service", dsops, app("encrypted")).replace("/etc/credstore.encrypted", str(place / "creds"))
    loads = "".join(f"LoadCredentialEncrypted={name}:{place}/creds/{name}\n" for name in [*expected, "BYTES"])
    bare = "[Unit]\nDefaultDependencies=no\n"
    units = {
        "notify.service": guide,
        "exec.service": guide.replace("Type=notify", "Type=exec").replace(f" {place} notify", f" {place} exec"),
        "supervised.service": guide.replace("exec --env", "exec --timeout 5m --env").replace("Type=notify", "Type=notify\nNotifyAccess=all").replace(f" {place} notify", f" {place} supervised"),
        "encrypted.service": bare + encrypted,
        "creds.service": f"{bare}[Service]\nType=exec\nExecStart={app('creds')}\n{loads}",
        "environment.service": f"{bare}[Service]\nType=exec\nEnvironmentFile={place}/values.env\nExecStart={app('environment')}\n",
        "refused.service": guide.replace("--env production", "--env none").replace("Type=notify", "Type=exec").replace("Restart=on-failure\n", ""),
    }
    for name, text in units.items():
        # There is no journal in here.
        text = text.replace("[Service]\n", f"[Service]\nStandardError=append:{place}/errors\n")
        (place / "units" / name).write_text(text)
    verified = subprocess.run(["systemd-analyze", "verify", *(str(place / "units" / name) for name in ("notify.service", "exec.service", "encrypted.service"))], capture_output=True)
    check(verified.returncode == 0 and not verified.stderr.strip(), f"systemd-analyze verifies the units of the guide {verified.stderr.decode().strip()}")
    show = "systemctl show --property=Id,MainPID,ActiveState,SubState,ExecMainStatus,StatusErrno"
    names = " ".join(units)
    # Behind all of them: a service of Type=notify is up once it has said so.
    asking = f"{bare}After={names}\n[Service]\nType=oneshot\nExecStart=/bin/sh -c '{show} {names} > {place}/shown.new; mv {place}/shown.new {place}/shown'\n"
    (place / "units" / "asking.service").write_text(asking)
    (place / "units" / "peer.target").write_text(f"[Unit]\nDefaultDependencies=no\nWants={names} asking.service\n")

    manager = Manager(place, "peer.target")
    wanted = [place / f"{name.removesuffix('.service')}.json" for name in units if name != "refused.service"] + [place / "shown"]
    deadline = time.monotonic() + LIMIT
    try:
        while not all(path.exists() for path in wanted) and time.monotonic() < deadline and manager.process.poll() is None:
            time.sleep(0.05)
    finally:
        manager.end()
    missing = [path.name for path in wanted if not path.exists()]
    if missing:
        for name in ("manager.log", "errors"):
            print((place / name).read_text()[-3000:] if (place / name).exists() else "")
        check(False, f"systemd ran everything; missing: {missing}")
        sys.exit(1)

    shown = {}
    for block in (place / "shown").read_text().strip().split("\n\n"):
        properties = dict(line.split("=", 1) for line in block.splitlines())
        shown[properties["Id"]] = properties
    state = {name.removesuffix(".service"): json.loads((place / f"{name.removesuffix('.service')}.json").read_text()) for name in units if name != "refused.service"}
    text = lambda name, variable: bytes.fromhex(state[name]["environment"].get(variable, "")).decode("utf-8", "replace")

    for name in ("notify", "exec"):
        unit = shown[f"{name}.service"]
        check(unit["ActiveState"] == "active" and unit["SubState"] == "running", f"{name}.service is up")
        check(int(unit["MainPID"]) == state[name]["pid"] and state[name]["ppid"] == 1, f"{name}.service: the main process is the program, which systemd started")
        check(text(name, "SECRET") == "from-systemd", f"{name}.service: the value was fetched with the credential that systemd gave")
        # One more than the three is the directory that is being listed.
        check(len(state[name]["descriptors"]) == 4, f"{name}.service: no descriptor is left over")
    check(shown["supervised.service"]["ActiveState"] == "active" and int(shown["supervised.service"]["MainPID"]) == state["supervised"]["ppid"], "with --timeout and NotifyAccess=all the service is up, and dsops is the main process")
    check(shown["refused.service"]["ExecMainStatus"] == "125", "where dsops fails, the unit fails with 125")
    check(bytes.fromhex(state["encrypted"]["credentials"]["DATABASE_URL"]) == b"encrypted-url", "the unit with encrypted credentials reads the value")
    exact = sum(bytes.fromhex(state["creds"]["credentials"].get(name, "")) == value.encode() for name, value in expected.items())
    check(exact == len(expected), f"LoadCredentialEncrypted= gives {exact} of {len(expected)} values exactly")
    check(bytes.fromhex(state["creds"]["credentials"]["BYTES"]) == b"\xff\x00\xfe\n", "LoadCredentialEncrypted= gives bytes that are no text")
    exact = sum(name in state["environment"]["environment"] and text("environment", name) == value for name, value in expected.items())
    check(exact == len(expected), f"EnvironmentFile= gives {exact} of {len(expected)} values exactly")
    shutil.rmtree(place)
    sys.exit(1 if failures else 0)


main()
