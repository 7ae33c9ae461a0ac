#!/usr/bin/env python3
"""Lets the SDK and the command line of AWS take their keys from dsops, against a server that checks the signature.

    tests/peers/aws.py [path to dsops]

boto3 and awscli come from PyPI into a directory that is deleted again. The server is a small STS: it computes the signature of
each request again, by "AWS Signature Version 4" of the documentation, and says who asked. Exit code: 0 where all agree, 1
where something does not.
"""

import hashlib
import hmac
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from checks import Checks

ROOT = Path(__file__).resolve().parents[2]
KEYS = {"AKIAPEERSDEPLOY00001": ("s3cret+/plain/KEY=0123456789abcdefghijk", None),
        "ASIAPEERSSESSION0001": ("s3cret+/session/KEY=0123456789abcdefghi", "IQoJb3JpZ2luX2VjE+/s3cret==" * 20)}
INSTALL = 400

# Says who it is, as often as it is told, from one session; prints one line of JSON for each.
PYTHON = """
import json, sys, time, boto3, botocore
from botocore.exceptions import ClientError, BotoCoreError
host, profile, times, pause = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
try:
    client = boto3.Session(profile_name=profile).client("sts", endpoint_url=host, region_name="eu-central-1")
    for _ in range(times):
        print(json.dumps({"arn": client.get_caller_identity()["Arn"]}), flush=True)
        time.sleep(pause)
except (ClientError, BotoCoreError) as error:
    print(json.dumps({"error": str(error)}))
"""


class Sts:
    """Answers GetCallerIdentity to whoever signs with one of the keys."""

    def __init__(self):
        self.seen = []
        sts = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                wrong, identity = judged(self, body)
                sts.seen.append(wrong or identity)
                text = (f'<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code><Message>{wrong}</Message></Error></ErrorResponse>' if wrong else
                        f'<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
                        f'<Arn>arn:aws:iam::123456789012:user/{identity}</Arn><UserId>{identity}</UserId><Account>123456789012</Account>'
                        f'</GetCallerIdentityResult></GetCallerIdentityResponse>').encode()
                self.send_response(403 if wrong else 200)
                self.send_header("Content-Type", "text/xml")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def judged(request, body):
    """Returns what is wrong with a request's signature, or whose it is."""
    scheme, _, rest = request.headers.get("Authorization", "").partition(" ")
    if scheme != "AWS4-HMAC-SHA256":
        return "no signature", None
    parts = dict(part.strip().split("=", 1) for part in rest.split(","))
    identity, day, region, service, end = parts["Credential"].split("/")
    if identity not in KEYS:
        return "unknown key", None
    secret, token = KEYS[identity]
    if request.headers.get("X-Amz-Security-Token") != token:
        return "wrong session token", None
    names = parts["SignedHeaders"].split(";")
    if token is not None and "x-amz-security-token" not in names:
        return "the session token is not signed", None
    path, _, query = request.path.partition("?")
    query = "&".join(sorted(query.split("&"))) if query else ""
    headers = "".join(f"{name}:{' '.join((request.headers.get(name) or '').split())}\n" for name in names)
    canonical = "\n".join([request.command, urllib.parse.quote(path), query, headers, ";".join(names), hashlib.sha256(body).hexdigest()])
    scope = f"{day}/{region}/{service}/{end}"
    text = "\n".join([scheme, request.headers["X-Amz-Date"], scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = ("AWS4" + secret).encode()
    for part in (day, region, service, end):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    return (None, identity) if hmac.compare_digest(signature, parts["Signature"]) else ("wrong signature", None)


def main():
    dsops = os.path.realpath(sys.argv[1] if len(sys.argv) > 1 else ROOT / "target" / "debug" / "dsops")
    place = Path(tempfile.mkdtemp(prefix="dsops-aws-"))
    check = Checks()

    venv = place / "venv"
    try:
        subprocess.run([sys.executable, "-m", "venv", venv], check=True, timeout=INSTALL, capture_output=True)
        subprocess.run([venv / "bin/pip", "install", "--quiet", "--disable-pip-version-check", "boto3", "awscli"],
                       check=True, timeout=INSTALL, capture_output=True)
    except (OSError, subprocess.SubprocessError):
        print("not run: boto3 and awscli cannot be installed")
        sys.exit(0)
    sts = Sts()
    home = place / "home"
    (home / ".aws").mkdir(parents=True)
    plain, session = KEYS
    entry = lambda key, more="": (f"{{access_key_id: {{literal: {key}}}, secret_access_key: {{literal: \"{KEYS[key][0]}\"}}"
                                  + (f", session_token: {{literal: \"{KEYS[key][1]}\"}}" if KEYS[key][1] else "") + more + "}")
    # A directory with a space in its name: the SDK takes the command apart as a shell would.
    config = place / "my config" / "dsops.yaml"
    config.parent.mkdir()
    config.write_text(
        "secretStores:\n  gone: {type: literal, values: {A: b}}\nhelpers:\n  aws:\n"
        f"    deploy: {entry(plain)}\n    session: {entry(session)}\n    long: {entry(plain, ', refresh: 30m')}\n"
        f"    short: {entry(session, ', refresh: 1s')}\n"
        "    absent: {access_key_id: gone/NOPE, secret_access_key: gone/NOPE}\n"
        "    broken: {access_key_id: {literal: AKIA}, secret_access_key: {literal: \"s3cret two\\n\"}}\n")
    # Counts how often the process is run.
    counter = place / "counted"
    counter.write_text(f"#!/bin/sh\necho run >> {shlex.quote(str(place))}/runs\nexec {shlex.quote(dsops)} \"$@\"\n")
    counter.chmod(0o755)
    names = ["deploy", "session", "long", "short", "absent", "broken", "nosuch"]
    (home / ".aws/config").write_text("".join(
        f"[profile {name}]\ncredential_process = {counter} --config \"{config}\" helper aws {name}\n" for name in names))
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "AWS_EC2_METADATA_DISABLED": "true"}

    def run(*command):
        (place / "runs").unlink(missing_ok=True)
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=120, env=environment,
                              cwd=place, stdin=subprocess.DEVNULL)
        runs = (place / "runs").read_text().count("run") if (place / "runs").exists() else 0
        return done, done.stdout + done.stderr, runs

    def boto(profile, times=1, pause=0.0):
        done, text, runs = run(venv / "bin/python", "-c", PYTHON, sts.url, profile, times, pause)
        return [json.loads(line) for line in done.stdout.splitlines()], text, runs

    print("boto3", run(venv / "bin/python", "-c", "import boto3; print(boto3.__version__)")[0].stdout.strip())
    for profile, key in (("deploy", plain), ("session", session)):
        said, text, runs = boto(profile, 3)
        check(len(said) == 3 and all(one.get("arn", "").endswith(key) for one in said), f"boto3, {profile}: the signature is right", text)
        check(runs == 1, f"boto3, {profile}: without an end the process runs once for three calls", runs)
    said, text, runs = boto("long", 3)
    check(all("arn" in one for one in said) and runs == 1, "boto3: with `refresh: 30m` it runs once for three calls", f"{runs} {text}")
    said, text, runs = boto("short", 3, 1.2)
    check(len(said) == 3 and all("arn" in one for one in said) and runs >= 3, "boto3: with a short `refresh` it runs again, and goes on", f"{runs} {text}")
    said, text, _ = boto("nosuch")
    error = said[0].get("error", "")
    check("`helpers.aws` has no `nosuch`" in error and "`deploy`" in error, "boto3: of an unknown name it shows the line of dsops", text)
    said, text, _ = boto("absent")
    check("gone" in said[0].get("error", ""), "boto3: of a secret that is absent it shows the line of dsops", text)
    said, text, _ = boto("broken")
    check("secret_access_key" in said[0].get("error", "") and "s3cret" not in text, "boto3: of a key with a line break it shows where, and no value", text)
    check(not [one for one in sts.seen if one not in KEYS], "the server saw nothing but right signatures", sts.seen)

    aws = venv / "bin/aws"
    print(run(aws, "--version")[1].strip())
    done, text, _ = run(aws, "--profile", "session", "--region", "eu-central-1", "--endpoint-url", sts.url, "sts", "get-caller-identity")
    check(done.returncode == 0 and session in done.stdout, "the command line: the signature is right", text)
    done, text, _ = run(aws, "--profile", "nosuch", "--region", "eu-central-1", "--endpoint-url", sts.url, "sts", "get-caller-identity")
    check(done.returncode != 0 and "`helpers.aws` has no `nosuch`" in text, "the command line: of an unknown name it shows the line of dsops", text)

    shutil.rmtree(place, ignore_errors=True)
    check.end("aws")


main()
