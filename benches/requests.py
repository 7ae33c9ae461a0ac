#!/usr/bin/env python3
"""Measures what fetching from Infisical costs: requests and wall-clock time, each beside what it must be.

    benches/requests.py target/release/dsops [MILLISECONDS]

Starts a server of its own on the loopback address that answers after a delay (50 ms), with the shapes of
the real one's answers, and runs `dsops exec` against it, 11 times a case. Requests must hold: the exit
code is 1 where they do not. Times are told with what they must be and fail nothing, since they are the
machine's as well.
"""

import asyncio
import json
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
import urllib.parse

PROJECT = "64f7e4d2-1234-5678-abcd-1234567890ab"
RUNS = 11


class Server(threading.Thread):
    """Answers as Infisical does, on connections that stay open. It does next to nothing a request."""

    def __init__(self, delay):
        super().__init__(daemon=True)
        self.delay, self.lists, self.pauses = delay, {}, 0
        self.counts = {"login": 0, "list": 0, "one": 0, "429": 0, "other": 0}
        self.ready = threading.Event()
        self.start()
        self.ready.wait()

    def run(self):
        asyncio.run(self.serve())

    async def serve(self):
        server = await asyncio.start_server(self.connection, "127.0.0.1", 0, backlog=512)
        self.port = server.sockets[0].getsockname()[1]
        self.ready.set()
        await server.serve_forever()

    async def connection(self, reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                method, target, _ = head.split("\r\n", 1)[0].split(" ")
                length = next((int(line.split(":")[1]) for line in head.split("\r\n")
                               if line.lower().startswith("content-length:")), 0)
                await reader.readexactly(length)
                due = asyncio.get_running_loop().time() + self.delay
                status, extra, body = self.answer(method, target)
                await asyncio.sleep(due - asyncio.get_running_loop().time())
                writer.write(f"HTTP/1.1 {status}\r\ncontent-type: application/json; charset=utf-8\r\n{extra}"
                             f"content-length: {len(body)}\r\n\r\n".encode() + body)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def answer(self, method, target):
        url = urllib.parse.urlsplit(target)
        if method == "POST":
            self.counts["login"] += 1
            return "200 OK", "", LOGIN
        folder = dict(urllib.parse.parse_qsl(url.query)).get("secretPath", "/")
        if url.path == "/api/v3/secrets/raw" and folder in self.lists:
            if self.pauses:
                self.pauses -= 1
                self.counts["429"] += 1
                return "429 Too Many Requests", "retry-after: 1\r\n", LIMITED
            self.counts["list"] += 1
            return "200 OK", "", self.lists[folder]
        name = url.path.removeprefix("/api/v3/secrets/raw/")
        if url.path != name and folder in self.lists:
            self.counts["one"] += 1
            return "200 OK", "", json.dumps({"secret": row(folder, name)}).encode()
        self.counts["other"] += 1
        return "404 Not Found", "", b'{"message":"Route not found","error":"Not Found","statusCode":404}'

    def holds(self, folders):
        self.lists = {folder: json.dumps({"secrets": [row(folder, name) for name in names], "imports": []}).encode()
                      for folder, names in folders.items()}

    def reset(self):
        self.counts.update(dict.fromkeys(self.counts, 0))


LOGIN = json.dumps({"accessToken": "e30.e30." + "x" * 400, "expiresIn": 7200, "accessTokenMaxTTL": 7200,
                    "tokenType": "Bearer"}).encode()
LIMITED = json.dumps({"reqId": "req-0", "statusCode": 429, "error": "RateLimitExceeded",
                      "message": "Rate limit exceeded. Please try again in 1 seconds"}).encode()


def row(folder, name):
    return {"id": f"{folder}{name}", "_id": f"{folder}{name}", "workspace": PROJECT, "environment": "dev",
            "version": 1, "type": "shared", "secretKey": name, "secretValue": f"value of {name} " + "x" * 40,
            "secretComment": "", "secretPath": folder, "secretValueHidden": False, "tags": [], "secretMetadata": []}


class Case:
    """One environment: its file, and runs of it with a cache that is fresh or kept."""

    def __init__(self, binary, server, place, secrets, folders):
        self.binary, self.server, self.place = binary, server, place
        held = {}
        for index in range(secrets):
            held.setdefault(f"/f{index % folders}", []).append(f"KEY_{index}")
        server.holds(held)
        with open(os.path.join(place, "dsops.yaml"), "w") as file:
            file.write("secretStores:\n  s:\n    type: infisical\n"
                       f"    host: http://127.0.0.1:{server.port}\n"
                       f"    project_id: {PROJECT}\n    environment: dev\n"
                       "    auth: {client_id: '${ID}', client_secret: '${SECRET}'}\nenvs:\n  dev:\n")
            for folder, names in held.items():
                for name in names:
                    file.write(f"    {name}: {{from: s{folder}/{name}}}\n")
        self.file, self.request = os.path.join(place, "dsops.yaml"), os.path.join(place, "request.json")
        ids = [name for names in held.values() for name in names]
        with open(self.request, "w") as file:
            json.dump({"protocolVersion": 1, "provider": "dsops", "ids": ids}, file)
        self.arguments = ["exec", "--env", "dev", "--", "/bin/true"]
        self.files = []
        self.empty_cache()

    def answering(self):
        """Has the runs answer a program that asks for all of it, in place of starting one."""
        self.arguments = ["exec-provider", "--config", self.file, "--env", "dev"]
        self.files = [(os.POSIX_SPAWN_OPEN, 0, self.request, os.O_RDONLY, 0),
                      (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
        return self

    def empty_cache(self):
        self.cache = os.path.join(self.place, "cache")
        shutil.rmtree(self.cache, ignore_errors=True)
        os.mkdir(self.cache, 0o700)

    def spawn(self):
        environment = {"PATH": "/usr/bin:/bin", "HOME": self.place, "XDG_CACHE_HOME": self.cache, "ID": "id",
                       "SECRET": "a-client-secret-of-64-characters-0123456789abcdef0123456789abcdef"}
        return os.posix_spawn(self.binary, [self.binary, *self.arguments], environment, file_actions=self.files)

    def once(self):
        """Runs once. Returns milliseconds, peak memory in MiB and the requests by their kind."""
        self.server.reset()
        started = time.perf_counter()
        _, status, usage = os.wait4(self.spawn(), 0)
        wall = (time.perf_counter() - started) * 1000
        if status != 0:
            sys.exit("the command to measure fails")
        # `true` is smaller than dsops, and the peak is of the process that was both.
        return wall, usage.ru_maxrss / 1024, dict(self.server.counts)


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    binary, delay = os.path.realpath(sys.argv[1]), float((sys.argv[2:] + ["50"])[0])
    server, failed = Server(delay / 1000), False
    print(f"{delay:g} ms an answer, medians of {RUNS} runs")
    print(f"{'case':46} {'requests':>8} {'must be':>8}     {'wall ms':>8} {'must be':>12}      {'over':>6} {'MiB':>5}")

    def show(name, requests, most, wall, low, high, floor, peak):
        nonlocal failed
        within = requests <= most
        failed |= not within
        quick = "" if wall is None else ("ok" if low <= wall <= high else "slow")
        times = (f"{wall:8.1f} {f'{low:g} to {high:g}' if low else f'<= {high:g}':>12} {quick:4} {wall - floor:6.1f} {peak:5.1f}"
                 if wall is not None else "")
        print(f"{name:46} {requests:8g} {f'<= {most}':>8} {'ok' if within else 'FAIL':4} {times}")

    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        for secrets, folders, most, extra in [(1, 1, 2, 10), (100, 10, 11, 25)]:
            case, runs = Case(binary, server, place, secrets, folders), []
            for _ in range(RUNS):
                case.empty_cache()
                runs.append(case.once())
            report(show, f"{secrets} secrets, {folders} folders, cold", runs, most, 2, extra, delay)
        case = Case(binary, server, place, 1000, 20)
        case.once()
        runs = [case.once() for _ in range(RUNS)]
        report(show, "1000 secrets, 20 folders, kept token", runs, 20, 1, 40, delay)

        case, runs = Case(binary, server, place, 100, 10).answering(), []
        for _ in range(RUNS):
            case.empty_cache()
            runs.append(case.once())
        report(show, "exec-provider, 100 ids, 10 folders, cold", runs, 11, 2, 25, delay)
        runs = [case.once() for _ in range(RUNS)]
        report(show, "exec-provider, 100 ids, 10 folders, kept token", runs, 10, 1, 25, delay)

        case = Case(binary, server, place, 1, 1)
        server.reset()
        pids = [case.spawn() for _ in range(50)]
        if any(os.waitpid(pid, 0)[1] for pid in pids):
            sys.exit("the command to measure fails")
        logins = server.counts["login"]
        print(f"{'50 processes at once, cold cache: logins':46} {logins:8} {'<= 1':>8} "
              f"{'ok' if logins == 1 else 'FAIL'}")
        failed |= logins != 1

        case, runs = Case(binary, server, place, 4, 1), []
        for _ in range(RUNS):
            case.empty_cache()
            server.pauses = 1
            runs.append(case.once())
        wall, peak = statistics.median(run[0] for run in runs), max(run[1] for run in runs)
        requests = max(sum(run[2].values()) for run in runs)
        show("429 with Retry-After: 1 on the first list", requests, 3, wall, 1000, 1300, 1000 + 3 * delay, peak)
    sys.exit(failed)


def report(show, name, runs, most, delays, extra, delay):
    wall, peak = statistics.median(run[0] for run in runs), max(run[1] for run in runs)
    requests = max(sum(run[2].values()) for run in runs)
    show(name, requests, most, wall, 0, delays * delay + extra, delays * delay, peak)


main()
