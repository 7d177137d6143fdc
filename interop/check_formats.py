"""Reads koala's output with torch, the Python package gguf and transformers' tokenizers."""

import gguf
import numpy as np
import torch
import transformers

import hf_model
from koala_interop import BF16, FIXTURES, by_name, expected, fact, koala, main, rows, same_rows, to_numpy

# The axis along which Meta's code splits a weight over shards. Every shard has a full copy of other weights.
AXES = {"tok_embeddings": 1, "wo": 1, "w2": 1, "wq": 0, "wk": 0, "wv": 0, "w1": 0, "w3": 0, "output": 0}


def read_meta(folder, shards):
    """Loads Meta's shards like Meta's code, but with weights_only, and joins them."""
    parts = [
        torch.load(folder / f"consolidated.{i:02d}.pth", weights_only=True, map_location="cpu", mmap=i % 2 == 1)
        for i in range(shards)
    ]
    assert not (folder / f"consolidated.{shards:02d}.pth").exists()
    joined = {}
    for name, first in parts[0].items():
        axis = AXES.get(name.split(".")[-2])
        joined[name] = to_numpy(first if axis is None else torch.cat([p[name] for p in parts], axis))
        if axis is None:
            assert all(torch.equal(first, p[name]) for p in parts), f"{name} differs between shards"
    return joined


def check_meta(tmp):
    base = FIXTURES / "S/base/hf-safetensors"
    for shards in (1, 2, 4):
        with fact(f"convert S to {shards} of Meta's shards: torch.load with weights_only reads the expected bytes"):
            out = tmp / f"meta-{shards}"
            koala("convert", "--in", base, "--out", out, "--format", "torch", "--shards", shards)
            same_rows(rows(read_meta(out, shards)), by_name(expected("S", "base.meta.digests.json")))
    with fact("convert a random model to 8 of Meta's shards and back: nothing is lost"):
        source, out, back = tmp / "random", tmp / "meta-8", tmp / "back"
        hf_model.random_model(2, 8).save_pretrained(source)
        koala("convert", "--in", source, "--out", out, "--format", "torch", "--shards", 8)
        read_meta(out, 8)
        koala("convert", "--in", out, "--out", back)
        want, got = hf_model.load(source), hf_model.load(back)
        tokens = list(range(20))
        assert np.array_equal(hf_model.logits(want, tokens), hf_model.logits(got, tokens)), "logits differ"


def read_gguf(path):
    """Returns arrays by name. GGUFReader returns rows of bytes for types that numpy lacks."""
    tensors = {}
    for t in gguf.GGUFReader(path).tensors:
        shape = [int(n) for n in reversed(t.shape)]
        data = np.ascontiguousarray(t.data)
        if t.tensor_type == gguf.GGMLQuantizationType.BF16:
            data = data.view(np.uint16).view(BF16)
        tensors[t.name] = data.reshape(shape) if t.tensor_type != gguf.GGMLQuantizationType.Q8_0 else data
    return tensors


def check_gguf(tmp):
    stream = FIXTURES / "S/recovered/recovered-bf16.stream"
    for dtype in ("bf16", "fp16"):
        with fact(f"convert S to GGUF in {dtype}: gguf reads every tensor's expected bytes"):
            out = tmp / f"{dtype}.gguf"
            koala("convert", "--in", stream, "--out", out, "--format", "gguf", "--dtype", dtype, "--heads", 4)
            same_rows(rows(read_gguf(out)), by_name(expected("S", f"recovered-{dtype}.gguf.digests.json")))
    with fact("convert S to GGUF in Q8_0: the blocks are those of gguf's quantizer"):
        wide, out = tmp / "fp32.gguf", tmp / "q8.gguf"
        for dtype, path in (("fp32", wide), ("q8_0", out)):
            koala("convert", "--in", stream, "--out", path, "--format", "gguf", "--dtype", dtype, "--heads", 4)
        values, quantized = read_gguf(wide), 0
        for name, blocks in read_gguf(out).items():
            if blocks.dtype == np.uint8:
                want = gguf.quants.quantize(values[name], gguf.GGMLQuantizationType.Q8_0)
                assert np.array_equal(blocks.reshape(want.shape), want), f"{name} differs"
                quantized += 1
        assert quantized > 10, f"{quantized} tensors are quantized"


def wordy_model():
    """Makes a small LLaMA with the full vocabulary."""
    config = transformers.LlamaConfig(
        vocab_size=32000, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2
    )
    return transformers.LlamaForCausalLM(config)


def check_tokenizer(tmp):
    """Checks that koala writes LLaMA's tokenizer with Koala's chat template if the base has none."""
    source, out = tmp / "source", tmp / "out"
    wordy_model().save_pretrained(source)
    koala("convert", "--in", source, "--out", out)
    chat = [{"role": "user", "content": "Hello!"}, {"role": "assistant", "content": "Hi!"}, {"role": "user", "content": "Q"}]
    text = "BEGINNING OF CONVERSATION: USER: Hello! GPT: Hi!</s>USER: Q GPT:"
    with fact("convert writes a tokenizer: transformers loads it, and its ids are koala's"):
        tokenizer = transformers.AutoTokenizer.from_pretrained(out)
        # No text begins with a space, because transformers 5 drops that space.
        for sample in ("Hello, koala!", "a  b\n\tc", "你好 "):
            want = [int(i) for i in koala("tokenizer", "encode", "--bos", text=sample).strip("[]\n").split(",")]
            assert tokenizer(sample)["input_ids"] == want, f"{sample!r}: {tokenizer(sample)['input_ids']}, not {want}"
    with fact("convert writes a chat template: transformers renders the prompt of Koala's training"):
        got = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        assert got == text, repr(got)
    with fact("convert to GGUF: gguf reads the vocabulary and the chat template"):
        path = tmp / "wordy.gguf"
        koala("convert", "--in", source, "--out", path, "--format", "gguf")
        fields = gguf.GGUFReader(path).fields
        tokens = fields["tokenizer.ggml.tokens"].contents()
        assert len(tokens) == 32000 and tokens[:3] == ["<unk>", "<s>", "</s>"] and tokens[29871] == "▁", tokens[:3]
        assert fields["tokenizer.chat_template"].contents() == tokenizer.chat_template
        assert fields["tokenizer.ggml.model"].contents() == "llama"


if __name__ == "__main__":
    main(globals())
