"""Reads what `go test -json` says: prints what the failed tests said, counts
the rest, and fails when a test skipped for want of fixtures that are there.

python3 .ci/tests.py EVENTS NOTE yes|no   whether the shared folder is there
"""

import collections
import json
import sys


def main(events, note, shared):
    said = collections.defaultdict(list)
    ended = collections.Counter()
    missed = []
    for line in open(events, encoding="utf-8"):
        if not line.startswith("{"):
            print(line, end="")  # of the go command, not of a test
            continue
        event = json.loads(line)
        name = event.get("ImportPath") or event.get("Package"), event.get("Test")
        if event["Action"] in ("output", "build-output"):
            said[name].append(event["Output"])
            continue
        if event["Action"] in ("fail", "build-fail"):
            print(f"== {name[0]} {name[1] or ''}\n" + "".join(said[name]), end="")
        text = "".join(said.pop(name, []))
        if event["Action"] == "skip" and "needs the shared" in text.lower():
            missed.append(text)
        if name[1]:
            ended[event["Action"]] += 1
    for name, text in said.items():
        if name[1]:  # it was running when its process ended
            print(f"== {name[0]} {name[1]} did not end\n" + "".join(text), end="")
    with open(note, "w", encoding="utf-8") as f:
        print(f"{ended['pass']} passed, {ended['fail']} failed, {ended['skip']} skipped", file=f)
    if shared == "yes" and missed:
        sys.exit("a test skipped for want of the shared folder, which is there:\n" + "".join(missed))


main(*sys.argv[1:])
