#!/usr/bin/env python3
"""Reads back what `dsops render` writes, with the readers that its users have.

    tests/peers/render.py [path to dsops]

Every reader must get every value exactly, unless a note of dsops on stderr names both the variable and the reader. A
value may be refused only where the format's documents say that it cannot be held. `contract` in a reader's name says that
no reader of its vendor can be had alone, and that this file follows the vendor's source. The random values are the same in every run.
Readers come from the package registries into a directory that is deleted again; one that cannot be had is reported
as `not run`. Exit code: 0 where all that ran agree, 1 where one does not, 2 where dsops itself fails.
"""

import base64
import glob
import json
import os
import random
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
SEED = 16
_random = random.Random(SEED)
_PIECES = list(" \t\n\r'\"\\$`#=%!;:{}()[]<>&|*?~-,.@^_") + ["\r\n", "\n\n", "${A}", "$A", "\\n", "a", "B1", "é", "€", "😀", "export ", "<<", "EOF\n", "%0A", "%AZP25", "\u2028", "\x1b", "-----"]
VALUES += ["".join(_random.choices(_PIECES, k=_random.randint(1, 12))) for _ in range(200)]
# A reader that takes no backslash away does not see where these end, so each gets a file of its own.
ENDING = ["end\\", "end\\\\", "\\", "it's\\"]
ENDING += [value for value in VALUES if value.endswith("\\") or "'" in value and '"' in value]
VALUES = [value for value in VALUES if value not in ENDING]


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

    def run(self, config, environment, form):
        command = [self.program, "--config", str(config), "--error-format", "json", "render", "--env", environment]
        command += ["--format", form, "--out", "-"] + (["--name", "app"] if form == "k8s" else [])
        return subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL)

    def render(self, environment, form):
        """Returns the text, the notes, the values in it and those that were refused."""
        expected = dict(self.expected[environment])
        done = self.run(self.config, environment, form)
        refused = {}
        if done.returncode == 7:
            errors = [json.loads(line) for line in done.stderr.decode().splitlines()]
            names = [re.search(r"`(V\d+)`", error["message"])[1] for error in errors]
            refused = {name: expected.pop(name) for name in names}
            config = self.config.with_name("fitting.yaml")
            lines = ["version: 1", "envs:", f"  {environment}:"] + [f"    {name}: {{literal: {quoted(value)}}}" for name, value in expected.items()]
            config.write_text("\n".join(lines) + ("\n" if expected else " {}\n"), encoding="utf-8")
            done = self.run(config, environment, form)
        if done.returncode != 0:
            sys.stderr.write(done.stderr.decode("utf-8", "replace"))
            print(f"dsops render --format {form} ended with {done.returncode}")
            sys.exit(2)
        return done.stdout, re.sub(r"\s+", " ", done.stderr.decode("utf-8", "replace")), expected, refused


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


def go(imports, code, module=None):
    """Builds a Go program whose `read` returns the values of a file."""

    def prepare(directory):
        target = directory / "go"
        target.mkdir()
        quoted_imports = "\n".join(f'\t"{name}"' for name in ["encoding/hex", "fmt", "os", *imports])
        (target / "main.go").write_text(
            f"package main\n\nimport (\n{quoted_imports}\n)\n\n{code}\n"
            """
func main() {
	values, err := read(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
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
        run(["go", "mod", "init", "peer"], cwd=target)
        if module:
            run(["go", "get", module], cwd=target)
        for command in (["go", "mod", "tidy"], ["go", "build", "-o", "peer", "."]):
            run(command, cwd=target)
        return hexed([str(target / "peer")])

    return prepare


COMPOSE = go(
    ["github.com/compose-spec/compose-go/v2/dotenv"],
    """func read(path string) (map[string]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return dotenv.ParseWithLookup(file, os.LookupEnv)
}""",
)
# What `docker run --env-file` calls.
DOCKER = go(
    ["strings", "github.com/docker/cli/opts"],
    """func read(path string) (map[string]string, error) {
	lines, err := opts.ReadKVEnvStrings([]string{path}, nil)
	values := map[string]string{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, "=")
		values[name] = value
	}
	return values, err
}""",
    "github.com/docker/cli@v28.2.2+incompatible",
)
# The type that kubectl and the API server read a manifest into, strictly.
K8S = go(
    ["k8s.io/api/core/v1", "sigs.k8s.io/yaml"],
    """func read(path string) (map[string]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	secret := v1.Secret{}
	if err := yaml.UnmarshalStrict(text, &secret); err != nil {
		return nil, err
	}
	if secret.Kind != "Secret" || secret.APIVersion != "v1" || secret.Name != "app" || secret.Type != v1.SecretTypeOpaque {
		return nil, fmt.Errorf("another object")
	}
	values := map[string]string{}
	for name, value := range secret.Data {
		values[name] = string(value)
	}
	return values, nil
}""",
)


def kubectl(directory):
    """`kubectl kustomize` reads a manifest without a server; what it writes is read as YAML."""
    python("PyYAML", "d = {}")(directory)
    if shutil.which("kubectl") is None:
        raise Unavailable("no kubectl")

    def read(file, names):
        place = Path(tempfile.mkdtemp(dir=directory))
        shutil.copy(file, place / "secret.yaml")
        (place / "kustomization.yaml").write_text("resources: [secret.yaml]\n")
        done = subprocess.run(["kubectl", "kustomize", str(place)], capture_output=True)
        if done.returncode != 0:
            print(done.stderr.decode("utf-8", "replace"))
            return {}
        sys.path.insert(0, str(directory / "python-PyYAML"))
        import yaml

        data = yaml.safe_load(done.stdout)["data"]
        return {name: base64.b64decode(data[name]).decode() for name in names if name in data}

    return read


def systemd(_):
    """systemd's own reader of `EnvironmentFile=`, from the library that its programs share."""
    found = sorted(glob.glob("/usr/lib/*/systemd/libsystemd-shared-*.so") + glob.glob("/usr/lib/systemd/libsystemd-shared-*.so") + glob.glob("/lib/systemd/libsystemd-shared-*.so"))
    if not found:
        raise Unavailable("no libsystemd-shared")
    program = f"""
import ctypes, sys
library, names = ctypes.CDLL({found[-1]!r}), sys.argv[2:]
if not hasattr(library, "load_env_file"): sys.exit("none")
strings = ctypes.POINTER(ctypes.c_char_p)
result = strings()
if library.load_env_file(None, sys.argv[1].encode(), ctypes.byref(result)) < 0: sys.exit("load_env_file")
# What exec_context_load_environment() does with the answer.
library.strv_env_clean_with_callback.restype = strings
result = library.strv_env_clean_with_callback(result, None, None)
d, at = {{}}, 0
while result and result[at]:
    name, _, value = result[at].partition(b"=")
    d[name.decode()], at = value, at + 1
for name in names: print(d[name].hex() if name in d else "none")
"""
    if subprocess.run([sys.executable, "-c", program, "/dev/null"]).returncode != 0:
        raise Unavailable("the library does not export load_env_file")
    return hexed([sys.executable, "-c", program])


def github_contract(_):
    """`SetEnvFileCommand` and `ReadLine` in FileCommandManager.cs of actions/runner, on Linux."""

    def read(file, names):
        lines, values = file.read_bytes().decode("utf-8").split("\n"), {}
        if lines[-1] == "":
            lines.pop()
        lines = iter(lines)
        for line in lines:
            if not line:
                continue
            equals, heredoc = line.find("="), line.find("<<")
            if equals >= 0 and (heredoc < 0 or equals < heredoc):
                name, value = line.split("=", 1)
            elif heredoc >= 0:
                name, delimiter = line.split("<<", 1)
                parts = []
                for part in lines:
                    if part == delimiter:
                        break
                    parts.append(part)
                else:
                    return {}
                value = "\n".join(parts)
            else:
                return {}
            values[name] = value
        return values

    return read


def gitlab_contract(_):
    """`ParseDotenvArtifactService` of GitLab; what its runner would expand afterwards must not be there."""

    def read(file, names):
        text, values = file.read_bytes().decode("utf-8"), {}
        if len(text.encode()) >= 5120 or "$" in text:
            return {}
        for line in text.removesuffix("\n").split("\n"):
            name, _, value = line.partition("=")
            values[name.strip("\0\t\n\v\f\r ")] = value.strip("\0\t\n\v\f\r ")
        return values

    return read


BLANK = "\0\t\n\v\f\r "
# What a format is documented not to hold. Any other refusal is a failure.
CANNOT = {
    "docker": lambda value: "\n" in value or value.endswith("\r"),
    "gitlab": lambda value: re.search(r"[\n\r$]", value) or value.strip(BLANK) != value,
    "azure": lambda value: re.search(r"[\n\r]", value),
}
PYTHON_DOTENV = python("python-dotenv", "from dotenv import dotenv_values; d = dotenv_values(path)")
# Each row: the format, the reader's name, the name that a note has for it, and how to get it.
READERS = [
    *[(form, name, None, shell(name)) for form in ("dotenv", "shell", "circleci", "systemd") for name in ("sh", "dash", "bash", "zsh", "ksh", "mksh", "yash")],
    ("dotenv", "docker compose", "docker compose", COMPOSE),
    ("dotenv", "python-dotenv", "python-dotenv", PYTHON_DOTENV),
    ("dotenv", "npm dotenv", "Node's dotenv", node("dotenv", "require('dotenv').parse(text)")),
    ("dotenv", "node parseEnv", "Node's dotenv", node("", "require('util').parseEnv(text)", "require('util').parseEnv")),
    ("json", "python json", None, python("", "import json; d = json.load(open(path, encoding='utf-8'))")),
    ("json", "node JSON", None, node("", "JSON.parse(text)")),
    ("yaml", "PyYAML", None, python("PyYAML", "import yaml; d = yaml.safe_load(open(path, encoding='utf-8'))")),
    ("yaml", "ruamel.yaml", None, python("ruamel.yaml", "from ruamel.yaml import YAML; d = YAML(typ='safe', pure=True).load(open(path, encoding='utf-8'))")),
    ("yaml", "npm yaml", None, node("yaml", "require('yaml').parse(text)")),
    ("yaml", "npm js-yaml", None, node("js-yaml", "require('js-yaml').load(text)")),
    ("toml", "tomllib", None, python("", "import tomllib; d = tomllib.load(open(path, 'rb'))")),
    ("toml", "npm smol-toml", None, node("smol-toml", "require('smol-toml').parse(text)")),
    ("toml", "BurntSushi/toml", None, go(["github.com/BurntSushi/toml"], "func read(path string) (map[string]string, error) {\n\tvalues := map[string]string{}\n\t_, err := toml.DecodeFile(path, &values)\n\treturn values, err\n}")),
    ("docker", "docker/cli", None, DOCKER),
    ("k8s", "kubectl", None, kubectl),
    ("k8s", "k8s.io/api", None, K8S),
    ("systemd", "systemd", None, systemd),
    ("github", "contract", None, github_contract),
    ("gitlab", "contract", None, gitlab_contract),
    ("azure", "task-lib", None, node("azure-pipelines-task-lib", """Object.fromEntries(text.split('\\n').filter(Boolean).map(line => {
  const command = require('azure-pipelines-task-lib/taskcommand').commandFromString(line);
  if (command.command !== 'task.setvariable' || command.properties.issecret !== 'true') throw new Error(line);
  return [command.properties.variable, command.message];
}))""")),
]


def is_noted(notes, variable, reader):
    pattern = rf"`{variable}` is exact for shells, but not for ([^;`]*);"
    return reader is not None and any(reader in listed for listed in re.findall(pattern, notes))


def compare(dsops, form, reader, noted_as, read, directory):
    """Returns how many values agree, how many are noted and how many refused, and what is wrong."""
    exact, noted, refusals, wrong = 0, 0, 0, []
    for environment in dsops.expected:
        text, notes, expected, refused = dsops.render(environment, form)
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
        for name, value in refused.items():
            refusals += 1
            if not CANNOT.get(form, lambda _: False)(value):
                wrong.append(f"  {environment}.{name}: {value!r} is refused without need")
    return exact, noted, refusals, wrong


def main():
    program = sys.argv[1] if len(sys.argv) > 1 else str(ROOT / "target" / "debug" / "dsops")
    failed = False
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        dsops = Dsops(program, directory)
        print(f"{len(VALUES) + len(ENDING)} values, seed {SEED}")
        for form, reader, noted_as, prepare in READERS:
            workplace = Path(tempfile.mkdtemp(dir=directory))
            try:
                read = prepare(workplace)
            except Unavailable as reason:
                print(f"{form:8} {reader:15} not run: {reason}")
                continue
            exact, noted, refused, wrong = compare(dsops, form, reader, noted_as, read, workplace)
            failed = failed or bool(wrong)
            print(f"{form:8} {reader:15} {exact} exact, {noted} noted, {refused} refused, {len(wrong)} wrong")
            print("\n".join(wrong), end="\n" if wrong else "")
    sys.exit(1 if failed else 0)


main()
