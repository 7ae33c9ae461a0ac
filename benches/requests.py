#!/usr/bin/env python3
"""Measures what fetching from Infisical costs: requests, wall-clock time and peak memory.

    benches/requests.py target/release/dsops [REFERENCES [FOLDERS [MILLISECONDS]]]

Starts a server of its own on the loopback address that answers after a delay, with the shapes of the
real one's answers, and runs `dsops exec` against it. Prints figures; it is no test of speed.
"""

import http.server
import json
import os
import statistics
import sys
import tempfile
import threading
import time
import urllib.parse

PROJECT = "64f7e4d2-1234-5678-abcd-1234567890ab"


def server(delay, folders):
    counts = {"login": 0, "list": 0, "other": 0}
    lock = threading.Lock()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self, kind, document):
            with lock:
                counts[kind] += 1
            time.sleep(delay)
            body = json.dumps(document).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json; charset=utf-8")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self):
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.answer("login", {"accessToken": "e30.e30." + "x" * 400, "expiresIn": 7200,
                                  "accessTokenMaxTTL": 7200, "tokenType": "Bearer"})

        def do_GET(self):
            url = urllib.parse.urlsplit(self.path)
            query = dict(urllib.parse.parse_qsl(url.query))
            folder = query.get("secretPath", "/")
            if url.path != "/api/v3/secrets/raw" or folder not in folders:
                return self.answer("other", {"secrets": [], "imports": []})
            secrets = [{"id": f"{folder}{name}", "_id": f"{folder}{name}", "workspace": PROJECT,
                        "environment": query["environment"], "version": 1, "type": "shared",
                        "secretKey": name, "secretValue": f"value of {name} " + "x" * 40,
                        "secretComment": "", "secretPath": folder, "secretValueHidden": False,
                        "tags": [], "secretMetadata": []} for name in folders[folder]]
            self.answer("list", {"secrets": secrets, "imports": []})

        def log_message(self, *_):
            pass

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 256

    httpd = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    return httpd, counts


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    binary = os.path.realpath(sys.argv[1])
    references, folder_count, delay = (int(text) for text in (sys.argv[2:] + ["1000", "20", "50"][len(sys.argv) - 2:]))
    folders = {}
    for index in range(references):
        folders.setdefault(f"/f{index % folder_count}", []).append(f"KEY_{index}")
    httpd, counts = server(delay / 1000, folders)
    with tempfile.TemporaryDirectory() as place:
        with open(os.path.join(place, "dsops.yaml"), "w") as file:
            file.write("secretStores:\n  s:\n    type: infisical\n"
                       f"    host: http://127.0.0.1:{httpd.server_address[1]}\n"
                       f"    project_id: {PROJECT}\n    environment: dev\n"
                       "    auth: {client_id: '${ID}', client_secret: '${SECRET}'}\nenvs:\n  dev:\n")
            for folder, names in folders.items():
                for name in names:
                    file.write(f"    {name}: {{from: s{folder}/{name}}}\n")
        environment = {"PATH": "/usr/bin:/bin", "HOME": place, "ID": "id", "SECRET": "secret"}
        os.chdir(place)
        walls, peaks = [], []
        runs = 11
        for _ in range(runs):
            started = time.perf_counter()
            pid = os.posix_spawn(binary, [binary, "exec", "--env", "dev", "--", "/bin/true"], environment)
            _, status, usage = os.wait4(pid, 0)
            walls.append((time.perf_counter() - started) * 1000)
            # `true` is smaller than dsops, and the peak is of the process that was both.
            peaks.append(usage.ru_maxrss / 1024)
            if status != 0:
                sys.exit("the command to measure fails")
    requests = sum(counts.values())
    print(f"{references} references in {folder_count} folders, {delay} ms an answer, {runs} runs:")
    print(f"requests: {requests / runs:g} a run ({counts['login'] / runs:g} logins, {counts['list'] / runs:g} lists)")
    print(f"wall clock: {statistics.median(walls):.0f} ms (median; {min(walls):.0f} to {max(walls):.0f})")
    print(f"peak memory: {statistics.median(peaks):.1f} MiB")


main()
