#!/usr/bin/env python3
"""Lets kubectl take its token or certificate from dsops, against a fake API server over TLS.

    tests/peers/kubectl.py [path to dsops]

kubectl is that of the system, or comes with apt-get; certificates are made with openssl. The server knows one list of
namespaces, and gives it to whoever has the token or a certificate of its authority. Exit code: 0 where all agree, 1 where
something does not.
"""

import base64
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from checks import Checks

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "eyJhbGciOi.s3cret-token_of.the-peers"
INSTALL = 400


def have(program, package):
    """Finds a program, and installs it as root where it is missing."""
    if shutil.which(program) is None and os.getuid() == 0 and shutil.which("apt-get"):
        install = ["apt-get", "install", "-y", "--no-install-recommends", package]
        for command in (install, ["apt-get", "update"], install):
            environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            if subprocess.run(command, capture_output=True, timeout=INSTALL, env=environment).returncode == 0 and shutil.which(program):
                break
    return shutil.which(program)


def certificates(place):
    """Makes an authority, and a certificate each for the server and for a user."""
    def openssl(*arguments):
        subprocess.run(["openssl", *[str(argument) for argument in arguments]], check=True, capture_output=True, cwd=place, timeout=60)

    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out", "ca.crt",
            "-days", "2", "-subj", "/CN=peers")
    for name, extension in (("server", "subjectAltName=IP:127.0.0.1,DNS:localhost"), ("user", "extendedKeyUsage=clientAuth")):
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr",
                "-subj", f"/O=devs/CN={name}")
        (place / f"{name}.ext").write_text(extension + "\n")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-out", f"{name}.crt",
                "-days", "2", "-extfile", f"{name}.ext")


class Api:
    """Enough of an API server for `kubectl get namespaces`."""

    def __init__(self, place):
        # Who asked for what: `token`, `certificate` or None.
        self.seen = []
        api = self
        table = {"kind": "NamespaceList", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": [
            {"kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "peers-space", "creationTimestamp": "2026-01-01T00:00:00Z"}, "status": {"phase": "Active"}}]}
        resources = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": "v1", "resources": [
            {"name": "namespaces", "singularName": "namespace", "namespaced": False, "kind": "Namespace", "verbs": ["get", "list"], "shortNames": ["ns"]}]}
        answers = {"/version": {"major": "1", "minor": "32", "gitVersion": "v1.32.0"}, "/api/v1": resources, "/api/v1/namespaces": table,
                   "/api": {"kind": "APIVersions", "versions": ["v1"]}, "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []}}

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                who = None
                if self.headers.get("Authorization") == f"Bearer {TOKEN}":
                    who = "token"
                elif self.connection.getpeercert():
                    who = "certificate"
                path = self.path.split("?")[0]
                api.seen.append((path, who, self.headers.get("Authorization")))
                code = 401 if who is None else 200 if path in answers else 404
                answer = answers[path] if code == 200 else {
                    "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": "Unauthorized" if code == 401 else "NotFound"}
                body = json.dumps(answer).encode()
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(place / "server.crt", place / "server.key")
        context.load_verify_locations(place / "ca.crt")
        context.verify_mode = ssl.CERT_OPTIONAL
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def taken(self):
        seen, self.seen = self.seen, []
        return seen


def main():
    dsops = os.path.realpath(sys.argv[1] if len(sys.argv) > 1 else ROOT / "target" / "debug" / "dsops")
    kubectl = have("kubectl", "kubernetes-client")
    if kubectl is None:
        print("not run: kubectl cannot be installed")
        sys.exit(0)
    if shutil.which("openssl") is None:
        print("not run: no openssl")
        sys.exit(0)
    place = Path(tempfile.mkdtemp(prefix="dsops-kubectl-"))
    check = Checks()

    certificates(place)
    api, other = Api(place), Api(place)
    counter = place / "counted"
    counter.write_text(f"#!/bin/sh\necho run >> {place}/runs\nexec {dsops} \"$@\"\n")
    counter.chmod(0o755)
    indented = lambda name: "".join(f"          {line}\n" for line in (place / name).read_text().splitlines())
    config = place / "dsops.yaml"
    config.write_text(
        f"secretStores:\n  gone: {{type: literal, values: {{A: b}}}}\nhelpers:\n  kube:\n    staging: {{token: {{literal: {TOKEN}}}, server: '{api.url}'}}\n"
        f"    anywhere: {{token: {{literal: {TOKEN}}}}}\n    short: {{token: {{literal: {TOKEN}}}, refresh: 1s}}\n"
        f"    absent: {{token: gone/NOPE}}\n    broken: {{token: {{literal: \"s3cret two\"}}}}\n"
        f"    cert:\n      client_certificate:\n        literal: |\n{indented('user.crt')}      client_key:\n        literal: |\n{indented('user.key')}")

    def run(arguments, version="v1", told=True, server=None, command=("get", "namespaces", "-o", "name")):
        """Runs kubectl with a kubeconfig that runs dsops."""
        kubeconfig = place / "kubeconfig"
        kubeconfig.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "k", "cluster": {"server": server or api.url,
                          "certificate-authority-data": base64.b64encode((place / "ca.crt").read_bytes()).decode()}}],
            "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
            "users": [{"name": "u", "user": {"exec": {
                "apiVersion": f"client.authentication.k8s.io/{version}", "command": str(counter), "interactiveMode": "Never",
                "args": ["--config", str(config), "helper", "kube", *arguments], "provideClusterInfo": told}}}]}))
        (place / "runs").unlink(missing_ok=True)
        shutil.rmtree(place / "home", ignore_errors=True)
        (place / "home").mkdir()
        done = subprocess.run([kubectl, "--kubeconfig", str(kubeconfig), *command], capture_output=True, text=True, timeout=120,
                              env={"PATH": os.environ["PATH"], "HOME": str(place / "home")}, stdin=subprocess.DEVNULL)
        runs = (place / "runs").read_text().count("run") if (place / "runs").exists() else 0
        return done, done.stdout + done.stderr, runs

    shown = subprocess.run([kubectl, "version", "--client", "-o", "json"], capture_output=True, text=True).stdout
    version = json.loads(shown)["clientVersion"]["gitVersion"]
    minor = int(re.match(r"v1\.(\d+)", version)[1])
    print(f"kubectl {version}")
    versions = ["v1beta1", "v1"] if minor >= 22 else ["v1beta1"]
    if minor < 22:
        print(f"not run: client.authentication.k8s.io/v1, which kubectl has since v1.22, and this is {version}")
    for asked in versions:
        for told in (True, False):
            where = f"{asked}, {'with' if told else 'without'} provideClusterInfo"
            done, text, _ = run(["anywhere"], asked, told)
            who = {who for _, who, _ in api.taken()}
            check(done.returncode == 0 and "peers-space" in done.stdout and who == {"token"}, f"{where}: a token", text)
            done, text, runs = run(["cert"], asked, told)
            who = {who for _, who, _ in api.taken()}
            check(done.returncode == 0 and "peers-space" in done.stdout and who == {"certificate"}, f"{where}: a certificate", text)
        done, text, _ = run(["staging"], asked, True)
        check(done.returncode == 0 and "peers-space" in done.stdout, f"{asked}: an entry with its server, by name", text)
        done, text, _ = run([], asked, True)
        check(done.returncode == 0 and "peers-space" in done.stdout, f"{asked}: the entry of the server, without a name", text)
        api.taken()
        for arguments, what in ((["staging"], "by name"), ([], "without a name")):
            done, text, _ = run(arguments, asked, True, server=other.url)
            check(done.returncode != 0 and other.url in text, f"{asked}: another server is refused, {what}, and named", text)
            check(not [sent for _, _, sent in other.taken() if sent], f"{asked}: another server gets no token, {what}", text)
        done, text, _ = run(["staging"], asked, False)
        check(done.returncode != 0 and "provideClusterInfo" in text, f"{asked}: an entry with a server is not given where the server is not told", text)
    latest = versions[-1]
    done, text, runs = run(["anywhere"], latest)
    check(runs == 1, "the process runs once for a command", runs)
    done, text, runs = run(["short"], latest)
    check(done.returncode == 0, "a token with an end is taken", text)
    for arguments, words in ((["nosuch"], ["`helpers.kube` has no `nosuch`", "`staging`"]), (["absent"], ["gone"]), (["broken"], ["helpers.kube.broken.token"])):
        done, text, _ = run(arguments, latest)
        check(done.returncode != 0 and all(word in text for word in words) and "s3cret" not in text, f"{arguments[0]}: kubectl shows the line of dsops, and no value", text)

    shutil.rmtree(place, ignore_errors=True)
    check.end("kubectl")


main()
