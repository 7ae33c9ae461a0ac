#!/usr/bin/env python3
"""Has the released OpenClaw fetch its secrets from dsops.

    tests/peers/openclaw.py [path to dsops]

OpenClaw and a Node that it runs on come from npm, into `$DSOPS_PEERS_CACHE`, else `$XDG_CACHE_HOME/dsops-peers`, else
`~/.cache/dsops-peers`, where the next run finds them. Where they cannot be had this is reported as `not run`. The
secrets are those of the fake Infisical (`cargo build --example fake-infisical`). Exit code: 0 where all went as it
should, 1 where something did not.
"""

import http.client
import http.server
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]
VERSION, NODE = "2026.9.6", "26"
INSTALL = 240
PROJECT = "9cd41904-ea03-4da2-aff5-cafa69d1eadc"
CLIENT_ID, CLIENT_SECRET = "4b2f1c7e-6d1f-4a52-8a6e-0f4c5d3b2a19", "client-secret-of-the-peers"
FAILED = []


def expect(what, holds, shown=""):
    if not holds:
        FAILED.append(what)
        print(f"openclaw: {what}: failed\n{shown}")


def installed():
    """Returns the directory with OpenClaw and Node in it, or None."""
    base = os.environ.get("DSOPS_PEERS_CACHE")
    base = Path(base) if base else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dsops-peers"
    place = base / f"openclaw-{VERSION}-node-{NODE}"
    if (place / "complete").exists():
        return place
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    (place / "package.json").write_text('{"name": "peers", "private": true}')
    # OpenClaw's own steps after the installation are for its gateway. Node's fetches the program itself.
    npm = ["npm", "install", "--silent", "--no-audit", "--no-fund"]
    end = time.monotonic() + INSTALL
    for package in [[f"node@{NODE}"], ["--ignore-scripts", f"openclaw@{VERSION}"]]:
        subprocess.run([*npm, *package], cwd=place, check=True, capture_output=True, timeout=end - time.monotonic())
    (place / "complete").touch()
    return place


class Proxy(http.server.ThreadingHTTPServer):
    """Passes requests on to the fake server, and counts the logins; the answers may be late."""

    daemon_threads = True

    def __init__(self, target):
        super().__init__(("127.0.0.1", 0), Handler)
        self.target, self.logins, self.delay, self.lock = urlsplit(target).netloc, 0, 0.0, threading.Lock()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        # Whoever was killed at its limit of time does not wait for the answer.
        pass

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def pass_on(self):
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if "/auth/" in self.path and self.path.endswith("/login"):
            with self.server.lock:
                self.server.logins += 1
        elif self.server.delay:
            time.sleep(self.server.delay)
        upstream = http.client.HTTPConnection(self.server.target, timeout=30)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "accept-encoding")}
        upstream.request(self.command, self.path, body, {**headers, "host": self.server.target})
        answer = upstream.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = pass_on

    def log_message(self, *_):
        pass


class World:
    """A home with dsops.yaml and OpenClaw's settings in it."""

    def __init__(self, dsops, node_modules, home, host):
        self.dsops, self.home, self.host = dsops, home, host
        path = f"{node_modules / '.bin'}:{os.environ['PATH']}"
        self.environment = {"PATH": path, "HOME": str(home), "ID": CLIENT_ID, "SECRET": CLIENT_SECRET}
        home.mkdir()
        (home / ".openclaw").mkdir()
        (home / "dsops.yaml").write_text(
            "secretStores:\n  inf:\n    type: infisical\n"
            f"    host: {host}\n    project_id: {PROJECT}\n    environment: dev\n"
            "    auth: {client_id: '${ID}', client_secret: '${SECRET}'}\n"
            "envs:\n  agent:\n    OPENAI_API_KEY: {from: inf/PLAIN}\n    GONE: {from: inf/NO_SUCH_KEY}\n"
            "agents:\n  openclaw:\n    env: agent\n    ids:\n      app/deep/NAME: inf/app/deep/NAME\n"
            "      empty: inf/EMPTY\n      redacted: {literal: __OPENCLAW_REDACTED__}\n")

    def run(self, *command):
        done = subprocess.run(command, cwd=self.home, env=self.environment, capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout, done.stderr

    def openclaw(self, *args):
        return self.run("openclaw", *args)

    def install(self):
        code, stdout, stderr = self.run(self.dsops, "openclaw", "install")
        expect("install", code == 0, stderr)
        return json.loads(stdout)

    def settings(self, document, ids):
        """Writes OpenClaw's settings: each id is the key of a provider of models."""
        models = {f"p{index}": {"apiKey": {"source": "exec", "provider": "dsops", "id": id},
                                "baseUrl": "https://example.com/v1", "models": []} for index, id in enumerate(ids)}
        text = json.dumps({**document, "models": {"providers": models}}, indent=1)
        (self.home / ".openclaw/openclaw.json").write_text(f"// as people write it\n{text}\n")

    def is_valid(self):
        code, stdout, stderr = self.openclaw("config", "validate", "--json")
        return code == 0 and json.loads(stdout)["valid"], stdout + stderr

    def audit(self):
        """Returns what the audit says of the references that do not resolve, in one text."""
        _, stdout, stderr = self.openclaw("secrets", "audit", "--allow-exec", "--json")
        try:
            findings = json.loads(stdout)["findings"]
        except ValueError:
            return f"no audit: {stdout}{stderr}"
        return "\n".join(row["message"] for row in findings if row["code"] == "REF_UNRESOLVED")


def resolves(world, proxy):
    document = world.install()
    ids = ["OPENAI_API_KEY", "app/deep/NAME", "GONE", "never/heard:of#it", "empty", "redacted"]
    world.settings(document, ids)
    valid, shown = world.is_valid()
    expect("config validate takes what install prints", valid, shown)
    told = world.audit()
    for id in ids[:2]:
        expect(f"{id} resolves beside others that do not", f":{id} " not in told and "no audit" not in told, told)
    for id in ids[2:4]:
        expect(f"{id} is NOT_FOUND", f'failed for id "{id}" (NOT_FOUND)' in told, told)
    for id in ids[4:]:
        expect(f"{id} fails alone", f'failed for id "{id}".' in told, told)
    expect("values and messages are not shown", "__OPENCLAW" not in told and "orders" not in told, told)
    expect("one login for all processes of an audit", proxy.logins == 1, f"{proxy.logins} logins")
    code, stdout, _ = world.run(world.dsops, "openclaw", "check", "--settings", ".openclaw/openclaw.json")
    expect("check finds what the audit finds", code == 1 and "GONE: NOT_FOUND" in stdout, stdout)
    expect("check finds the id that only the settings have", "never/heard:of#it: NOT_FOUND" in stdout, stdout)
    # The way that the remark of `install` names, into settings that are there already.
    world.settings({}, ids[:2])
    patch = subprocess.run(["openclaw", "config", "patch", "--stdin"], cwd=world.home, env=world.environment,
                           input=json.dumps(document), capture_output=True, text=True, timeout=120)
    expect("config patch takes what install prints", patch.returncode == 0, patch.stdout + patch.stderr)
    told = world.audit()
    expect("everything resolves", told == "", told)
    expect("still one login", proxy.logins == 1, f"{proxy.logins} logins")


def is_refused_alike(world):
    """Both refuse the same copies, and take the good one."""
    document = world.install()
    world.settings(document, ["OPENAI_API_KEY"])
    copy = Path(document["secrets"]["providers"]["dsops"]["command"])
    kept = copy.with_name("kept")

    def link():
        copy.rename(kept)
        copy.symlink_to(kept)

    rows = [("a symbolic link", link), ("writable by the group", lambda: copy.chmod(0o720)),
            ("writable by all", lambda: copy.chmod(0o702)), ("missing", copy.unlink)]
    if os.getuid() == 0:
        rows.append(("of another owner", lambda: os.chown(copy, 1, -1)))
    else:
        print("openclaw: not run: a copy of another owner, which takes root")
    for name, spoil in rows:
        spoil()
        valid, shown = world.is_valid()
        expect(f"config validate refuses a copy that is {name}", not valid, shown)
        code, stdout, stderr = world.run(world.dsops, "openclaw", "check", "--settings", ".openclaw/openclaw.json")
        expect(f"check refuses a copy that is {name}", code == 1 and "OpenClaw refuses it" in stdout, stdout + stderr)
        world.install()
        valid, shown = world.is_valid()
        expect(f"install mends a copy that is {name}", valid, shown)
    outside = json.loads(json.dumps(document))
    outside["secrets"]["providers"]["dsops"]["trustedDirs"] = ["/usr/bin"]
    world.settings(outside, ["OPENAI_API_KEY"])
    valid, shown = world.is_valid()
    expect("config validate refuses a copy outside trustedDirs", not valid, shown)
    code, stdout, _ = world.run(world.dsops, "openclaw", "check", "--settings", ".openclaw/openclaw.json")
    expect("check refuses a copy outside trustedDirs", code == 1 and "trustedDirs" in stdout, stdout)


def is_kept_alive(world, proxy):
    """A store that takes longer than the limit on silence."""
    document = world.install()
    document["secrets"]["providers"]["dsops"]["noOutputTimeoutMs"] = 1100
    world.settings(document, ["OPENAI_API_KEY"])
    proxy.delay = 1.5
    told = world.audit()
    expect("line feeds keep the limit on silence from firing", told == "", told)
    document["secrets"]["providers"]["dsops"]["noOutputTimeoutMs"] = 500
    world.settings(document, ["OPENAI_API_KEY"])
    told = world.audit()
    expect("a limit on silence below the first line feed fires", "produced no output for 500ms" in told, told)
    _, stdout, _ = world.run(world.dsops, "openclaw", "check", "--settings", ".openclaw/openclaw.json")
    expect("check says so", "wrote nothing for 500 ms" in stdout and "`noOutputTimeoutMs` is 500 ms" in stdout, stdout)
    world.settings(world.install(), ["OPENAI_API_KEY"])
    proxy.delay = 30
    told = world.audit()
    expect("a store that hangs is an error of its ids", 'failed for id "OPENAI_API_KEY".' in told, told)
    proxy.delay = 0


def main():
    dsops = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "target/debug/dsops").resolve()
    fake = dsops.parent.parent / "debug/examples/fake-infisical"
    if not fake.exists():
        print("openclaw: not run (no fake server: cargo build --example fake-infisical)")
        return 0
    try:
        place = installed()
    except (OSError, subprocess.SubprocessError):
        print(f"openclaw: not run (OpenClaw {VERSION} or Node {NODE} cannot be installed from npm)")
        return 0
    server = subprocess.Popen([fake, "2026"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    proxy = Proxy(server.stdout.readline().strip())
    with tempfile.TemporaryDirectory() as directory:
        # OpenClaw wants paths without links.
        directory = Path(directory).resolve()
        world = World(dsops, place / "node_modules", directory / "home", proxy.url)
        code, stdout, stderr = world.openclaw("--version")
        if code != 0:
            print(f"openclaw: not run (it does not start: {(stderr or stdout).strip().splitlines()[:1]})")
            return 0
        resolves(world, proxy)
        is_refused_alike(world)
        is_kept_alive(world, proxy)
    server.stdin.close()
    server.wait(timeout=10)
    print(f"openclaw: OpenClaw {VERSION}: {'failed' if FAILED else 'ok'}")
    return int(bool(FAILED))


sys.exit(main())
