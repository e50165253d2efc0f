#!/usr/bin/env python3
"""Do the tests notice? Flips conditions, bounds and constants of the rules, one at a time.

usage: mutate.py BUILD [--sample N] [--seed N] [--minutes N] [--only TEXT] [--jobs N]

Each mutant is compiled from a copy below BUILD/mutation and linked before the libraries of a built
test program; the tests that cover its file run until the first failure. Nothing in the tree is
touched. Prints those that no test notices; what mutate_explained.txt excuses is counted apart.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import random
import re
import shlex
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# A file: the test programs with the options that choose the cases, the quickest first.
BORDERS = "test_engine -sf=*borders_test*"
ENGINE = "test_engine -sf=*lost_answer*,*limits_test*,*long_run*,*verdict*,*dialect_run*"
LEDGER = "test_engine -sf=*ledger*,*sync_test*"
STORIES = "test_cli -sf=*cli/story_test*,*questions*,*asking*"
WIRE = "test_engine -sf=*framings*,*fault_matrix*"
FILES = {
    "bindings/lua/scheduler.cpp": ["test_lua", "test_runtime -sf=*host_test*,*tick*", STORIES],
    "bindings/engine/worker_pool.cpp": ["test_engine -sf=*worker_pool*", ENGINE],
    "bindings/engine/job_machine.cpp": ["test_engine -sf=*job_machine*", ENGINE],
    "bindings/engine/admission.cpp": [BORDERS, ENGINE, "test_story"],
    "bindings/engine/asks.cpp": [BORDERS, LEDGER, ENGINE, "test_lua", "test_story", STORIES],
    "bindings/engine/exchange.cpp": ["test_engine -sf=*exchange_test*", ENGINE, WIRE],
    "bindings/engine/step.cpp": ["test_engine -sf=*step_test*,*borders_test*", ENGINE],
    "bindings/engine/ledger_database.cpp": [LEDGER, ENGINE],
    "bindings/engine/ledger_rows.cpp": [BORDERS, LEDGER, ENGINE, "test_story", STORIES],
    "bindings/engine/ledger_schema.cpp": [LEDGER, ENGINE],
    "bindings/engine/ledger_sqlite.cpp": [BORDERS, LEDGER, ENGINE, "test_story", STORIES],
    "bindings/api/decode_error.cpp": ["test_api", "test_engine -sf=*verdict*,*lost_answer*"],
}
# What is flipped: a pattern and what stands in its place. Literals and comments are blanked before.
FLIPS = [
    (r" <= ", " < "), (r" < ", " <= "), (r" >= ", " > "), (r" > ", " >= "),
    (r" == ", " != "), (r" != ", " == "), (r" && ", " || "), (r" \|\| ", " && "),
    (r"\btrue\b", "false"), (r"\bfalse\b", "true"), (r" \+ 1\b", ""), (r" - 1\b", ""),
    (r"(?<![\w.\"'])(\d[\d']*)(?![\w.\"'])", lambda m: str(int(m[1].replace("'", "")) + 1)),
    (r"\bif \((?!!)(?=[^;]*\) (?:\{|return|continue|break))", "if (!"),
    (r"\bif \(!(?=[^=&|<>]*\) )", "if ("),
]
SQL_FLIPS = [(r" AND ", " OR "), (r" IS NULL", " IS NOT NULL"), (r" < ", " <= "), (r" > ", " >= ")]

Mutant = collections.namedtuple("Mutant", "file line before after text")


def blanked(text):
    """The text with comments and literals of the same length that nothing matches."""
    found = r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'|(?m:^\s*#[^\n]*)'
    return re.sub(found, lambda m: re.sub(r"[^\n]", "~", m[0]), text, flags=re.S)


def mutants(name):
    text = open(os.path.join(ROOT, name), encoding="utf-8").read()
    code = blanked(text)
    only_sql = "".join(a if b == "~" else "~" for a, b in zip(text, code))
    places = [(m, new) for old, new in FLIPS for m in re.finditer(old, code)]
    if "ledger" in name:
        places += [(m, new) for old, new in SQL_FLIPS for m in re.finditer(old, only_sql)]
    for match, new in places:
        new = new(match) if callable(new) else new
        changed = text[: match.start()] + new + text[match.end():]
        if new == "if (!" and match[0] == "if (":  # the whole condition, up to its closing bracket
            depth, at = 1, match.end()
            while depth:
                depth += {"(": 1, ")": -1}.get(code[at], 0)
                at += 1
            if ";" in code[match.end():at]:
                continue
            changed = (text[: match.start()] + "if (!(" + text[match.end():at] + ")" + text[at:])
        number = text.count("\n", 0, match.start())
        yield Mutant(name, number + 1, text.split("\n")[number].strip(),
                     changed.split("\n")[number].strip(), changed)


class Builder:
    def __init__(self, build):
        self.build, self.links = build, {}
        with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
            self.commands = {os.path.relpath(entry["file"], ROOT): shlex.split(entry["command"])
                             for entry in json.load(file)}

    def compile(self, mutant, stem):
        source, result = stem + ".cpp", stem + ".o"
        with open(source, "w", encoding="utf-8") as file:
            file.write(mutant.text)
        words = self.commands[mutant.file]
        first = next(i for i, word in enumerate(words) if word.endswith("++"))
        keep = [word for word in words[first: words.index("-o")] if not re.match("-(O|g|Werror)", word)]
        run = subprocess.run(keep + ["-w", "-O0", "-o", result, "-c", source], cwd=self.build,
                             stderr=subprocess.DEVNULL, check=False)
        return result if run.returncode == 0 else None

    def link(self, program, mutated, result):
        if program not in self.links:
            told = subprocess.run(["ninja", "-C", self.build, "-t", "commands", "bin/" + program],
                                  stdout=subprocess.PIPE, text=True, check=True).stdout
            line = told.strip().split("\n")[-1]
            self.links[program] = shlex.split(line.split(" && ")[1])
        words = self.links[program] + ["-Wl,--strip-all"]
        if shutil.which("ld.gold"):
            words.append("-fuse-ld=gold")  # a fifth of the time
        at = words.index("-o") + 1
        words[at:at + 1] = [result, mutated]
        subprocess.run(words, cwd=self.build, check=True)


def outcome(builder, mutant, stem, limit):
    """"killed", "survived" or "no program"."""
    mutated = builder.compile(mutant, stem)
    if mutated is None:
        return "no program"
    try:
        for tests in FILES[mutant.file]:
            program, *options = tests.split()
            whole = program == "test_cli"  # its tests run the program itself
            builder.link("kling" if whole else program, mutated, stem)
            tester = os.path.join(builder.build, "bin", program) if whole else stem
            with subprocess.Popen([tester, "--abort-after=1", *options], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
                                  start_new_session=True,
                                  env={**os.environ, "KLING_TESTED": stem}) as run:
                try:
                    failed = run.wait(limit) != 0
                except subprocess.TimeoutExpired:
                    failed = True
                try:
                    os.killpg(run.pid, 9)  # with what a hanging test has started
                except ProcessLookupError:
                    pass
            if failed:
                return "killed"
        return "survived"
    finally:
        for end in ("", ".o", ".cpp"):
            if os.path.exists(stem + end):
                os.remove(stem + end)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("build")
    parser.add_argument("--sample", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--only", default="", help="files whose path has this in it")
    parser.add_argument("--limit", type=float, default=600, help="seconds a test program may take")
    parser.add_argument("--jobs", type=int, default=3 * os.cpu_count(),
                        help="mutants at once: their tests wait more than they compute")
    options = parser.parse_args()
    end = time.monotonic() + options.minutes * 60

    everything = [m for name in FILES if options.only in name for m in mutants(name)]
    chosen = random.Random(options.seed).sample(everything, min(options.sample, len(everything)))
    folder = os.path.join(os.path.abspath(options.build), "mutation")
    os.makedirs(folder, exist_ok=True)
    builder = Builder(os.path.abspath(options.build))
    with open(os.path.join(ROOT, "tests/tools/mutate_explained.txt"), encoding="utf-8") as file:
        explained = file.read()

    def judge(numbered):
        number, mutant = numbered
        if "%s: %s  ->  %s" % (mutant.file, mutant.before, mutant.after) in explained:
            return "explained"  # as nothing notices it, its tests would run to their ends
        if time.monotonic() > end:
            return "not tried"
        return outcome(builder, mutant, os.path.join(folder, "mutant%d" % number), options.limit)

    print("%d of %d mutants, seed %d" % (len(chosen), len(everything), options.seed))
    count = collections.Counter()
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for mutant, end_of_it in zip(chosen, pool.map(judge, enumerate(chosen))):
            if end_of_it == "survived":
                print("%s:%d: survived\n    %s\n    %s" % mutant[:4], flush=True)
            count[end_of_it] += 1
    tried = count["killed"] + count["survived"] + count["explained"]
    print(", ".join("%d %s" % (number, what) for what, number in sorted(count.items())))
    if tried:
        print("%.1f %% killed" % (100 * (count["killed"] + count["explained"]) / tried))
    return 1 if count["survived"] > 0.15 * max(tried, 1) else 0


if __name__ == "__main__":
    sys.exit(main())
