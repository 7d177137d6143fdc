"""Compares tokens with sentencepiece and tokenizers: the exported vocabulary, random texts, newly trained models."""

import io
import itertools
import json
import os
import random
import subprocess

import sentencepiece
import tokenizers
from koala_interop import fact, koala, main

ROUNDS = int(os.environ.get("KOALA_ROUNDS", "100000"))


def encode(texts, *args):
    lines = "".join(json.dumps(t, ensure_ascii=False) + "\n" for t in texts)
    out = [json.loads(line) for line in koala("tokenizer", "encode", "--in", "jsonl", "--out", "ids", *args, text=lines).splitlines()]
    if len(out) != len(texts):
        raise AssertionError(f"{len(out)} lines for {len(texts)} texts")
    return out


def decode(rows, *args):
    lines = "".join(json.dumps(r) + "\n" for r in rows)
    return [json.loads(line) for line in koala("tokenizer", "decode", *args, text=lines).split("\n")[:-1]]


def same(texts, got, want):
    for text, g, w in zip(texts, got, want, strict=True):
        if g != w:
            raise AssertionError(f"{text!r}: {g} instead of {w}")


WORDS = "the of Hello world  ▁ \t \n é naïve Straße 镇 你好 世界 こんにちは 안녕 привет мир 🦙 👩‍💻 def foo(): return x+1; == != // <s> </s> <0x0A> aaaa 12345 0x1F ... '' \"".split(
    " "
)


def texts(seed, n, pieces=()):
    """Returns random texts: words, characters of all scripts, joined pieces, runs of spaces."""
    rng = random.Random(seed)
    pieces = [p.replace("▁", " ") for p in pieces] or WORDS
    kinds = [
        lambda: " ".join(rng.choices(WORDS, k=rng.randrange(12))),
        lambda: "".join(rng.choices(WORDS, k=rng.randrange(12))),
        lambda: "".join(rng.choices(pieces, k=rng.randrange(10))),
        lambda: "".join(chr(rng.randrange(32, 127)) for _ in range(rng.randrange(30))),
        lambda: "".join(chr(rng.choice([rng.randrange(1, 0xD800), rng.randrange(0xE000, 0x110000)])) for _ in range(rng.randrange(10))),
        lambda: "".join(rng.choice(["a", "the", "é", "\n"]) + " " * rng.randrange(20) for _ in range(rng.randrange(5))),
        lambda: " " * rng.randrange(4) + "".join(rng.choices("abcdef ▁", k=rng.randrange(20))) + " " * rng.randrange(4),
    ]
    return [kind() for kind in itertools.islice(itertools.cycle(kinds), n)]


def check_exports(folder):
    koala("tokenizer", "export", "--format", "spm", "--out", folder / "tokenizer.model")
    koala("tokenizer", "export", "--format", "hf", "--out", folder / "tokenizer.json")
    sp = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    hf = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    sample = texts(1, ROUNDS, [sp.id_to_piece(i) for i in range(259, 32000)])
    got = encode(sample)
    with fact("tokenizer.export.sentencepiece"):
        same(sample, got, sp.encode(sample))
    with fact("tokenizer.decode.sentencepiece"):
        rng = random.Random(2)
        rows = [[rng.randrange(32000 if rng.random() < 0.5 else 300) for _ in range(rng.randrange(8))] for _ in range(20000)]
        same(rows, decode(rows), [sp.decode(r) for r in rows])
    with fact("tokenizer.export.tokenizers"):
        plain = [t for t in sample if "<s>" not in t and "</s>" not in t]  # tokenizers parses special tokens in text
        same(plain, encode(plain), [x.ids for x in hf.encode_batch(plain, add_special_tokens=False)])
    with fact("tokenizer.specials.hf-legacy"):
        same(sample, encode(sample, "--specials", "hf-legacy"), [x.ids for x in hf.encode_batch(sample, add_special_tokens=False)])
    with fact("tokenizer.specials.hf"):
        hf.normalizer = tokenizers.normalizers.Sequence([])
        hf.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=False)
        same(sample, encode(sample, "--specials", "hf"), [x.ids for x in hf.encode_batch(sample, add_special_tokens=False)])
        hf.save(str(folder / "metaspace.json"))
        plain = [t for t in sample if "<s>" not in t and "</s>" not in t]
        with fact("tokenizer.open.metaspace"):
            same(plain, encode(plain, "--model", folder / "metaspace.json"), [x.ids for x in hf.encode_batch(plain, add_special_tokens=False)])
    for name in ("tokenizer.model", "tokenizer.json"):
        with fact(f"tokenizer.open.{name}"):
            same(sample, encode(sample, "--model", folder / name), got)


TRAINED = {
    "plain": {"byte_fallback": False, "normalization_rule_name": "identity"},
    "bytes": {"byte_fallback": True, "normalization_rule_name": "identity", "remove_extra_whitespaces": False, "split_digits": True},
    "no_prefix": {"byte_fallback": True, "normalization_rule_name": "identity", "add_dummy_prefix": False, "remove_extra_whitespaces": False},
    "suffix": {"byte_fallback": False, "normalization_rule_name": "identity", "treat_whitespace_as_suffix": True},
    "symbols": {"byte_fallback": True, "normalization_rule_name": "identity", "user_defined_symbols": ["<sep>", "foo", "▁▁", "é"], "control_symbols": ["<pad>"]},
    "across": {
        "byte_fallback": False,
        "normalization_rule_name": "identity",
        "split_by_whitespace": False,
        "remove_extra_whitespaces": False,
        "allow_whitespace_only_pieces": True,
    },
}


def check_trained(folder):
    rng = random.Random(3)
    corpus = [t for t in texts(4, 4000) if "\n" not in t and t.strip()]
    corpus += [" ".join(rng.choices("foo bar baz the there then thesis <sep> quick brown fox jumps été".split(), k=8)) for _ in range(4000)]
    sample = texts(5, ROUNDS // 4)
    sample += ["".join(rng.choices(["foo", "<sep>", "é", "  ", " ", "th", "e", "▁", "<pad>", "q", "🦙"], k=rng.randrange(10))) for _ in range(ROUNDS // 4)]
    for name, settings in TRAINED.items():
        with fact(f"tokenizer.trained.{name}"):
            model = io.BytesIO()
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(corpus), model_writer=model, model_type="bpe", vocab_size=800, character_coverage=0.98, minloglevel=2, **settings
            )
            path = folder / f"{name}.model"
            path.write_bytes(model.getvalue())
            sp = sentencepiece.SentencePieceProcessor(model_file=str(path))
            want = sp.encode(sample)
            same(sample, encode(sample, "--model", path), want)
            same(want, decode(want, "--model", path), [sp.decode(r) for r in want])
            again = folder / f"{name}.again.model"
            koala("tokenizer", "export", "--model", path, "--format", "spm", "--out", again)
            same(sample, sentencepiece.SentencePieceProcessor(model_file=str(again)).encode(sample), want)


def varint(data, at):
    """Reads a protobuf varint and returns its value and its end."""
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            return value, at


def unuse(model, every):
    """Marks every nth normal piece of several characters as unused by adding the field `type: UNUSED`."""
    out, at, n = bytearray(), 0, 0
    while at < len(model):
        tag = model[at]
        size, begin = varint(model, at + 1)
        body = model[begin : begin + size]
        at = begin + size
        text = body[2 : 2 + body[1]].decode() if tag == 0x0A else ""
        if len(text) > 1 and b"\x18" not in body[2 + body[1] + 5 :]:
            n += 1
            if n % every == 0:
                body += b"\x18\x05"
        out += bytes([tag])
        size = len(body)
        while size >= 0x80:
            out.append(size & 0x7F | 0x80)
            size >>= 7
        out.append(size)
        out += body
    return bytes(out)


def check_unused(folder):
    """Checks that unused pieces are merged and then split again."""
    rng = random.Random(6)
    corpus = [" ".join(rng.choices("foo bar baz the there then thesis quick brown fox jumps aaaa abab".split(), k=8)) for _ in range(2000)]
    sample = texts(7, ROUNDS // 4) + ["".join(rng.choices(["the", "re", "aab", "ab", "a", "b", " ", "q", "foo"], k=rng.randrange(16))) for _ in range(ROUNDS // 4)]
    for name, settings in {"unused": {}, "unused_symbols": {"user_defined_symbols": ["foo"]}}.items():
        with fact(f"tokenizer.trained.{name}"):
            model = io.BytesIO()
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(corpus), model_writer=model, model_type="bpe", vocab_size=90, normalization_rule_name="identity", minloglevel=2, **settings
            )
            path = folder / f"{name}.model"
            path.write_bytes(unuse(model.getvalue(), 3))
            sp = sentencepiece.SentencePieceProcessor(model_file=str(path))
            if not any(sp.is_unused(i) for i in range(sp.get_piece_size())):
                raise AssertionError("no piece is unused")
            same(sample, encode(sample, "--model", path), sp.encode(sample))


def check_unsupported(folder):
    for name, settings in {"unigram": {"model_type": "unigram"}, "nmt_nfkc": {"model_type": "bpe"}}.items():
        with fact(f"tokenizer.refused.{name}"):
            model = io.BytesIO()
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(WORDS * 50), model_writer=model, vocab_size=120, hard_vocab_limit=False, minloglevel=2, **settings
            )
            path = folder / f"{name}.model"
            path.write_bytes(model.getvalue())
            command = [os.environ["KOALA_BIN"], "tokenizer", "inspect", "--model", path]
            done = subprocess.run(command, capture_output=True, check=False)
            if done.returncode != 1 or b"no BPE model" not in done.stderr and b"normalizer" not in done.stderr:
                raise AssertionError(f"ended with {done.returncode}: {done.stderr.decode()}")


if __name__ == "__main__":
    main(globals())
