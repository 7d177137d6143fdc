"""Compares prompts with transformers' Jinja and with sentencepiece on fields that are joined like in EasyLM."""

import json
import os
import pathlib
import random
import sys

import sentencepiece
import tokenizers
import transformers
from koala_interop import FIXTURES, fact, koala, main

LLAMA = FIXTURES.parent / "llama" / "tokenizer.model"
H = "BEGINNING OF CONVERSATION:"
MARKERS = {"helpful": "GPT:", "unhelpful": "An Unhelpful Answer:"}
BITS = [
    "", " ", "  ", "   ", "\n", "\r\n", "\t", "▁", "\u00a0", "Hello", " Hello", "hi ", "world!", "a", "é", "e\u0301", "🦙", "你好", "ﬁ", "Ａ",
    "USER:", "GPT:", "An Unhelpful Answer:", H, " GPT: ", "USER: ", "user:", "</s>", "<s>", "<unk>", "<0x0A>", "<", "/s>", "</", "aaaa",
    "USER：", "U\u200bSER:", "{{ x }}", "{% x %}", "{# x #}", "'", '"', "\\", "1234", "\ufeff", " " * 18, "|>", "<|im_end|>",
]  # fmt: skip


def conversation(rng, nul=False):
    bits = [*BITS, "\x00"] if nul else BITS
    turns = []
    for i in range(rng.randrange(1, 7)):
        turn = {"role": ["user", "assistant"][i % 2], "content": "".join(rng.choices(bits, k=rng.randrange(6)))}
        if i % 2 and rng.randrange(3) == 0:
            turn["quality"] = "unhelpful"
        turns.append(turn)
    return turns


def assembled(sp, turns, following):
    """Applies EasyLM's TextProcessor to Koala's fields: joins subfields by a space and encodes each field separately."""
    ids, mask = [], []
    for i in range(0, len(turns), 2):
        reply = turns[i + 1] if i + 1 < len(turns) else None
        marker = MARKERS[reply.get("quality", "helpful") if reply else following]
        query = sp.encode((H + " " if i == 0 else "") + " ".join(["USER:", turns[i]["content"], marker]))
        ids, mask = ids + query, mask + [False] * len(query)
        if reply:
            answer = [*sp.encode(reply["content"]), sp.eos_id()]
            ids, mask = ids + answer, mask + [True] * len(answer)
    return ids, mask


def text(turns, following="helpful"):
    """Returns the FastChat text."""
    out = H + " "
    for i in range(0, len(turns), 2):
        reply = turns[i + 1] if i + 1 < len(turns) else None
        out += "USER: " + turns[i]["content"] + " " + MARKERS[reply.get("quality", "helpful") if reply else following]
        out += " " + reply["content"] + "</s>" if reply else ""
    return out


def check_ids(folder):
    sp = sentencepiece.SentencePieceProcessor(model_file=str(LLAMA))
    rng = random.Random(5)
    with fact("prompt.ids and masks of 1,000 conversations are those of the training assembly"):
        for _ in range(1000):
            turns, following = conversation(rng, nul=True), rng.choice(list(MARKERS))
            got = json.loads(koala("prompt", "--ids", "--json", "--quiet", "--next", following, text=json.dumps(turns)))
            ids, mask = assembled(sp, turns, following)
            if (got["ids"], got["loss"]) != (ids, mask):
                raise AssertionError(f"{turns!r}: {got['ids']}, not {ids}")


def check_text(folder):
    rng = random.Random(6)
    with fact("prompt.text of 200 conversations is the FastChat string, and is read back or refused as ambiguous"):
        for _ in range(200):
            turns = conversation(rng)
            got = koala("prompt", "--allow-control", "--quiet", text=json.dumps(turns))
            if got != text(turns):
                raise AssertionError(f"{turns!r}: {got!r}")


def check_transformers(folder):
    template = koala("prompt", "--template", "jinja")
    empty = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="<unk>"))
    t = transformers.PreTrainedTokenizerFast(tokenizer_object=empty, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    t.chat_template = template
    rng = random.Random(7)
    with fact(f"prompt.chat_template by transformers {transformers.__version__} is the text of 200 conversations"):
        for i in range(200):
            turns = conversation(rng)
            want = text(turns)
            messages = list(turns)
            if i % 2:  # a system message precedes the user's turn
                at = 2 * rng.randrange((len(turns) + 1) // 2)
                messages.insert(at, {"role": "system", "content": rng.choice(BITS[9:])})
                folded = [dict(turn) for turn in turns]
                folded[at]["content"] = messages[at]["content"] + "\n" + folded[at]["content"]
                want = text(folded)
                if koala("prompt", "--allow-control", "--quiet", "--import", "--system", "fold", "--empty", "keep", text=json.dumps(messages)) != want:
                    raise AssertionError(f"koala folds otherwise: {messages!r}")
            got = t.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            if got != want:
                raise AssertionError(f"{messages!r}: {got!r}, not {want!r}")
            if len(turns) % 2:
                bare = t.apply_chat_template(messages, tokenize=False, add_generation_prompt=False)
                if bare + " GPT:" != want:
                    raise AssertionError(f"without a generation prompt: {bare!r}")
    user, gpt = {"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}
    for name, bad in {
        "reply first": [gpt], "two queries": [user, user], "tool": [user, {"role": "tool", "content": "z"}],
        "system at the end": [user, gpt, {"role": "system", "content": "z"}],
    }.items():  # fmt: skip
        with fact(f"prompt.chat_template refuses: {name}"):
            try:
                t.apply_chat_template(bad, tokenize=False)
            except Exception as error:  # jinja2's exception, whose module differs between versions
                if "Koala" not in str(error):
                    raise
            else:
                raise AssertionError("it was rendered")


def check_llama_cpp(folder):
    """Renders the template with llama.cpp's Jinja engine, from the wheel xllamacpp."""
    if sys.platform != "linux":
        print("     prompt.llama.cpp: not run: xllamacpp is pinned for Linux only")
        return
    import urllib.request

    import gguf
    import numpy as np
    import xllamacpp

    sp = sentencepiece.SentencePieceProcessor(model_file=str(LLAMA))
    path = pathlib.Path(folder) / "tiny.gguf"
    write_tiny_gguf(gguf, np, sp, path)
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx = 512
    params.port = 0
    params.use_jinja = True
    params.chat_template = koala("prompt", "--template", "jinja")
    server = xllamacpp.Server(params)
    address = server.listening_address

    def apply(messages):
        body = json.dumps({"messages": messages}).encode()
        request = urllib.request.Request(address + "/apply-template", body, {"Content-Type": "application/json"})
        return json.load(urllib.request.urlopen(request, timeout=60))["prompt"]

    rng = random.Random(8)
    with fact(f"prompt.chat_template by llama.cpp (xllamacpp {xllamacpp.__version__}) is the text of 200 conversations"):
        for i in range(200):
            turns = [{k: v for k, v in turn.items() if k != "quality"} for turn in conversation(rng)]
            if len(turns) % 2 == 0:
                turns.pop()  # the server continues a reply at the end of the messages
            want, messages = text(turns), list(turns)
            if i % 2:
                messages.insert(0, {"role": "system", "content": "S"})
                want = text([{"role": "user", "content": "S\n" + turns[0]["content"]}, *turns[1:]])
            got = apply(messages)
            if got != want:
                raise AssertionError(f"{messages!r}: {got!r}, not {want!r}")


def write_tiny_gguf(gguf, np, sp, path):
    """Writes a LLaMA with one tiny layer and the full vocabulary, which llama.cpp can load."""
    size, width, inner = sp.vocab_size(), 64, 176
    w = gguf.GGUFWriter(str(path), "llama")
    w.add_context_length(512)
    w.add_embedding_length(width)
    w.add_block_count(1)
    w.add_feed_forward_length(inner)
    w.add_head_count(2)
    w.add_layer_norm_rms_eps(1e-6)
    w.add_rope_dimension_count(width // 2)
    w.add_tokenizer_model("llama")
    w.add_token_list([sp.id_to_piece(i).encode() for i in range(size)])
    w.add_token_scores([sp.get_score(i) for i in range(size)])
    w.add_token_types([2 if sp.is_unknown(i) else 3 if sp.is_control(i) else 6 if sp.is_byte(i) else 1 for i in range(size)])
    w.add_bos_token_id(1)
    w.add_eos_token_id(2)
    shapes = {"token_embd": (size, width), "output": (size, width), "output_norm": (width,), "blk.0.attn_norm": (width,), "blk.0.ffn_norm": (width,)}
    shapes |= {f"blk.0.attn_{name}": (width, width) for name in ("q", "k", "v", "output")}
    shapes |= {"blk.0.ffn_gate": (inner, width), "blk.0.ffn_up": (inner, width), "blk.0.ffn_down": (width, inner)}
    for name, shape in shapes.items():
        w.add_tensor(name + ".weight", np.full(shape, 0.01, np.float32))
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


if __name__ == "__main__":
    main(globals())
