#!/usr/bin/env python3
"""What masking costs: throughput between pipes, and the delay of a line through a pipe and a terminal.

    cargo build --release && python3 benches/mask.py [target/release/dsops]

Prints figures and judges nothing. 100 random values of 32 characters, with all their forms. Linux; standard library only.
"""

import os
import pty
import random
import select
import statistics
import subprocess
import sys
import tempfile
import termios
import time

DSOPS = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "target/release/dsops")
SIZE = 1 << 30
LINES = 1000
CHARACTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/!%&?@#=<>"


def config(directory, *more):
    chance = random.Random(7)
    values = ["".join(chance.choice(CHARACTERS) for _ in range(32)) for _ in range(100)]
    with open(os.path.join(directory, "dsops.yaml"), "w") as file:
        file.write("version: 1\nenvs:\n  dev:\n")
        for index, value in enumerate([*values, *more]):
            file.write(f"    V{index}: {{literal: '{value}'}}\n")
    return values


def texts(values):
    chance = random.Random(1)

    def line():
        return (
            f"2026-11-24T18:04:{chance.randrange(60):02}.{chance.randrange(1000):03}Z INFO app::server "
            f"id={chance.getrandbits(64):016x} method=GET path=/api/v1/users/{chance.randrange(10**5)}/orders "
            f"status=200 took={chance.randrange(500)}ms\n"
        )

    log = [line() for _ in range(20000)]
    yield "log lines", "".join(log).encode()
    secret = [text[:40] + chance.choice(values) + text[40:] if index % 10 == 0 else text for index, text in enumerate(log)]
    yield "a value in every tenth line", "".join(secret).encode()
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    yield "base64", "".join("".join(chance.choices(digits, k=76)) + "\n" for _ in range(40000)).encode()
    yield "binary", chance.randbytes(4 << 20)


def throughput(directory, block, command):
    """Megabytes a second from a pipe to a pipe. The writer sends one block again and again."""
    source = (
        "import sys\nblock = open(sys.argv[1], 'rb').read()\nleft = int(sys.argv[2])\n"
        "while left > 0:\n    left -= sys.stdout.buffer.write(block[:left])\n"
    )
    path = os.path.join(directory, "block")
    with open(path, "wb") as file:
        file.write(block)
    best = 0
    for _ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", source, path, str(SIZE)], stdout=subprocess.PIPE)
        start = time.perf_counter()
        tested = subprocess.Popen(command, stdin=writer.stdout, stdout=subprocess.PIPE, cwd=directory)
        writer.stdout.close()
        sink = subprocess.Popen(["cat"], stdin=tested.stdout, stdout=subprocess.DEVNULL)
        tested.stdout.close()
        if [process.wait() for process in (writer, tested, sink)] != [0, 0, 0]:
            sys.exit(f"{command} failed")
        best = max(best, SIZE / (time.perf_counter() - start) / 1e6)
    return best


def latency(command, directory, terminal):
    """Microseconds from writing a line to a program to having its answer: median, 99 of 100."""
    if terminal:
        ours, theirs = pty.openpty()
        modes = termios.tcgetattr(theirs)
        modes[3] &= ~termios.ECHO
        termios.tcsetattr(theirs, termios.TCSANOW, modes)
        process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=directory, start_new_session=True,
            preexec_fn=lambda: __import__("fcntl").ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(theirs)
        write, read = ours, ours
    else:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=directory)
        write, read = process.stdin.fileno(), process.stdout.fileno()
    times = []
    for index in range(LINES + 20):
        line = f"line {index} of the program, an ordinary one\n".encode()
        seen = b""
        start = time.perf_counter()
        os.write(write, line)
        while not seen.endswith(b"\n"):
            if not select.select([read], [], [], 10)[0]:
                sys.exit(f"{command} does not answer")
            seen += os.read(read, 4096)
        times.append((time.perf_counter() - start) * 1e6)
    process.kill()
    process.wait()
    times = sorted(times[20:])
    return statistics.median(times), times[len(times) * 99 // 100]


def main():
    with tempfile.TemporaryDirectory() as directory:
        values = config(directory)
        mask = [DSOPS, "mask", "--env", "dev"]
        print("throughput, MB/s              cat    dsops mask")
        blocks = list(texts(values))
        for name, block in blocks:
            print(f"  {name:28}{throughput(directory, block, ['cat']):5.0f} {throughput(directory, block, mask):9.0f}")
        config(directory, "q7Zx")
        name, block = blocks[0]
        print(f"  and a value of four bytes         {throughput(directory, block, mask):9.0f}")
        config(directory)
        print("a line there and back, µs    median     p99")
        run = [DSOPS, "exec", "--env", "dev"]
        for name, command, terminal in [
            ("pipe: cat", ["cat"], False),
            ("pipe: exec -- cat", [*run, "--", "cat"], False),
            ("pipe: exec --mask -- cat", [*run, "--mask", "--", "cat"], False),
            ("pipe: mask", mask, False),
            ("terminal: cat", ["cat"], True),
            ("terminal: exec --mask -- cat", [*run, "--mask", "--", "cat"], True),
        ]:
            median, worst = latency(command, directory, terminal)
            print(f"  {name:28}{median:5.0f} {worst:9.0f}")
        print("start-up, ms")
        for name, command in [("exec -- true", [*run, "--", "true"]), ("exec --supervise -- true", [*run, "--supervise", "--", "true"]), ("exec --mask -- true", [*run, "--mask", "--", "true"])]:
            times = []
            for _ in range(50):
                start = time.perf_counter()
                subprocess.run(command, cwd=directory, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
                times.append((time.perf_counter() - start) * 1e3)
            print(f"  {name:28}{statistics.median(times):5.1f}")


main()
