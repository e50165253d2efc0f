#!/usr/bin/env python3
"""A Kling client of another make: the standard library and the service's public documents only.

usage: client.py KLING   starts `KLING sim`, makes a clip, checks what the service says.
"""
import json
import subprocess
import sys
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
        with urllib.request.urlopen(request, data, timeout=60) as answer:
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

    for _ in range(600):
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

    urllib.request.urlopen(base + "/sim/faults", b"create#3: 503", timeout=10).read()
    status, body = call("POST", videos, {"model_name": "kling-v2-6", "prompt": "x"})
    # Refusals for want of a key are not counted as creates.
    expect(status == 503 and json.loads(body)["code"] == 5001, "a fault on demand: %r" % body)

    stats = json.loads(call("GET", base + "/sim/stats")[1])
    expect(stats["creates"] == 3 and stats["charged"] == 1, "the charge ledger: %r" % stats)


def main():
    program = [sys.argv[1], "sim", "--port", "0", "--speed", "400", "--quiet"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as service:
        try:
            base = service.stdout.readline().strip()
            expect(base.startswith("http://127.0.0.1:"), "an address: %r" % base)
            make_clip(base)
            check_refusals(base)
        finally:
            service.terminate()


if __name__ == "__main__":
    main()
