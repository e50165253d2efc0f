#!/usr/bin/env python3
"""A Kling client of another make: the standard library and the service's public documents only.

usage: client.py KLING PAGE   starts `KLING sim`, makes a clip, checks what the service says, and
runs the curl commands of PAGE, docs/simulator.md.
"""
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request


def call(method, url, body=None, key="sk-foreign"):
    request = urllib.request.Request(url, method=method)
    if key:
        request.add_header("Authorization", "Bearer " + key)
    data = None
    if body is not None:
        request.add_header("Content-Type", "application/json")
        data = json.dumps(body).encode()
    try:
        with urllib.request.urlopen(request, data, timeout=300) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def expect(condition, what):
    if not condition:
        sys.exit("failed: " + what)


def make_clip(base):
    videos = base + "/kling/v1/videos/text2video"
    status, body = call("POST", videos, {"model_name": "kling-v2-6", "prompt": "A lighthouse at dusk"})
    task = json.loads(body)
    expect(status == 200 and task["code"] == 0, "create: %r" % body)
    task_id = task["data"]["task_id"]
    expect(task["data"]["task_status"] == "submitted", "a new task is submitted")

    for _ in range(6000):
        data = json.loads(call("GET", videos + "/" + task_id)[1])["data"]
        if data["task_status"] in ("succeed", "failed"):
            break
        time.sleep(0.05)
    expect(data["task_status"] == "succeed", "the generation: %r" % data)
    expect(data["final_unit_deduction"] == "1.5", "the price of five seconds")

    video = data["task_result"]["videos"][0]
    expect(video["duration"] == "5.041", "the length is text")
    status, film = call("GET", video["url"], key=None)
    expect(status == 200 and film[4:8] == b"ftyp" and len(film) > 10000, "the clip is an MP4")


def check_refusals(base):
    videos = base + "/kling/v1/videos/text2video"
    status, body = call("POST", videos, {"prompt": "x"}, key=None)
    expect(status == 401 and json.loads(body)["code"] == 1001, "a key is needed")
    status, body = call("POST", videos, {"model_name": "kling-v2-6", "prompt": "x", "duration": "7"})
    expect(status == 400 and json.loads(body)["code"] == 1201, "a wrong duration: %r" % body)

    urllib.request.urlopen(base + "/sim/faults", b"create#3: 503", timeout=300).read()
    status, body = call("POST", videos, {"model_name": "kling-v2-6", "prompt": "x"})
    # Refusals for want of a key are not counted as creates.
    expect(status == 503 and json.loads(body)["code"] == 5001, "a fault on demand: %r" % body)

    stats = json.loads(call("GET", base + "/sim/stats")[1])
    expect(stats["creates"] == 3 and stats["charged"] == 1, "the charge ledger: %r" % stats)


def check_options(base):
    """Of a service with a dialect for one endpoint, one key, one slot and a file of faults."""
    videos = base + "/kling/v1/videos/"
    shot = {"model_name": "kling-v2-6", "prompt": "x", "external_task_id": "mine"}
    expect(call("POST", videos + "text2video", shot, key="sk-other")[0] == 401, "one key only")
    expect(call("POST", videos + "text2video", shot)[0] == 503, "the first line of the file")
    expect(call("POST", videos + "text2video", shot)[0] == 200, "the second create")
    status, body = call("POST", videos + "text2video", dict(shot, external_task_id="other"))
    expect(status == 429 and json.loads(body)["code"] == 1303, "one slot: %r" % body)
    status, body = call("GET", videos + "text2video/mine")
    expect(status == 400, "no look-up by external id: %r" % body)


def check_dialect(base):
    videos = base + "/kling/v1/videos/"
    scene = {"prompt": "A storm", "aspect_ratio": "16:9"}
    task = json.loads(call("POST", videos + "omni-video", scene)[1])["data"]["task_id"]
    record = json.loads(call("GET", videos + "omni-video/" + task)[1])
    expect(record["data"]["data"]["task_id"] == task, "omni is wrapped: %r" % record)
    shot = {"model_name": "kling-v2-6", "prompt": "x"}
    task = json.loads(call("POST", videos + "text2video", shot)[1])["data"]["task_id"]
    record = json.loads(call("GET", videos + "text2video/" + task)[1])
    expect(record["data"]["task_id"] == task, "text2video is native: %r" % record)


def check_page(base, page):
    """The shell blocks of the page, at this address, with the URL of a finished clip."""
    if not shutil.which("curl"):
        return
    blocks = re.findall(r"```sh\n(.*?)```", open(page, encoding="utf-8").read(), re.S)
    expect(len(blocks) == 3, "the page has three blocks of curl")
    url = ""
    with tempfile.TemporaryDirectory() as folder:
        for block in blocks:
            block = block.replace("http://127.0.0.1:8900", base)
            ran = subprocess.run(["sh", "-euc", block], cwd=folder, env=dict(os.environ, url=url),
                                 stdout=subprocess.PIPE, check=True)
            expect(b'"error"' not in ran.stdout, "%s says %r" % (block, ran.stdout))
            while not url:
                data = json.loads(call("GET", base + "/kling/v1/videos/text2video/mine-1")[1])["data"]
                url = (data["task_result"].get("videos") or [{"url": ""}])[0]["url"]
                time.sleep(0.05)
        with open(folder + "/clip.mp4", "rb") as film:
            expect(film.read()[4:8] == b"ftyp", "the page's download is an MP4")


@contextlib.contextmanager
def service(*options):
    program = [sys.argv[1], "sim", "--port", "0", "--quiet", *options]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        try:
            base = process.stdout.readline().strip()
            expect(base.startswith("http://127.0.0.1:"), "an address: %r" % base)
            yield base
        finally:
            process.terminate()


def main():
    with service("--speed", "400") as base:
        make_clip(base)
        check_refusals(base)
    with tempfile.NamedTemporaryFile("w", suffix=".faults") as faults:
        faults.write("# the first create\ncreate#1: 5001\n")
        faults.flush()
        with service("--key", "sk-foreign", "--slots", "1", "--no-lookup", "--fault",
                     "@" + faults.name) as base:
            check_options(base)
    with service("--dialect", "native,omni=wrapped") as base:
        check_dialect(base)
    with service("--speed", "400") as base:
        check_page(base, sys.argv[2])


if __name__ == "__main__":
    main()
