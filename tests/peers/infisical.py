#!/usr/bin/env python3
"""Compares what dsops reads from the fake Infisical with what Infisical's own libraries read from it.

    tests/peers/infisical.py [path to dsops]

The fake of the tests runs as a program (`cargo build --example fake-infisical`), in both generations. The libraries
come from PyPI and npm into a directory that is deleted again; one that cannot be had is reported as `not run`. Every
value has to be the same, to the byte. Exit code: 0 where all that ran agree, 1 where one does not.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROJECT = "9cd41904-ea03-4da2-aff5-cafa69d1eadc"
CLIENT_ID, CLIENT_SECRET = "4b2f1c7e-6d1f-4a52-8a6e-0f4c5d3b2a19", "client-secret-of-the-peers"
FOLDERS = ["/", "/app/deep", "/shared", "/other", "/importing"]
INSTALL = 300
# Of two imports this library takes the first itself, where the server's single read takes the last.
EXCEPTIONS = {("@infisical/sdk of npm", "/importing", "ONLY_SHARED")}

PYTHON = """
import json, sys
from infisical_sdk import InfisicalSDKClient
host, project, identity, secret, folders = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5:]
client = InfisicalSDKClient(host=host)
client.auth.universal_auth.login(client_id=identity, client_secret=secret)
found = {}
for folder in folders:
    answer = client.secrets.list_secrets(project_id=project, environment_slug="dev", secret_path=folder,
        expand_secret_references=True, include_imports=True)
    values = {}
    for layer in (answer.imports or []):
        values.update({row["secretKey"]: row["secretValue"] for row in layer.secrets})
    values.update({row.secretKey: row.secretValue for row in answer.secrets})
    found[folder] = values
print(json.dumps(found))
"""

NODE = """
const { InfisicalSDK } = require("@infisical/sdk");
const [host, project, clientId, clientSecret, ...folders] = process.argv.slice(2);
(async () => {
  const client = new InfisicalSDK({ siteUrl: host });
  await client.auth().universalAuth.login({ clientId, clientSecret });
  const found = {};
  for (const folder of folders) {
    const secrets = await client.secrets().listSecretsWithImports({ projectId: project, environment: "dev",
      secretPath: folder, expandSecretReferences: true, recursive: false });
    found[folder] = Object.fromEntries(secrets.map((row) => [row.secretKey, row.secretValue]));
  }
  console.log(JSON.stringify(found));
})().catch((error) => { console.error(error); process.exit(1); });
"""


def python_client(place):
    """Installs the library for Python. Returns the command that reads with it, or None."""
    venv = place / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True, timeout=INSTALL, capture_output=True)
    subprocess.run([venv / "bin/pip", "install", "--quiet", "--disable-pip-version-check", "infisicalsdk"],
                   check=True, timeout=INSTALL, capture_output=True)
    (place / "read.py").write_text(PYTHON)
    return [str(venv / "bin/python"), str(place / "read.py")]


def node_client(place):
    subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "@infisical/sdk"], check=True,
                   timeout=INSTALL, capture_output=True, cwd=place)
    (place / "read.js").write_text(NODE)
    return ["node", str(place / "read.js")]


def read_with_dsops(dsops, place, host):
    """Returns every folder's values as `dsops render` gives them."""
    found = {}
    for folder in FOLDERS:
        (place / "dsops.yaml").write_text(
            "secretStores:\n  s:\n    type: infisical\n"
            f"    host: {host}\n    project_id: {PROJECT}\n    environment: dev\n    token_cache: false\n"
            "    auth: {client_id: '${ID}', client_secret: '${SECRET}'}\n"
            f"envs:\n  dev:\n    import: {{store: s{folder.rstrip('/')}}}\n")
        environment = {"PATH": os.environ["PATH"], "HOME": str(place), "ID": CLIENT_ID, "SECRET": CLIENT_SECRET}
        done = subprocess.run([dsops, "render", "--env", "dev", "--format", "json"], cwd=place, env=environment,
                              capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            sys.exit(f"infisical: dsops cannot read {folder}:\n{done.stderr}")
        found[folder] = json.loads(done.stdout)
    return found


def main():
    dsops = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "target/debug/dsops").resolve()
    fake = dsops.parent.parent / "debug/examples/fake-infisical"
    if not fake.exists():
        print("infisical: not run (no fake server: cargo build --example fake-infisical)")
        return 0
    failed, compared = False, 0
    with tempfile.TemporaryDirectory() as place:
        place = Path(place)
        clients = {}
        for name, install in [("infisicalsdk of PyPI", python_client), ("@infisical/sdk of npm", node_client)]:
            directory = place / install.__name__
            directory.mkdir()
            try:
                clients[name] = install(directory)
            except (OSError, subprocess.SubprocessError):
                print(f"infisical: not run: {name} cannot be installed")
        for generation in ["2025", "2026"]:
            server = subprocess.Popen([fake, generation], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            host = server.stdout.readline().strip()
            ours = read_with_dsops(dsops, place, host)
            for name, command in clients.items():
                done = subprocess.run([*command, host, PROJECT, CLIENT_ID, CLIENT_SECRET, *FOLDERS],
                                      capture_output=True, text=True, timeout=120)
                if done.returncode != 0:
                    print(f"infisical: {name} fails against {generation}:\n{done.stderr[-2000:]}")
                    failed = True
                    continue
                theirs = json.loads(done.stdout.strip().splitlines()[-1])
                for folder in FOLDERS:
                    for key in sorted(ours[folder].keys() | theirs[folder].keys()):
                        if (name, folder, key) in EXCEPTIONS:
                            continue
                        compared += 1
                        one, other = ours[folder].get(key), theirs[folder].get(key)
                        if one != other:
                            print(f"infisical: {generation}, {folder}, {key}: dsops {one!r}, {name} {other!r}")
                            failed = True
            server.stdin.close()
            server.wait(timeout=10)
    print(f"infisical: {compared} values compared with {len(clients)} libraries: {'failed' if failed else 'ok'}")
    return int(failed)


sys.exit(main())
