#!/usr/bin/env python3
"""start_up.py KLING: CPU of an empty script, whole process, beside other programs, each run in turn."""
import os
import shutil
import statistics
import sys
import tempfile

kling = os.path.abspath(sys.argv[1])
folder = tempfile.mkdtemp()
empty, checks = folder + "/empty.lua", folder + "/checks.lua"
open(empty, "w").close()
with open(checks, "w") as script:
    script.write('local kling = require "kling"\nassert(not pcall(kling.text2video, { prompt = "x", duration = 77 }))\n')
os.environ["LUA_CPATH_5_4"] = os.path.join(os.path.dirname(kling), "../lib/?.so")
PEER = "openssl version"
programs = {
    PEER: ["openssl", "version"],
    "an empty script": [kling, "run", empty],
    "a script that a check refuses": [kling, "run", checks],
    "the same in lua5.4, which loads the module": ["lua5.4", checks],
    "lua5.4 with an empty script": ["lua5.4", empty],
    "curl --version": ["curl", "--version"],
    "python3 with an empty script": ["python3", "-c", ""],
    "node with an empty script": ["node", "-e", ""],
}
for what, words in list(programs.items()):
    words[0] = shutil.which(words[0])
    if words[0] is None:
        print("skipped: start-up of", what, "is not installed here")
        del programs[what]
nowhere = os.open(os.devnull, os.O_RDWR)
times = {what: [] for what in programs}
for _ in range(40):
    for what, words in programs.items():
        child = os.posix_spawn(words[0], words, os.environ,
                               file_actions=[(os.POSIX_SPAWN_DUP2, nowhere, n) for n in (0, 1, 2)])
        _, status, used = os.wait4(child, 0)
        if status != 0:
            sys.exit(f"{words} failed: its figures mean nothing")
        times[what].append((used.ru_utime + used.ru_stime) * 1000)
shutil.rmtree(folder)
for what, taken in times.items():
    beside = goal = met = ""
    if what != PEER and PEER in times:
        ratio = statistics.median(a / b for a, b in zip(taken, times[PEER]))
        beside = f"{ratio:.2f} of {PEER}"
        if what == "an empty script":
            goal, met = f"1.40 of {PEER}", "met" if ratio <= 1.4 else "not met"
    if what == PEER:
        beside = "5.6 ms on the machine whose goals are in ms"
    print(f"| start-up, CPU: {what} | {statistics.median(taken):.2f} ms | {beside} | {goal} | {met} |")
