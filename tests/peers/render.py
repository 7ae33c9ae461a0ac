#!/usr/bin/env python3
"""Reads back what `dsops render` writes, with the readers that its users have.

    tests/peers/render.py [path to dsops]

Every reader must get every value exactly, unless a note of dsops on stderr names both the variable and the reader.
Readers come from the package registries into a directory that is deleted again; one that cannot be had is reported
as `not run`. Exit code: 0 where all that ran agree, 1 where one does not, 2 where dsops itself fails.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

VALUES = [
    "", " ", "plain", "postgres://user:p%40ss@host:5432/db?sslmode=require", "a b", " lead", "tail ", "\ttab\t",
    "$HOME", "${HOME}", "${HOME:-x}", "$(id)", "`id`", "$", "$$", "a$", "a$b", "$1", "${", "it's", "'", "''", "'a'",
    '"', '""', '"a"', 'say "x"', "it's \"x\"", "it's $HOME", "it's `id`", "it's \\ $ ` \"", "`", "\\n", "a\\nb",
    "a\\tb", "C:\\new\\table", "\\\\srv\\share", "\\'", "'\\x", "\\$HOME", '\\"', "#a", "a #b", "a#b", "x # it's",
    "!x", "a!b!", "=a", "a=b", "==", "~", "~root", "*", "?", "[a]", "{a,b}", "a;b", "a&b", "a|b", "(a)", "<a>",
    "two\nlines", "\n", "blank\n\nlines\n", "A\nB=c", "-----BEGIN KEY-----\nMIIE/+=\n-----END KEY-----\n",
    "cr\r\nlf\r\n", "lone\rcr", "it's\r", "é€😀", "\u0085x", "x\u2028y\u2029", "\ufeffx", "\x7f", "\x01\x1b[0m",
    '{"a": [1, "b"]}', "- a", "a: b", "a:", "no", "null", "~", "1e3", "0x1F", "012", "2001-01-01", "%41", "@a", "export X=1",
]
# A reader that takes no backslash away does not see where these end, so each gets a file of its own.
ENDING = ["end\\", "end\\\\", "\\", "it's\\"]


def quoted(text):
    """Writes a YAML string, with an escape for everything that a reader might change."""
    plain = lambda c: c not in '"\\' and (" " <= c < "\x7f" or c in "é€😀")
    return '"' + "".join(c if plain(c) else f"\\u{ord(c):04x}" for c in text) + '"'


class Dsops:
    def __init__(self, program, directory):
        self.program = program
        self.config = directory / "dsops.yaml"
        environments = {"all": VALUES, **{f"ending{number}": [value] for number, value in enumerate(ENDING)}}
        lines = ["version: 1", "envs:"]
        self.expected = {}
        for environment, values in environments.items():
            self.expected[environment] = {f"V{number}": value for number, value in enumerate(values)}
            lines.append(f"  {environment}:")
            lines += [f"    {name}: {{literal: {quoted(value)}}}" for name, value in self.expected[environment].items()]
        self.config.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def render(self, environment, form):
        command = [self.program, "--config", str(self.config), "render", "--env", environment, "--format", form]
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            sys.stderr.write(done.stderr.decode("utf-8", "replace"))
            print(f"dsops render --format {form} ended with {done.returncode}")
            sys.exit(2)
        return done.stdout, re.sub(r"\s+", " ", done.stderr.decode("utf-8", "replace"))


class Unavailable(Exception):
    pass


def run(command, **options):
    """Runs a program and returns its output; one that is missing or fails makes the reader unavailable."""
    if shutil.which(command[0]) is None:
        raise Unavailable(f"no {command[0]}")
    done = subprocess.run(command, capture_output=True, **options)
    if done.returncode != 0:
        raise Unavailable((done.stderr or done.stdout).decode("utf-8", "replace").strip().splitlines()[-1:])
    return done.stdout


def hexed(program):
    """Makes a reader of a command that gets a file and the names, and prints each value in hex on its line."""

    def read(file, names):
        command = [*program, str(file), *names]
        done = subprocess.run(command, capture_output=True, env={**os.environ, "HOME": "/expanded"})
        lines = done.stdout.decode("ascii", "replace").split("\n")
        decode = lambda line: None if line == "none" else bytes.fromhex(line).decode("utf-8", "replace")
        return {name: decode(line) for name, line in zip(names, lines)} if done.returncode == 0 else {}

    return read


def shell(name):
    def prepare(_):
        if shutil.which(name) is None:
            raise Unavailable(f"no {name}")

        def read(file, names):
            words = " ".join(f'"${variable}"' for variable in names)
            script = f'. "$0"; printf "%s\\0" {words}'
            done = subprocess.run([name, "-c", script, str(file)], capture_output=True, env={**os.environ, "HOME": "/expanded"})
            values = done.stdout.decode("utf-8", "replace").split("\0")
            return dict(zip(names, values)) if done.returncode == 0 and not done.stderr else {}

        return read

    return prepare


def python(package, code):
    def prepare(directory):
        target = directory / f"python-{package}"
        if package:
            command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target", str(target), package]
            run(command)
        program = (
            f"import sys; sys.path.insert(0, {str(target)!r}); path, names = sys.argv[1], sys.argv[2:]\n{code}\n"
            "for name in names: v = d.get(name); print('none' if v is None else v.encode('utf-8', 'replace').hex())"
        )
        return hexed([sys.executable, "-W", "ignore", "-c", program])

    return prepare


def node(package, code, needs="true"):
    def prepare(directory):
        target = directory / f"node-{package}"
        target.mkdir()
        if package:
            run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(target), package])
        script = target / "read.js"
        script.write_text(
            "const [path, ...names] = process.argv.slice(2); const text = require('fs').readFileSync(path, 'utf8');\n"
            f"const d = {code};\n"
            "for (const name of names) console.log(name in d ? Buffer.from(String(d[name])).toString('hex') : 'none');\n"
        )
        run(["node", "-e", f"if (!({needs})) throw new Error('this version is too old')"])
        return hexed(["node", str(script)])

    return prepare


def compose(directory):
    """Builds a program around the parser of docker compose."""
    target = directory / "compose"
    target.mkdir()
    (target / "main.go").write_text(
        """package main

import (
	"encoding/hex"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/dotenv"
)

func main() {
	file, err := os.Open(os.Args[1])
	if err != nil {
		os.Exit(1)
	}
	values, err := dotenv.ParseWithLookup(file, os.LookupEnv)
	if err != nil {
		os.Exit(1)
	}
	for _, name := range os.Args[2:] {
		if value, found := values[name]; found {
			fmt.Println(hex.EncodeToString([]byte(value)))
		} else {
			fmt.Println("none")
		}
	}
}
"""
    )
    for command in (["go", "mod", "init", "peer"], ["go", "mod", "tidy"], ["go", "build", "-o", "peer", "."]):
        run(command, cwd=target)
    return hexed([str(target / "peer")])


PYTHON_DOTENV = python("python-dotenv", "from dotenv import dotenv_values; d = dotenv_values(path)")
# Each row: the format, the reader's name, the name that a note has for it, and how to get it.
READERS = [
    *[(form, name, None, shell(name)) for form in ("dotenv", "shell") for name in ("sh", "dash", "bash", "zsh", "ksh", "mksh", "yash")],
    ("dotenv", "docker compose", "docker compose", compose),
    ("dotenv", "python-dotenv", "python-dotenv", PYTHON_DOTENV),
    ("dotenv", "npm dotenv", "Node's dotenv", node("dotenv", "require('dotenv').parse(text)")),
    ("dotenv", "node parseEnv", "Node's dotenv", node("", "require('util').parseEnv(text)", "require('util').parseEnv")),
    ("json", "python json", None, python("", "import json; d = json.load(open(path, encoding='utf-8'))")),
    ("json", "node JSON", None, node("", "JSON.parse(text)")),
    ("yaml", "PyYAML", None, python("PyYAML", "import yaml; d = yaml.safe_load(open(path, encoding='utf-8'))")),
    ("yaml", "ruamel.yaml", None, python("ruamel.yaml", "from ruamel.yaml import YAML; d = YAML(typ='safe', pure=True).load(open(path, encoding='utf-8'))")),
    ("yaml", "npm yaml", None, node("yaml", "require('yaml').parse(text)")),
    ("yaml", "npm js-yaml", None, node("js-yaml", "require('js-yaml').load(text)")),
]


def is_noted(notes, variable, reader):
    pattern = rf"`{variable}` is exact for shells, but not for ([^;`]*);"
    return reader is not None and any(reader in listed for listed in re.findall(pattern, notes))


def compare(dsops, form, reader, noted_as, read, directory):
    """Returns how many values agree, how many are noted, and what is wrong."""
    exact, noted, wrong = 0, 0, []
    for environment, expected in dsops.expected.items():
        text, notes = dsops.render(environment, form)
        file = directory / f"file.{form}"
        file.write_bytes(text)
        values = read(file, list(expected))
        for name, value in expected.items():
            if values.get(name) == value:
                exact += 1
            elif is_noted(notes, name, noted_as):
                noted += 1
            else:
                wrong.append(f"  {environment}.{name}: wrote {value!r}, {reader} read {values.get(name)!r}")
    return exact, noted, wrong


def main():
    program = sys.argv[1] if len(sys.argv) > 1 else str(ROOT / "target" / "debug" / "dsops")
    failed = False
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        dsops = Dsops(program, directory)
        for form, reader, noted_as, prepare in READERS:
            workplace = Path(tempfile.mkdtemp(dir=directory))
            try:
                read = prepare(workplace)
            except Unavailable as reason:
                print(f"{form:7} {reader:15} not run: {reason}")
                continue
            exact, noted, wrong = compare(dsops, form, reader, noted_as, read, workplace)
            failed = failed or bool(wrong)
            print(f"{form:7} {reader:15} {exact} exact, {noted} noted, {len(wrong)} wrong")
            print("\n".join(wrong), end="\n" if wrong else "")
    sys.exit(1 if failed else 0)


main()
