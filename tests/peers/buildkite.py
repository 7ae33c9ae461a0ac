#!/usr/bin/env python3
"""Runs a job of Buildkite with its own agent: dsops in a hook, and dsops exec in the command.

    tests/peers/buildkite.py [path to dsops]

The agent's `bootstrap` is what runs a job; it needs no server. It is built from its module with Go. Exit code: 0 where all agree, 1
where something does not.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
AGENT = "github.com/buildkite/agent/v3@v3.138.0"
VALUES = {
    "TOKEN": "t0ken-s3cret $HOME \"'`\\",
    "KEY": "-----BEGIN KEY-----\nMIIEs3cret-one\n  s3cret-two=\n-----END KEY-----\n",
    "UNICODE": "é€😀 s3cret",
    "LONG": "s3cret-" + "x" * 60_000,
    "EMPTY": "",
    "SHORT": "abc",
}


def find(directory):
    """Returns the directory of the agent's program."""
    found = shutil.which("buildkite-agent")
    if found is None:
        if shutil.which("go") is None:
            print("not run: neither buildkite-agent nor go")
            sys.exit(0)
        built = subprocess.run(["go", "install", AGENT], capture_output=True, env={**os.environ, "GOBIN": str(directory)})
        if built.returncode != 0:
            print(f"not run: {AGENT} cannot be built: {built.stderr.decode('utf-8', 'replace').strip().splitlines()[-1:]}")
            sys.exit(0)
        program = directory / "agent"
        if program.exists():
            program.rename(directory / "buildkite-agent")
        found = str(directory / "buildkite-agent")
    return os.path.dirname(found)


def main():
    dsops = os.path.realpath(sys.argv[1] if len(sys.argv) > 1 else ROOT / "target" / "debug" / "dsops")
    failures = []

    def check(holds, claim):
        print(f"{'ok    ' if holds else 'FAILED'} {claim}")
        if not holds:
            failures.append(claim)

    place = Path(tempfile.mkdtemp(prefix="dsops-buildkite-"))
    (place / "bin").mkdir()
    agent = find(place / "bin")
    checkout = place / "builds" / "agent" / "org" / "pipeline"
    checkout.mkdir(parents=True)
    (place / "hooks").mkdir()
    lines = ["envs:", "  prod:"] + [f"    {name}: {{literal: {json.dumps(value)}}}" for name, value in VALUES.items()]
    (checkout / "dsops.yaml").write_text("\n".join(lines) + "\n")
    names = " ".join(VALUES)
    show = f'for name in {names}; do printf "%s" "${{!name-unset}}" > got.$name; done; echo "$TOKEN"; echo "$KEY"; echo "$UNICODE"; echo "$LONG"; echo said'

    def job(hook, command, terminal):
        """Runs a job and returns its log and the values that its command had."""
        for file in checkout.glob("got.*"):
            file.unlink()
        script = place / "hooks" / "pre-command"
        script.write_text(f"#!/bin/bash\nset -e\n{hook}\n")
        script.chmod(0o755)
        environment = {
            "PATH": f"{os.path.dirname(dsops)}:{agent}:{os.environ['PATH']}",
            "HOME": str(place),
            "BUILDKITE": "true",
            "CI": "true",
            "BUILDKITE_AGENT_ACCESS_TOKEN": "none",
            "BUILDKITE_AGENT_NAME": "agent",
            "BUILDKITE_BIN_PATH": agent,
            "BUILDKITE_BRANCH": "main",
            "BUILDKITE_BUILD_PATH": str(place / "builds"),
            "BUILDKITE_BUILD_CHECKOUT_PATH": str(checkout),
            "BUILDKITE_COMMAND": command,
            "BUILDKITE_COMMAND_EVAL": "true",
            "BUILDKITE_COMMIT": "HEAD",
            "BUILDKITE_HOOKS_PATH": str(place / "hooks"),
            "BUILDKITE_BOOTSTRAP_PHASES": "command",
            "BUILDKITE_JOB_ID": "0190046e-e199-453b-a302-a21a4d649d31",
            "BUILDKITE_ORGANIZATION_SLUG": "org",
            "BUILDKITE_PIPELINE_PROVIDER": "git",
            "BUILDKITE_PIPELINE_SLUG": "pipeline",
            "BUILDKITE_PLUGINS_ENABLED": "false",
            "BUILDKITE_PTY": terminal,
            "BUILDKITE_REPO": str(checkout),
            "BUILDKITE_SHELL": "/bin/bash -e -c",
            "BUILDKITE_SOCKETS_PATH": str(place / "sockets"),
        }
        done = subprocess.run([f"{agent}/buildkite-agent", "bootstrap"], cwd=checkout, env=environment, capture_output=True, timeout=120)
        log = (done.stdout + done.stderr).decode("utf-8", "replace")
        got = {file.name.removeprefix("got."): file.read_bytes().decode("utf-8", "replace") for file in checkout.glob("got.*")}
        if done.returncode != 0 or not got:
            print(log[-3000:])
        return done.returncode, log, got

    (checkout / "show.sh").write_text(f"#!/bin/bash\n{show}\n")
    for title, hook, command in (
        ("render in a hook", "dsops render --env prod --format buildkite", "bash show.sh"),
        ("exec in the command", ":", "dsops exec --env prod -- bash show.sh"),
    ):
        for terminal in ("false", "true"):
            where = f"{title}, {'on a terminal' if terminal == 'true' else 'on pipes'}"
            code, log, got = job(hook, command, terminal)
            check(code == 0, f"{where}: the job succeeds")
            exact = sum(got.get(name) == value for name, value in VALUES.items())
            check(exact == len(VALUES), f"{where}: the command has {exact} of {len(VALUES)} values exactly")
            check("said" in log and "[REDACTED]" in log, f"{where}: the log shows what was masked")
            check("s3cret" not in log, f"{where}: the log shows no value")
    shutil.rmtree(place)
    sys.exit(1 if failures else 0)


main()
