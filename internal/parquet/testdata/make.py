"""Makes the Parquet files of the tests here and of package dataset, with
pyarrow (26.0.1), and what their rows are as JSON lines.

    python3 make.py        in this directory
"""

import json

import pyarrow as pa
import pyarrow.parquet as pq

text, number = pa.string(), pa.int32()
turn = pa.struct([("from", text), ("value", text)])

# Every shape: nulls, lists of lists, groups in groups, empty ones.
shapes = pa.Table.from_pylist([{
    "id": f"{i}",
    "conversations": None if i % 7 == 6 else [{"from": "human" if k % 2 == 0 else "gpt", "value": f'turn {k} of {i} \u00e9\n"x\\\x01"'} for k in range(i % 5 * 2)],
    "n": i - 20 if i % 3 else None,
    "big": -(2**62) + i,
    "f": i / 3,
    "f4": i / 4,
    "b": i % 2 == 0,
    "nested": [[1, None], [], None, [i]] if i % 4 == 0 else [] if i % 4 == 1 else None,
    "group": {"a": {"b": None if i % 2 else "deep"}} if i % 5 else None,
    "u": 2**32 - 1 - i,
    "same": "the same",
} for i in range(60)], pa.schema([
    ("id", text), ("conversations", pa.list_(turn)), ("n", number), ("big", pa.int64()), ("f", pa.float64()), ("f4", pa.float32()), ("b", pa.bool_()),
    ("nested", pa.list_(pa.list_(pa.int64()))), ("group", pa.struct([("a", pa.struct([("b", text)]))])), ("u", pa.uint32()), ("same", text),
]))
deltas = {
    "id": "DELTA_BYTE_ARRAY", "same": "DELTA_BYTE_ARRAY", "conversations.list.element.value": "DELTA_LENGTH_BYTE_ARRAY", "n": "DELTA_BINARY_PACKED",
    "big": "DELTA_BINARY_PACKED", "nested.list.element.list.element": "DELTA_BINARY_PACKED", "b": "RLE", "u": "DELTA_BINARY_PACKED",
}
for name, options in {
    "plain": {"compression": "none", "use_dictionary": False, "write_page_checksum": True},
    "dictionary": {"compression": "snappy", "use_dictionary": True},
    "gzip2": {"compression": "gzip", "use_dictionary": True, "data_page_version": "2.0"},
    "zstd": {"compression": "zstd", "use_dictionary": False, "data_page_version": "2.0", "write_page_checksum": True},
    "deltas": {"compression": "none", "use_dictionary": False, "column_encoding": deltas, "data_page_version": "2.0"},
    "deltas1": {"compression": "zstd", "use_dictionary": False, "column_encoding": deltas},
    "lz4": {"compression": "lz4"},
}.items():
    pq.write_table(shapes, f"{name}.parquet", row_group_size=25, data_page_size=200, write_batch_size=8, store_schema=False, **options)
with open("rows.jsonl", "w") as f:
    for row in shapes.to_pylist():
        f.write(json.dumps(row) + "\n")
pq.write_table(pa.table({"d": pa.array([1], pa.decimal128(9, 2)), "x": ["a"]}), "decimal.parquet", store_schema=False)

# The public releases' layouts.
quotes = pa.struct([("title", pa.list_(text)), ("extract", pa.list_(text))])
tokens = pa.struct([("prefix", pa.list_(number)), ("completion", pa.list_(number))])
releases = {
    "alpaca": ([("instruction", text), ("input", text), ("output", text), ("text", text)], lambda i: {
        "instruction": f"Do {i}.", "input": "with this" if i % 2 else "", "output": f"Done {i}", "text": "Below is \u2026"}),
    "hh": ([("chosen", text), ("rejected", text)], lambda i: {
        "chosen": f"\n\nHuman: Hi {i}\n\nAssistant: Yo", "rejected": f"\n\nHuman: Hi {i}\n\nAssistant: No"}),
    "hc3": ([("id", text), ("question", text), ("human_answers", pa.list_(text)), ("chatgpt_answers", pa.list_(text)), ("source", text)], lambda i: {
        "id": f"{i}", "question": f"Why {i}?", "human_answers": [f"because {k}" for k in range(i % 3)], "chatgpt_answers": ["As \u00fc"] * (i % 2), "source": "finance"}),
    "oig": ([("text", text), ("metadata", text)], lambda i: {"text": f"<human>: What is {i}?\n<bot>: {i}", "metadata": "{}"}),
    "sharegpt": ([("id", text), ("conversations", pa.list_(turn))], lambda i: {
        "id": f"x{i}", "conversations": [{"from": ("human", "gpt")[k % 2], "value": f"turn {k} of {i}"} for k in range(2 + i % 3 * 2)]}),
    "webgpt": ([("question", pa.struct([("dataset", text), ("id", text), ("full_text", text)])), ("quotes_0", quotes), ("answer_0", text), ("tokens_0", tokens),
                ("score_0", pa.float64()), ("quotes_1", quotes), ("answer_1", text), ("tokens_1", tokens), ("score_1", pa.float64())], lambda i: {
        "question": {"dataset": "eli5", "id": f"{i}", "full_text": f"How {i}?"},
        "quotes_0": {"title": ["T"] * (i % 3), "extract": ["E"] * (i % 3)}, "answer_0": f"so {i}", "tokens_0": {"prefix": [1, 2], "completion": []}, "score_0": i / 4 - 1,
        "quotes_1": {"title": [], "extract": []}, "answer_1": f"or so {i}", "tokens_1": {"prefix": [], "completion": [3]}, "score_1": -0.25}),
    "summary": ([("info", pa.struct([("id", text), ("post", text), ("title", text), ("subreddit", text), ("site", text), ("article", text)])),
                 ("summaries", pa.list_(pa.struct([("text", text), ("policy", text), ("note", text)]))), ("choice", number), ("worker", text), ("batch", text), ("split", text),
                 ("extra", pa.struct([("confidence", number)]))], lambda i: {
        "info": {"id": f"{i}", "post": f"My post {i}", "title": "T", "subreddit": "r", "site": None, "article": None},
        "summaries": [{"text": f" one {i}", "policy": "p", "note": None}, {"text": f" two {i}", "policy": "q", "note": "n"}], "choice": i % 2,
        "worker": "w", "batch": "b", "split": "train", "extra": {"confidence": None}}),
}
for name, (fields, make) in releases.items():
    table = pa.Table.from_pylist([make(i) for i in range(12)], pa.schema(fields))
    pq.write_table(table, f"../../../dataset/testdata/{name}.parquet", row_group_size=5, store_schema=False, write_statistics=False, compression={"hh": "none", "hc3": "zstd", "oig": "gzip"}.get(name, "snappy"))
    with open(f"../../../dataset/testdata/{name}.jsonl", "w") as f:
        for row in table.to_pylist():
            f.write(json.dumps(row) + "\n")
