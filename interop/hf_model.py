"""Loads Hugging Face directories with transformers."""

import numpy as np
import torch
import transformers

from koala_interop import expected

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()


def load(folder, dtype=torch.float32):
    """Loads a model and checks that no key is missing, unexpected or mismatched."""
    model, report = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, output_loading_info=True)
    for kind, names in report.items():
        assert not names, f"{kind}: {list(names)[:5]}"
    return model


def random_model(layers, heads):
    """Makes a LLaMA with random weights."""
    config = transformers.LlamaConfig(
        vocab_size=96,
        hidden_size=32,
        intermediate_size=80,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        rms_norm_eps=1e-6,  # koala's default for EasyLM checkpoints, which do not contain it
    )
    return transformers.LlamaForCausalLM(config)


def logits(model, tokens):
    with torch.no_grad():
        return model(torch.tensor([tokens])).logits[0].numpy()


def gives_expected_logits(folder, fixture, which="recovered-bf16"):
    """Checks the fixture's logits to within 2e-5. Without the permutation of q and k they differ by more than 0.1."""
    want = expected(fixture, "logits.json")
    got = logits(load(folder), want["tokens"])
    pairs = [(got[i][token], value) for i, top in enumerate(want["models"][which]["top8"]) for token, value in top]
    pairs += list(zip(got[-1], want["models"][which]["last"], strict=True))
    worst = max(abs(float(g) - w) for g, w in pairs)
    assert len(got) == len(want["tokens"]) and worst <= 2e-5, f"off by {worst:.3g}"
    assert np.isfinite(got).all(), "not finite"
