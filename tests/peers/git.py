#!/usr/bin/env python3
"""Lets git and ssh ask dsops, and looks at what their servers get.

    tests/peers/git.py [path to dsops]

git clones, fetches and pushes over HTTP and HTTPS from a server of this file, which runs `git http-backend` behind basic
authentication and keeps what it was sent; ssh-keygen, ssh-add, ssh-agent and ssh ask for the passphrase of a key. All
values are made up for the run. What is missing is installed where that is allowed: as root, with apt-get. Exit code: 0
where nothing failed.
"""

import base64
import http.server
import os
import secrets
import shutil
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

DSOPS = str(Path(sys.argv[1] if len(sys.argv) > 1 else os.environ["DSOPS"]).resolve())
HERE = Path.cwd()
TIME = 60
FAILED = []


def install(**programs):
    """Installs the packages of the programs that are missing, by program."""
    missing = [package for program, package in programs.items() if shutil.which(program.replace("_", "-")) is None]
    if missing and os.getuid() == 0 and shutil.which("apt-get"):
        command = ["apt-get", "install", "-y", "--no-install-recommends", *missing]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}}
        if subprocess.run(command, **quiet).returncode != 0:
            subprocess.run(["apt-get", "update"], **quiet)
            subprocess.run(command, **quiet)
    return [program for program in programs if shutil.which(program.replace("_", "-")) is None]


def check(claim, holds, *shown):
    if holds:
        print("ok:", claim)
        return
    FAILED.append(claim)
    print("failed:", claim)
    for text in shown:
        print("   ", str(text).replace("\n", "\n    "))


class Server:
    """git's repositories behind basic authentication. `seen` is every login that it was sent, in order."""

    def __init__(self, root, logins, tls=None):
        self.logins, self.seen, self.requests = logins, [], 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self, status, headers, body):
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                outer.requests += 1
                sent = self.headers.get("Authorization")
                login = base64.b64decode(sent.removeprefix("Basic ")).decode() if sent else None
                if login is not None:
                    outer.seen.append(login)
                path, _, query = self.path.partition("?")
                if login is None or login != outer.logins.get(path.split("/")[1]):
                    return self.answer(401, [("WWW-Authenticate", 'Basic realm="test"')], b"")
                env = {
                    "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(root), "GIT_HTTP_EXPORT_ALL": "1",
                    "GIT_CONFIG_NOSYSTEM": "1", "HOME": str(root), "PATH_INFO": path, "QUERY_STRING": query,
                    "REQUEST_METHOD": self.command, "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                    "CONTENT_LENGTH": str(len(body)), "REMOTE_USER": login.split(":")[0], "REMOTE_ADDR": "127.0.0.1",
                    "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                    "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                }
                done = subprocess.run(["git", "http-backend"], input=body, capture_output=True, env=env, timeout=TIME)
                head, _, content = done.stdout.partition(b"\r\n\r\n")
                headers = [tuple(line.decode().split(": ", 1)) for line in head.split(b"\r\n") if line]
                status = next((int(value.split()[0]) for name, value in headers if name == "Status"), 200)
                self.answer(status, [header for header in headers if header[0] != "Status"], content)

            do_POST = do_GET

        # All of 127.0.0.0/8 is this machine (Linux): one server, several hosts.
        self.server = http.server.ThreadingHTTPServer(("0.0.0.0", 0), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def forget(self):
        self.seen, self.requests = [], 0


def program(path, script):
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def run(command, env, **options):
    """Runs without a terminal, in a session of its own, so that nothing can be asked on one."""
    options = {"stdin": subprocess.DEVNULL, "start_new_session": True, "timeout": TIME, **options}
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, env={k: str(v) for k, v in env.items()}, **options)
    done.all = done.stdout + done.stderr
    return done


def peers_of_git():
    bot, team, tls_token = (secrets.token_urlsafe(16) for _ in range(3))
    repositories = HERE / "repositories"
    plain = {"PATH": os.environ["PATH"], "HOME": str(HERE), "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
    for name in ("one", "team/two"):
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", repositories / f"{name}.git"], check=True, env=plain)
    certificate, key = HERE / "certificate.pem", HERE / "key.pem"
    has_tls = shutil.which("openssl") and subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", certificate], capture_output=True).returncode == 0
    http_server = Server(repositories, {"one.git": f"bot:{bot}", "team": f"team-bot:{team}"})
    tls_server = Server(repositories, {"one.git": f"me:{tls_token}"}, (certificate, key)) if has_tls else None
    port = http_server.port
    config = HERE / "helpers.yaml"
    config.write_text(f"""version: 1
secretStores:
  tokens: {{type: literal, values: {{BOT: {bot}, TEAM: {team}, TLS: {tls_token}, WRONG: wrong}}}}
  broken: {{type: exec, command: {HERE}/refusing}}
helpers:
  git:
    http://127.0.0.1:{port}: {{username: {{literal: bot}}, password: tokens/BOT}}
    http://127.0.0.1:{port}/team: {{username: {{literal: team-bot}}, password: tokens/TEAM}}
    http://127.0.0.2:{port}: {{username: {{literal: bot}}, password: broken/TOKEN}}
    http://127.0.0.4:{port}: {{username: {{literal: bot}}, password: tokens/WRONG}}
    http://127.0.0.5:{port}: {{password: tokens/BOT}}
    localhost:{tls_server.port if tls_server else 1}: {{username: {{literal: me}}, password: tokens/TLS}}
""")
    program(HERE / "refusing", "cat > /dev/null; exit 1")
    # What git would ask next. It leaves a trace, and gives what no server takes.
    asked = HERE / "asked"
    other = program(HERE / "other-helper", f'[ "$1" != get ] || {{ echo asked >> {asked}; echo username=x; echo password=y; }}')
    askpass = program(HERE / "other-askpass", f"echo asked >> {asked}; echo z")
    links = HERE / "links"
    links.mkdir()
    for name in ("git-credential-dsops", "dsops-askpass"):
        (links / name).symlink_to(DSOPS)
    # A file that a repository could bring; it must never be read.
    trap = HERE / "trap"
    trap.mkdir()
    (trap / "dsops.yaml").write_text(f"""version: 1
secretStores: {{trap: {{type: exec, command: {HERE}/trapped}}}}
helpers: {{git: {{"http://127.0.0.1:{port}": {{username: {{literal: bot}}, password: trap/X}}, "http://127.0.0.3:{port}": {{username: {{literal: bot}}, password: trap/X}}}}}}
""")
    program(HERE / "trapped", f"echo trapped >> {HERE}/sprung")

    number = 0

    def git(*words, env=plain, helper=None, **options):
        settings = ["-c", f"credential.helper={helper}"] if helper else []
        return run(["git", *settings, "-c", "user.name=x", "-c", "user.email=x@x", *words], {**plain, **env} if env is not plain else env, cwd=options.pop("cwd", trap), **options)

    def clone(url, **options):
        nonlocal number
        number += 1
        http_server.forget()
        asked.unlink(missing_ok=True)
        done = git("clone", "-q", url, str(HERE / f"clone-{number}"), **options)
        return done, HERE / f"clone-{number}"

    absolute = f"{DSOPS} --config {config} helper git"
    one = f"http://127.0.0.1:{port}/one.git"
    done, tree = clone(one, helper=absolute)
    check("git clones with the login of its helper", done.returncode == 0 and set(http_server.seen) == {f"bot:{bot}"}, done.all, http_server.seen)
    (tree / "file").write_text("x\n")
    for words in (["add", "."], ["commit", "-q", "-m", "x"], ["push", "-q", "origin", "HEAD:main"], ["fetch", "-q"]):
        http_server.forget()
        done = git(*words, cwd=tree, helper=absolute)
        check(f"git {words[0]} works", done.returncode == 0 and not done.all, done.all)
    check("the push is there", run(["git", "-C", repositories / "one.git", "log", "--oneline", "main"], plain).stdout.count("\n") == 1)
    check("the server gets the password once the name is known, and nothing else", set(http_server.seen) == {f"bot:{bot}"}, http_server.seen)

    named = {"PATH": f"{links}:{plain['PATH']}", "DSOPS_CONFIG": config}
    done, _ = clone(one, helper="dsops", env=named)
    check("a symlink on PATH is found by its name", done.returncode == 0 and set(http_server.seen) == {f"bot:{bot}"}, done.all)
    done, _ = clone(one, helper=f"dsops --config {config}", env={"PATH": named["PATH"]})
    check("options stand behind the name", done.returncode == 0, done.all)

    done, _ = clone(one, env={"GIT_ASKPASS": links / "dsops-askpass", "DSOPS_CONFIG": config})
    check("git's own prompts are answered", done.returncode == 0 and set(http_server.seen) == {f"bot:{bot}"}, done.all, http_server.seen)
    done, _ = clone(one, env={"SSH_ASKPASS": links / "dsops-askpass", "DSOPS_CONFIG": config})
    check("git takes SSH_ASKPASS where there is no other", done.returncode == 0, done.all)

    number += 1
    done = run(["git", "-c", f"credential.helper={absolute}", "clone", "-q", one, HERE / f"clone-{number}"], {"GIT_TERMINAL_PROMPT": "0"}, cwd=trap)
    check("an empty environment is enough", done.returncode == 0, done.all)
    home = HERE / "user"
    (home / ".config/dsops").mkdir(parents=True)
    shutil.copy(config, home / ".config/dsops/dsops.yaml")
    done, _ = clone(one, helper=f"{DSOPS} helper git", env={"HOME": home})
    check("the file of the user is found", done.returncode == 0, done.all)

    team = f"http://127.0.0.1:{port}/team/two.git"
    done, _ = clone(team, helper=absolute, env={"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "credential.useHttpPath", "GIT_CONFIG_VALUE_0": "true"})
    check("the entry of a path is used where git sends the path", done.returncode == 0 and all(login.startswith("team-bot:") for login in http_server.seen), done.all, http_server.seen)
    done, _ = clone(team, helper=absolute)
    check("without the path the host's login is sent, and refused", done.returncode != 0 and set(http_server.seen) == {f"bot:{bot}"}, done.all, http_server.seen)

    both = {"GIT_CONFIG_COUNT": "2", "GIT_CONFIG_KEY_0": "credential.helper", "GIT_CONFIG_VALUE_0": absolute,
            "GIT_CONFIG_KEY_1": "credential.helper", "GIT_CONFIG_VALUE_1": other, "GIT_ASKPASS": askpass}
    done, _ = clone(f"http://127.0.0.3:{port}/one.git", helper=absolute)
    check("a host without an entry gets no login", done.returncode != 0 and http_server.requests > 0 and http_server.seen == [], done.all, http_server.seen)
    check("and it is git that says so", "terminal prompts disabled" in done.stderr and "dsops" not in done.stderr.replace(DSOPS, ""), done.all)
    done, _ = clone(f"http://127.0.0.3:{port}/one.git", env=both)
    check("the next helper is asked for a host without an entry", asked.exists() and set(http_server.seen) == {"x:y"}, done.all, http_server.seen)
    # With a name in the URL git first sends it with an empty password.
    done, _ = clone(f"http://you@127.0.0.1:{port}/one.git", helper=absolute)
    check("another user gets no login", done.returncode != 0 and set(http_server.seen) <= {"you:"}, done.all, http_server.seen)

    done, _ = clone(f"http://127.0.0.2:{port}/one.git", env=both)
    check("a store that fails stops git", done.returncode != 0 and "told us to quit" in done.stderr and http_server.seen == [], done.all, http_server.seen)
    check("and nobody else is asked", not asked.exists(), done.all)
    lines = [line for line in done.stderr.splitlines() if line and not line.startswith("fatal:") and "Cloning" not in line]
    check("the reason is one line", len(lines) == 1 and "broken" in lines[0], done.stderr)
    done, _ = clone(one, env={**both, "GIT_CONFIG_VALUE_0": f"{DSOPS} --config {HERE}/none.yaml helper git"})
    check("a file that is missing stops git", done.returncode != 0 and "told us to quit" in done.stderr and not asked.exists(), done.all)
    done, _ = clone(f"http://127.0.0.4:{port}/one.git", helper=absolute)
    check("a refused password is not tried again", done.returncode != 0 and http_server.seen == ["bot:wrong"], done.all, http_server.seen)

    done, _ = clone(f"http://bot@127.0.0.5:{port}/one.git", helper=absolute)
    check("an entry without a name takes the one of the URL", done.returncode == 0 and set(http_server.seen) <= {"bot:", f"bot:{bot}"}, done.all, http_server.seen)
    done, _ = clone(f"http://127.0.0.5:{port}/one.git", helper=absolute)
    check("and without one in the URL git asks for it", done.returncode != 0 and "could not read Username" in done.stderr and http_server.seen == [], done.all)
    done, _ = clone(f"http://127.0.0.1%2Fx@127.0.0.3:{port}/one.git", env={"GIT_ASKPASS": links / "dsops-askpass", "DSOPS_CONFIG": config})
    check("a URL that looks like another host's gets no login from a prompt", done.returncode != 0 and not any(bot in login for login in http_server.seen), done.all, http_server.seen)

    for text in ("protocol=http\nhost=127.0.0.1:%d\n\n" % port, "url=http://127.0.0.1:%d/one.git\n\n" % port):
        done = run(["git", "-c", f"credential.helper={absolute}", "credential", "fill"], plain, input=text, stdin=None)
        check("git credential fill shows the login", f"username=bot\npassword={bot}\n" in done.stdout, done.all)

    if tls_server:
        done, _ = clone(f"https://localhost:{tls_server.port}/one.git", helper=absolute, env={"GIT_SSL_CAINFO": certificate})
        check("a key without a scheme is for https", done.returncode == 0 and set(tls_server.seen) == {f"me:{tls_token}"}, done.all, tls_server.seen)
    else:
        print("not run: https, since openssl makes no certificate")
    check("the file of the current directory was never read", not (HERE / "sprung").exists())


# A server of ssh that lets in who has the key, or answers what it asks. It writes its port, and every answer.
SERVER_OF_SSH = """
import asyncio, asyncssh, sys
place, prompt = sys.argv[1:]
class Server(asyncssh.SSHServer):
    def begin_auth(self, user): return True
    def public_key_auth_supported(self): return True
    def validate_public_key(self, user, key): return key == asyncssh.read_public_key(place + "/known.pub")
    def kbdint_auth_supported(self): return True
    def get_kbdint_challenge(self, user, lang, submethods): return "", "", "", [(prompt, False)]
    def validate_kbdint_response(self, user, responses):
        print("answer", *responses, flush=True)
        return False
async def session(process):
    process.stdout.write("reached\\n")
    process.exit(0)
async def main():
    server = await asyncssh.create_server(Server, "127.0.0.1", 0, server_host_keys=[place + "/host"], process_factory=session)
    print("port", server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


def a_server_of_ssh(place, prompt):
    """Starts a server of ssh from the package registry of Python; None where that cannot be had."""
    venv = HERE / "venv"
    pip = [venv / "bin/pip", "install", "--quiet", "--disable-pip-version-check", "asyncssh"]
    for command in ([sys.executable, "-m", "venv", venv], pip):
        if subprocess.run(command, capture_output=True).returncode != 0:
            return None
    output = open(place / "server.log", "w+")
    process = subprocess.Popen([venv / "bin/python", "-c", SERVER_OF_SSH, place, prompt], stdout=output, stdin=subprocess.DEVNULL)
    limit = time.monotonic() + TIME
    while time.monotonic() < limit and process.poll() is None:
        if (text := (place / "server.log").read_text()).startswith("port ") and "\n" in text:
            return process, int(text.split()[1])
        time.sleep(0.05)
    process.kill()
    return None


def peers_of_ssh():
    place = HERE / "ssh"
    place.mkdir(mode=0o700)
    links = HERE / "askpass"
    links.mkdir()
    askpass = links / "dsops-askpass"
    askpass.symlink_to(DSOPS)
    secret, longest = secrets.token_urlsafe(16), "x" * 1023
    for name, passphrase in (("known", secret), ("unknown", secret), ("long", longest), ("longer", longest + "x")):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-a", "1", "-N", passphrase, "-C", name, "-f", place / name], check=True)
    # ssh, ssh-keygen and ssh-add each have words of their own.
    words = lambda name: [f"Enter passphrase for key '{place}/{name}'", f'Enter passphrase for "{place}/{name}"', f"Enter passphrase for {place}/{name}*"]
    entries = [(word, value) for name, value in (("known", "tokens/SECRET"), ("long", "tokens/LONG"), ("longer", "tokens/LONGER")) for word in words(name)]
    entries.append(("Allow use of key*", "tokens/SECRET"))
    config = HERE / "askpass.yaml"
    lines = "".join("    '{}': {}\n".format(word.replace("'", "''"), value) for word, value in entries)
    config.write_text(f"version: 1\nsecretStores:\n  tokens: {{type: literal, values: {{SECRET: {secret}, LONG: {longest}, LONGER: {longest}x}}}}\nhelpers:\n  askpass:\n{lines}")
    env = {"PATH": os.environ["PATH"], "SSH_ASKPASS": askpass, "SSH_ASKPASS_REQUIRE": "force", "DSOPS_CONFIG": config, "LC_ALL": "C"}

    public = lambda name: (place / f"{name}.pub").read_text().split()[1]
    script = 'ssh-add "$1"; ssh-add -L'
    for name, opens in (("known", True), ("unknown", False), ("long", True), ("longer", False)):
        done = run(["ssh-agent", "sh", "-c", script, "sh", place / name], env)
        check(f"ssh-add {'opens' if opens else 'does not open'} the {name} key", (public(name) in done.stdout) == opens, done.all)
        check(f"the passphrase of the {name} key is not shown", secret not in done.all and longest not in done.all, done.all)
    check("ssh-add is not given a part of what is too long", "longer than 1023 bytes" in done.stderr, done.all)

    # Older releases of ssh-keygen name no key in their prompt, and an answer for every key is none to give.
    done = run(["ssh-keygen", "-y", "-f", place / "known"], env)
    if "no answer to the prompt" not in done.stderr:
        check("ssh-keygen opens the key", public("known") in done.stdout, done.all)
    else:
        check("a prompt without an entry gets nothing", 'the prompt "Enter passphrase:"' in done.stderr and not done.stdout, done.all)

    # The agent asks whether a key may be used: a yes or a no, for which no secret is the answer.
    script = 'ssh-add -q -c "$1" && echo x | ssh-keygen -q -Y sign -n x -f "$1.pub"'
    done = run(["ssh-agent", "sh", "-c", script, "sh", place / "known"], env)
    check("nothing is confirmed", done.returncode != 0 and "BEGIN SSH SIGNATURE" not in done.stdout, done.all)
    control = program(HERE / "yes", f'[ "$SSH_ASKPASS_PROMPT" = confirm ] || exec {askpass} "$1"')
    done = run(["ssh-agent", "sh", "-c", script, "sh", place / "known"], {**env, "SSH_ASKPASS": control})
    check("which is what the key waits for", "BEGIN SSH SIGNATURE" in done.stdout, done.all)

    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", place / "host"], check=True)
    # What it asks is the very prompt that an entry is for.
    server = a_server_of_ssh(place, f"Enter passphrase for key '{place}/known': ")
    if server is None:
        print("not run: ssh, since its server (asyncssh) cannot be had")
        return
    process, port = server
    hosts, none = place / "known_hosts", place / "none"
    hosts.write_text(f"[127.0.0.1]:{port} " + " ".join((place / "host.pub").read_text().split()[:2]) + "\n")

    def ssh(known, *options):
        command = ["ssh", "-F", "none", "-p", port, "-o", f"UserKnownHostsFile={known}", "-o", "GlobalKnownHostsFile=none", *options]
        return run([*command, "me@127.0.0.1", "whatever"], env)

    key = ["-o", "PreferredAuthentications=publickey", "-o", "IdentitiesOnly=yes", "-i"]
    try:
        done = ssh(hosts, *key, place / "known")
        check("ssh opens the key for a login", done.stdout == "reached\n", done.all)
        done = ssh(none, *key, place / "known")
        check("an unknown host is not confirmed", done.returncode != 0 and not done.stdout, done.all)
        done = ssh(hosts, "-o", "PreferredAuthentications=keyboard-interactive", "-o", "PubkeyAuthentication=no")
        answers = (place / "server.log").read_text().splitlines()[1:]
        check("a server that asks for the passphrase does not get it", done.returncode != 0 and not any(secret in line for line in answers), done.all, answers)
        check("and what it asked is shown", "(me@127.0.0.1) Enter passphrase for key" in done.all, done.all)
    finally:
        process.kill()


if missing := install(git="git", openssl="openssl"):
    print("not run: git, since there is no", ", ".join(missing)) if "git" in missing else peers_of_git()
else:
    peers_of_git()
if missing := install(ssh_keygen="openssh-client", ssh_agent="openssh-client"):
    print("not run: ssh, since there is no", ", ".join(missing))
else:
    peers_of_ssh()
print(f"{len(FAILED)} failed" if FAILED else "all hold")
sys.exit(1 if FAILED else 0)
