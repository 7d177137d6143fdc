"""Checks the clients and koala chat on llama.cpp's HTTP server, with GGUF files of the gguf library and of koala."""

import contextlib
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import time
import urllib.request

from koala_interop import FIXTURES, fact, koala, main

HERE = pathlib.Path(__file__).parent
KEY = "the-server's-key"
HI = "Hi! How can I help you?"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def server(model, folder, port=None):
    """Yields the URL of a running server. Raises with the end of its output if it does not start."""
    port = port or free_port()
    log = folder / "server.log"
    with open(log, "wb") as out:
        command = [sys.executable, HERE / "llama_server.py", model, str(port), KEY]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=out)
        try:
            for _ in range(600):
                if process.poll() is not None:
                    break
                with contextlib.suppress(OSError):  # an HTTP 503, sent while the model loads, is an OSError too
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5).close()
                    break
                time.sleep(0.1)
            else:
                process.kill()
                process.wait()
            if process.poll() is not None:
                raise AssertionError(f"llama.cpp's server does not start: {log.read_text(errors='replace')[-400:]}")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()


def chat(url, lines, *flags):
    """Runs koala chat with one line for each turn and returns its replies."""
    os.environ["KOALA_API_KEY"] = KEY
    return koala("chat", "--url", url, "--temperature", "0", "--max-tokens", "20", "--context", "256", *flags, text=lines)


def ids(turns):
    return json.loads(koala("prompt", "--ids", "--quiet", text=json.dumps(turns)))


def go_tests(url):
    """Returns for each subtest of TestRealLlamaCPP whether it passed."""
    command = ["go", "test", "-count=1", "-timeout=5m", "-run=^TestRealLlamaCPP$", "-v", "./backend"]
    done = subprocess.run(
        command, cwd=HERE.parent, env=os.environ | {"KOALA_LLAMACPP": url, "KOALA_API_KEY": KEY}, capture_output=True, text=True, timeout=400, check=False
    )
    results = re.findall(r"--- (PASS|FAIL|SKIP): TestRealLlamaCPP/(\S+,\S+/\S+) ", done.stdout)
    failed = [line for line in done.stdout.splitlines() if not re.match(r" *(=== |--- |ok|PASS)", line)]
    if not results or done.returncode != 0 and all(result == "PASS" for result, _ in results):
        raise AssertionError(f"go test ended with {done.returncode}: {(done.stdout + done.stderr)[-400:]}")
    return results, " ".join(" ".join(failed).split())


def on_model(name, path, folder):
    """Runs all checks on one model."""
    with server(path, folder) as url:
        results, words = go_tests(url)
        for result, test in results:
            with fact(f"servers.llama.cpp with {name}: {test}"):
                assert result == "PASS", words
        lines = "Hello!\nAnd again?\n/retry\n/temperature 0\n/reset\nBye!\n"
        for kind in ("llamacpp", "openai"):
            for form in ("--ids", "--text"):
                with fact(f"servers.koala chat on llama.cpp with {name}: {kind} {form}"):
                    got = chat(url, lines, "--backend", kind, form)
                    assert got == f"{HI}\n" * 4, got
        saved = folder / f"{name}.json"
        with fact(f"servers.koala chat on llama.cpp with {name}: saved, loaded, and the ids of both are koala prompt's"):
            chat(url, f"Hello!\n/save {saved}\n", "--backend", "llamacpp")
            chat(url, f"More!\n/save {saved}\n", "--backend", "llamacpp", "--load", str(saved))
            turns = json.loads(saved.read_text())["messages"]
            assert [turn["content"] for turn in turns] == ["Hello!", HI, "More!", HI], turns
            want = ids(turns[:3])
            text = koala("prompt", "--quiet", text=json.dumps(turns[:3]))
            assert post(url + "/tokenize", {"content": text, "parse_special": True})["tokens"] == want
            assert post(url + "/completion", {"prompt": want, "n_predict": 1})["tokens_evaluated"] == len(want)
        with fact(f"servers.koala chat on llama.cpp with {name}: a wrong key, and a prompt over the context, are one line"):
            for command, key, words in (
                (["--max-tokens", "20"], "wrong", "Invalid API Key"),
                (["--max-tokens", "20", "--context", "2000"], KEY, "longer than the model's context (511 tokens of 256)"),
            ):
                line = refusal(url, command, key, "hello " * 495 + "\n")
                assert words in line and line.count("\n") == 1 and "wrong" not in line, line


def post(url, body):
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
    return json.load(urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers), timeout=60))


def refusal(url, flags, key, text):
    """Returns the standard error of a koala chat that fails."""
    command = [os.environ["KOALA_BIN"], "chat", "--backend", "llamacpp", "--url", url, *flags]
    done = subprocess.run(
        command, input=text, env=os.environ | {"KOALA_API_KEY": key}, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (1, ""), done
    return done.stderr


def scripted(folder):
    """Writes a model whose reply depends on the prompt, with the gguf library."""
    path = folder / "tiny.gguf"
    shared = FIXTURES.parent
    subprocess.run([sys.executable, shared / "vectors/servers/mkgguf.py", shared / "llama/tokenizer.model", path], check=True)
    return path


def check_gguf_of_the_library(folder):
    on_model("gguf's file", scripted(folder), folder)


def check_gguf_of_koala(folder):
    """Checks the same model after koala converted it to a Hugging Face directory and back to GGUF."""
    koala("convert", "--in", scripted(folder), "--out", folder / "hf", "--quiet")
    own = folder / "own.gguf"
    koala("convert", "--in", folder / "hf", "--out", own, "--format", "gguf", "--dtype", "fp16", "--quiet")
    assert own.read_bytes() != (folder / "tiny.gguf").read_bytes()
    on_model("koala's file", own, folder)


def check_a_server_that_starts(folder):
    """Checks that a request gets a reply if it is sent before the server listens or while it loads its model."""
    port = free_port()
    command = [os.environ["KOALA_BIN"], "chat", "--backend", "llamacpp", "--url", f"http://127.0.0.1:{port}", "--temperature", "0"]
    with fact("servers.koala chat waits for llama.cpp's server to start"):
        early = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"KOALA_API_KEY": KEY}
        )
        early.stdin.write("Hello!\n")
        early.stdin.close()
        time.sleep(0.5)  # the first attempt has failed by then
        with server(scripted(folder), folder, port):
            assert early.wait(60) == 0, early.stderr.read()
            assert early.stdout.read() == f"{HI}\n"


if __name__ == "__main__":
    if sys.platform == "linux":
        main(globals())
    else:  # only where the wheel xllamacpp is pinned
        print("     servers: not run: llama.cpp's server is pinned for Linux only")
