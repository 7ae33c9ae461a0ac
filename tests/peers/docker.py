#!/usr/bin/env python3
"""Lets the programs that ask docker's credential helpers ask dsops, against a registry that wants a login.

    tests/peers/docker.py [path to dsops]

skopeo comes from the system or with apt-get; crane and the helpers' own library for Go from their modules; docker's own
command line is used where it is there, with a fake daemon behind it, and its library for Python comes from PyPI. Exit code: 0 where all that ran agree, 1
where something does not.
"""

import base64
import hashlib
import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from checks import Checks

ROOT = Path(__file__).resolve().parents[2]
CRANE = "github.com/google/go-containerregistry/cmd/crane@v0.22.1"
LIBRARY = "github.com/docker/docker-credential-helpers@v0.9.12"
USER, PASSWORD = "robot$acme", "pa:ss \"w\\rd\" é s3cret"
NOT_FOUND = "credentials not found in native keychain"
INSTALL = 400

GO_CLIENT = """package main

import (
	"encoding/json"
	"os"

	"github.com/docker/docker-credential-helpers/client"
	"github.com/docker/docker-credential-helpers/credentials"
)

// Prints what the library makes of each call.
func main() {
	program := client.NewShellProgramFunc("docker-credential-dsops")
	say := func(value any, err error) {
		answer := map[string]any{"value": value, "notFound": credentials.IsErrCredentialsNotFound(err)}
		if err != nil {
			answer["error"] = err.Error()
		}
		_ = json.NewEncoder(os.Stdout).Encode(answer)
	}
	for _, server := range os.Args[1:] {
		creds, err := client.Get(program, server)
		say(creds, err)
	}
	names, err := client.List(program)
	say(names, err)
	say(nil, client.Store(program, &credentials.Credentials{ServerURL: os.Args[1], Username: "other", Secret: "s3cret-other"}))
	say(nil, client.Erase(program, os.Args[1]))
}
"""

PYTHON_CLIENT = """
import json, sys
from docker.credentials import Store, CredentialsNotFound, StoreError
store = Store("dsops")
def said(call):
    try:
        return call()
    except CredentialsNotFound:
        return "not found"
    except StoreError as error:
        return f"error: {error}"
print(json.dumps({"get": [said(lambda: store.get(server)) for server in sys.argv[1:]], "list": said(store.list)}))
"""


class Registry:
    """Enough of a registry for a manifest and a list of tags."""

    def __init__(self, login):
        # `login`: whether it wants one. What came in stays in `seen`: the path and the name that was sent, if any.
        self.seen = []
        layer = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "size": 0, "digest": "sha256:" + hashlib.sha256(b"").hexdigest()}
        config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}}).encode()
        digest = "sha256:" + hashlib.sha256(config).hexdigest()
        media = "application/vnd.oci.image.manifest.v1+json"
        manifest = json.dumps({"schemaVersion": 2, "mediaType": media, "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json", "size": len(config), "digest": digest}, "layers": [layer]}).encode()
        expected = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        registry = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self, code, body=b"", **headers):
                self.send_response(code)
                for name, value in {"Content-Length": str(len(body)), "Docker-Distribution-Api-Version": "registry/2.0", **headers}.items():
                    self.send_header(name.replace("_", "-"), value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def do_GET(self):
                sent = self.headers.get("Authorization")
                name = base64.b64decode(sent[6:]).decode().split(":")[0] if sent and sent.startswith("Basic ") else None
                registry.seen.append((self.path, name))
                if login and sent != expected:
                    return self.answer(401, b'{"errors":[{"code":"UNAUTHORIZED"}]}', WWW_Authenticate='Basic realm="peers"')
                if "/manifests/" in self.path:
                    found = "sha256:" + hashlib.sha256(manifest).hexdigest()
                    return self.answer(200, manifest, Content_Type=media, Docker_Content_Digest=found)
                if self.path.endswith(digest):
                    return self.answer(200, config, Content_Type="application/octet-stream")
                if "/tags/list" in self.path:
                    name = self.path.removeprefix("/v2/").split("/tags/")[0]
                    return self.answer(200, json.dumps({"name": name, "tags": ["1"]}).encode(), Content_Type="application/json")
                if self.path.rstrip("/") == "/v2":
                    return self.answer(200, b"{}", Content_Type="application/json")
                return self.answer(404, b'{"errors":[]}')

            do_HEAD = do_GET

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"localhost:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def taken(self):
        """Returns what came in since the last call."""
        seen, self.seen = self.seen, []
        return seen


class Daemon:
    """Enough of docker's daemon for its command line to log in and to pull: it shows what login it was given."""

    def __init__(self):
        self.seen = []
        daemon = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self, code, body):
                body = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(code)
                for name, value in (("Api-Version", "1.47"), ("Ostype", "linux"), ("Content-Type", "application/json"), ("Content-Length", str(len(body)))):
                    self.send_header(name, value)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            def do_GET(self):
                if self.path.endswith("/_ping"):
                    return self.answer(200, b"OK")
                if self.path.endswith("/info"):
                    return self.answer(200, {"IndexServerAddress": "https://index.docker.io/v1/", "OSType": "linux"})
                return self.answer(404, {"message": "not here"})

            do_HEAD = do_GET

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.path.endswith("/auth"):
                    return self.answer(200, {"Status": "Login Succeeded"})
                sent = self.headers.get("X-Registry-Auth") or ""
                login = json.loads(base64.urlsafe_b64decode(sent + "=" * (-len(sent) % 4)) or b"{}")
                daemon.seen.append((login.get("username"), login.get("password")))
                return self.answer(200, {"status": "pulled"})

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"tcp://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def taken(self):
        seen, self.seen = self.seen, []
        return seen


def go_environment(place):
    """Returns the environment for Go: the caches of the user are used where there are some, whatever HOME is."""
    home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    kept = {"GOMODCACHE": home / "go/pkg/mod", "GOCACHE": home / ".cache/go-build"}
    return {**os.environ, "GOBIN": str(place), **{name: str(path) for name, path in kept.items() if path.is_dir()}}


def have(program, package):
    """Finds a program, and installs it as root where it is missing."""
    if shutil.which(program) is None and os.getuid() == 0 and shutil.which("apt-get"):
        install = ["apt-get", "install", "-y", "--no-install-recommends", package]
        for command in (install, ["apt-get", "update"], install):
            environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            if subprocess.run(command, capture_output=True, timeout=INSTALL, env=environment).returncode == 0 and shutil.which(program):
                break
    return shutil.which(program)


def built(place, arguments, program, directory=None):
    """Builds a program of Go, or says that it cannot be had."""
    if shutil.which("go") is None:
        print(f"not run: {program}: no go")
        return None
    try:
        done = subprocess.run(["go", *arguments], capture_output=True, text=True, timeout=INSTALL, env=go_environment(place), cwd=directory)
    except subprocess.TimeoutExpired:
        print(f"not run: {program} is not built within {INSTALL} s")
        return None
    if done.returncode != 0:
        print(f"not run: {program} cannot be built: {done.stderr.strip().splitlines()[-1:]}")
        return None
    return str(place / program)


def main():
    dsops = os.path.realpath(sys.argv[1] if len(sys.argv) > 1 else ROOT / "target" / "debug" / "dsops")
    place = Path(tempfile.mkdtemp(prefix="dsops-docker-"))
    check = Checks()

    closed, opened = Registry(login=True), Registry(login=False)
    unmapped = Registry(login=False)
    home, tools = place / "home", place / "bin"
    (home / ".config/dsops").mkdir(parents=True)
    tools.mkdir()
    (tools / "docker-credential-dsops").symlink_to(dsops)
    # `opened` gives everything to everybody: only the helper can keep a caller from going on without a login.
    (home / ".config/dsops/dsops.yaml").write_text(
        "secretStores:\n"
        "  away: {type: infisical, host: 'http://127.0.0.1:9', project_id: 64f7e4d2-1234-5678-abcd-1234567890ab, environment: dev,"
        " timeout_ms: 300, token_cache: false, auth: {client_id: a, client_secret: b}}\n"
        "helpers:\n  docker:\n"
        f"    {closed.host}: {{username: {{literal: {json.dumps(USER)}}}, password: {{literal: {json.dumps(PASSWORD)}}}}}\n"
        f"    {opened.host}: {{username: {{literal: me}}, password: away/TOKEN}}\n"
        "    docker.io: {username: {literal: hubuser}, password: {literal: hub-s3cret}}\n"
        "    token.example: {username: {literal: <token>}, password: {literal: identity-s3cret}}\n", encoding="utf-8")
    environment = {"PATH": f"{tools}:{os.environ['PATH']}", "HOME": str(home), "LANG": "C.UTF-8"}

    def run(*command, **more):
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=120, cwd=place,
                              env={**environment, **more}, stdin=subprocess.DEVNULL)
        return done, done.stdout + done.stderr

    configurations = {}
    for name, content in {
        "credHelpers": {"credHelpers": {host: "dsops" for host in (closed.host, opened.host, unmapped.host)}},
        "credsStore": {"credsStore": "dsops"},
    }.items():
        configurations[name] = place / name
        configurations[name].mkdir()
        (configurations[name] / "config.json").write_text(json.dumps(content))

    def judge(program, how, call):
        """Asks for a manifest of each registry; `call` runs the program."""
        done, text = call(f"{closed.host}/acme/app:1")
        names = {name for _, name in closed.taken()}
        check(done.returncode == 0 and USER in names, f"{program}, {how}: it logs in", text)
        done, text = call(f"{unmapped.host}/acme/app:1")
        names = {name for _, name in unmapped.taken()}
        check(done.returncode == 0 and names == {None}, f"{program}, {how}: without an entry it goes on without a login", text)
        done, text = call(f"{opened.host}/acme/app:1")
        check(done.returncode != 0, f"{program}, {how}: a store that is away stops it, though the registry would let it in", text)
        check(not opened.taken(), f"{program}, {how}: and the registry is not asked at all", text)
        check("127.0.0.1:9" in text and "s3cret" not in text, f"{program}, {how}: and it shows why", text)

    skopeo = have("skopeo", "skopeo")
    if skopeo is None:
        print("not run: skopeo cannot be installed")
    else:
        print(run(skopeo, "--version")[1].strip())
        file = configurations["credHelpers"] / "config.json"
        judge("skopeo", "credHelpers", lambda image: run(skopeo, "inspect", "--tls-verify=false", "--authfile", file, f"docker://{image}"))
        (place / "registries.conf").write_text('credential-helpers = ["dsops"]\n')
        judge("skopeo", "registries.conf", lambda image: run(
            skopeo, "--registries-conf", place / "registries.conf", "inspect", "--tls-verify=false", f"docker://{image}"))
        done, text = run(skopeo, "login", "--tls-verify=false", "--authfile", file, "-u", USER, "-p", PASSWORD, closed.host)
        check(done.returncode == 0, "skopeo login with what the entry has is no mistake", text)
        done, text = run(skopeo, "logout", "--authfile", file, closed.host)
        # skopeo 1.9, which Debian 12 has, overflows its stack where any helper refuses, before it shows why.
        check(done.returncode != 0 and ("no logins are kept here" in text or "stack overflow" in text), "skopeo logout does not say that the login is gone", text)

    crane = built(tools, ["install", CRANE], "crane")
    if crane:
        print(f"crane {CRANE.split('@')[1]}")
        for name, directory in configurations.items():
            judge("crane", name, lambda image: run(crane, "manifest", image, DOCKER_CONFIG=directory))
        done, text = run(crane, "auth", "get", "index.docker.io", DOCKER_CONFIG=configurations["credsStore"])
        check(done.returncode == 0 and json.loads(done.stdout)["Username"] == "hubuser", "crane auth get has the login of Docker Hub", text)

    docker = shutil.which("docker")
    if docker is None:
        print("not run: no docker command line")
    else:
        print(run(docker, "--version")[1].strip())
        daemon = Daemon()
        for name, directory in configurations.items():
            more = {"DOCKER_CONFIG": directory, "DOCKER_HOST": daemon.url}
            done, text = run(docker, "pull", f"{closed.host}/acme/app:1", **more)
            check(done.returncode == 0 and daemon.taken() == [(USER, PASSWORD)], f"docker pull, {name}: the daemon gets the login", text)
            done, text = run(docker, "pull", "acme/app:1", **more)
            check(done.returncode == 0 and daemon.taken() == [(("hubuser", "hub-s3cret") if name == "credsStore" else (None, None))],
                  f"docker pull, {name}: the daemon gets the login of Docker Hub where the file names the helper for it", text)
            done, text = run(docker, "pull", f"{unmapped.host}/acme/app:1", **more)
            check(done.returncode == 0 and daemon.taken() == [(None, None)], f"docker pull, {name}: without an entry it goes on without a login", text)
            # That it then goes on is its own: `ResolveAuthConfig` drops the error.
            done, text = run(docker, "pull", f"{opened.host}/acme/app:1", **more)
            check("127.0.0.1:9" in text and daemon.taken() == [(None, None)], f"docker pull, {name}: a store that is away is shown", text)
            done, text = run(docker, "login", closed.host, **more)
            check(done.returncode == 0 and "Login Succeeded" in text, f"docker login, {name}: it tries the entry, and there is nothing to keep", text)
            done, text = run(docker, "login", "-u", "other", "-p", "s3cret-other", closed.host, **more)
            check(done.returncode != 0 and "no logins are kept here" in text, f"docker login, {name}: with another login it says that dsops keeps none", text)
            done, text = run(docker, "login", opened.host, **more)
            check(done.returncode != 0 and "127.0.0.1:9" in text, f"docker login, {name}: a store that is away is shown", text)
            done, text = run(docker, "logout", closed.host, **more)
            check("no logins are kept here" in text, f"docker logout, {name}: says that dsops keeps no logins", text)
            daemon.taken()

    asked = [closed.host, f"https://{closed.host}/v2/", "https://index.docker.io/v1/", "docker.io", "token.example", "elsewhere.example",
             "https://index.docker.io/v1/access-token", opened.host]
    names = [USER, USER, "hubuser", "hubuser", "<token>", None, None, None]
    listed = {closed.host: USER, opened.host: "me", "https://index.docker.io/v1/": "hubuser", "token.example": "<token>"}
    source = place / "client"
    source.mkdir()
    (source / "main.go").write_text(GO_CLIENT)
    (source / "go.mod").write_text(f"module client\n\ngo 1.21\n\nrequire {LIBRARY.replace('@', ' ')}\n")
    client = built(source, ["build", "-mod=mod", "-o", "client", "."], "client", source)
    if client:
        print(f"docker-credential-helpers {LIBRARY.split('@')[1]}")
        done, text = run(client, *asked)
        said = [json.loads(line) for line in done.stdout.splitlines()]
        for server, name, one in zip(asked, names, said):
            if name is not None:
                right = one["value"] is not None and one["value"]["Username"] == name and one["value"]["ServerURL"] == server
                check(right, f"the library for Go gets the login of {server}", one.get("error"))
            else:
                away = server == opened.host
                check(one["value"] is None and one["notFound"] != away, f"the library for Go sees {'an error' if away else 'that nothing is there'} for {server}", one)
        check(said[0]["value"]["Secret"] == PASSWORD, "the library for Go gets the password to the letter")
        check(said[-3]["value"] == listed, "the library for Go lists the registries, and no store is asked", said[-3])
        check("no logins are kept here" in said[-2].get("error", ""), "the library for Go is refused a store", said[-2])
        check("no logins are kept here" in said[-1].get("error", ""), "the library for Go is refused an erase", said[-1])

    venv = place / "venv"
    try:
        subprocess.run([sys.executable, "-m", "venv", venv], check=True, timeout=INSTALL, capture_output=True)
        subprocess.run([venv / "bin/pip", "install", "--quiet", "--disable-pip-version-check", "docker"], check=True, timeout=INSTALL, capture_output=True)
    except (OSError, subprocess.SubprocessError):
        print("not run: docker of PyPI cannot be installed")
    else:
        print("docker of PyPI", run(venv / "bin/python", "-c", "import docker; print(docker.__version__)")[0].stdout.strip())
        done, text = run(venv / "bin/python", "-c", PYTHON_CLIENT, *asked)
        said = json.loads(done.stdout) if done.returncode == 0 else {"get": [], "list": text}
        for server, name, one in zip(asked, names, said["get"]):
            if name is not None:
                check(isinstance(one, dict) and one["Username"] == name, f"the library for Python gets the login of {server}", one)
            else:
                away = server == opened.host
                check((one == "not found") != away and isinstance(one, str), f"the library for Python sees {'an error' if away else 'that nothing is there'} for {server}", one)
        check(said["list"] == listed, "the library for Python lists the registries", said["list"])

    shutil.rmtree(place, ignore_errors=True)
    check.end("docker")


main()
