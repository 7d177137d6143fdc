"""Compares koala verify --logits with transformers in fp32 on random models of every shape that koala reads."""

import json

import hf_model
import numpy as np
import torch
import transformers
from koala_interop import FIXTURES, HEADS, expected, fact, koala, main

PLAIN = {"hidden_size": 96, "intermediate_size": 200, "num_hidden_layers": 3, "num_attention_heads": 6, "vocab_size": 150}
MODELS = {
    "plain": {},
    "grouped heads": {"num_key_value_heads": 2},
    "one head of keys": {"num_key_value_heads": 1},
    "tied embeddings": {"tie_word_embeddings": True},
    "another rotary base": {"rope_theta": 500000.0, "rms_norm_eps": 1e-5},
    "odd widths": {"hidden_size": 60, "intermediate_size": 77, "vocab_size": 101},
}
FORMS = [("gguf",), ("easylm", "--dtype", "fp32"), ("torch",)]
# The largest difference that rounding explains. Logits of these models have magnitudes near one.
ROUNDING = 2e-5


def save(folder, dtype, changes):
    """Saves a random model in 16 bits. Its weights are so large that attention is far from uniform."""
    torch.manual_seed(11)
    config = transformers.LlamaConfig(**PLAIN | {"rms_norm_eps": 1e-6, "initializer_range": 0.08} | changes)
    transformers.LlamaForCausalLM(config).to(dtype).save_pretrained(folder)
    return config.vocab_size


def expect(file, tokens, **models):
    """Returns expected logits in koala's format: the 8 best of each token, and all of the last token."""
    out = {"tokens": tokens, "models": {}}
    for name, logits in models.items():
        best = np.argsort(-logits, axis=1, kind="stable")[:, :8]
        top8 = [[[int(i), float(row[i])] for i in ids] for row, ids in zip(logits, best, strict=True)]
        out["models"][name] = {"top8": top8, "last": logits[-1].tolist()}
    file.write_text(json.dumps(out))


def verify(model, *flags):
    return json.loads(koala("verify", model, "--logits", "--json", *flags))


def check_random_models(tmp):
    for number, (name, changes) in enumerate(MODELS.items()):
        for dtype in (torch.bfloat16, torch.float16):
            folder, file = tmp / f"{number}-{dtype}", tmp / f"{number}-{dtype}.json"
            vocab = save(folder, dtype, changes)
            tokens = [int(t) for t in np.random.default_rng(number).integers(0, vocab, 300)]
            # Load in fp32, because model.to(bf16).float() also rounds the rotary frequencies.
            expect(file, tokens, transformers=hf_model.logits(hf_model.load(folder), tokens))
            with fact(f"logits of 300 tokens, {name}, {dtype}: transformers' within {ROUNDING:g}, none swapped"):
                stated = (folder / "config.json").read_text()
                assert all(str(int(v)) in stated for k, v in changes.items() if k == "rope_theta"), stated
                closest = verify(folder, "--expect", file)["expect"]["models"][0]
                assert closest["max_difference"] <= ROUNDING and closest["swaps"] == 0, closest
            for form, *flags in FORMS:
                if form == "easylm" and "rope_theta" in changes:
                    continue  # its files do not contain the rotary base
                with fact(f"logits, {name}, {dtype}: the same bits as {form}"):
                    out = tmp / f"{number}-{dtype}.{form}"
                    koala("convert", "--in", folder, "--out", out, "--format", form, *flags)
                    heads = ["--heads", PLAIN["num_attention_heads"]] if form == "easylm" else []
                    assert verify(out, "--against", folder, *heads)["against"]["identical"]


def check_fixtures(tmp):
    for shape in HEADS:
        file = FIXTURES / shape / "expected/logits.json"
        with fact(f"fixture {shape}: transformers' logits are those of the reference, and koala's"):
            out = tmp / shape
            koala("convert", "--in", FIXTURES / shape / "recovered/recovered-bf16.stream", "--out", out, "--heads", HEADS[shape])
            hf_model.gives_expected_logits(out, shape)
            report = verify(out, "--expect", file, "--tolerance", "5e-6")["expect"]
            assert report["matches"] == "recovered-bf16", report
            assert report["models"][0]["swaps"] == 0, report


def check_surprise(tmp):
    """Checks that the numbers of the plausibility report are transformers' losses."""
    folder = tmp / "model"
    vocab = save(folder, torch.bfloat16, {})
    tokens = [int(t) for t in np.random.default_rng(5).integers(0, vocab, 50)]
    with fact("negative log-likelihoods are transformers' cross entropy"):
        report = verify(folder, "--tokens", ",".join(map(str, tokens)))["plausibility"]
        logits = torch.tensor(hf_model.logits(hf_model.load(folder), tokens))
        want = torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(tokens[1:]), reduction="none").numpy()
        got = np.array([p["nll"] for p in report["positions"]])
        assert np.abs(got - want).max() < 5e-5, np.abs(got - want).max()
        assert abs(report["mean_nll"] - want.mean()) < 1e-5


if __name__ == "__main__":
    main(globals())
