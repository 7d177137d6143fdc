"""Summarizes the output of `go test -json`: prints the output of tests that
failed and counts the results. Fails if a test skipped because it did not find
the shared fixtures although they are there.

python3 .ci/tests.py EVENTS NOTE yes|no   yes if the shared folder exists
"""

import collections
import json
import sys


def main(events, note, shared):
    output = collections.defaultdict(list)
    ended = collections.Counter()
    skipped = []
    for line in open(events, encoding="utf-8"):
        if not line.startswith("{"):
            print(line, end="")  # a message of the go command
            continue
        event = json.loads(line)
        name = event.get("ImportPath") or event.get("Package"), event.get("Test")
        if event["Action"] in ("output", "build-output"):
            output[name].append(event["Output"])
            continue
        if event["Action"] in ("fail", "build-fail"):
            print(f"== {name[0]} {name[1] or ''}\n" + "".join(output[name]), end="")
        text = "".join(output.pop(name, []))
        if event["Action"] == "skip" and "needs the shared" in text.lower():
            skipped.append(text)
        if name[1]:
            ended[event["Action"]] += 1
    for name, text in output.items():
        if name[1]:  # the process ended before the test did
            print(f"== {name[0]} {name[1]} did not end\n" + "".join(text), end="")
    with open(note, "w", encoding="utf-8") as f:
        print(f"{ended['pass']} passed, {ended['fail']} failed, {ended['skip']} skipped", file=f)
    if shared == "yes" and skipped:
        sys.exit("a test skipped because it did not find the shared folder, but the folder exists: see KOALA_SHARED:\n" + "".join(skipped))


main(*sys.argv[1:])
