"""Runs llama.cpp's HTTP server, from the wheel xllamacpp, on loopback: MODEL PORT KEY. Stops at the end of standard input."""

import sys

import xllamacpp

params = xllamacpp.CommonParams()
params.model.path, params.port = sys.argv[1], int(sys.argv[2])
params.api_keys = [sys.argv[3]]
params.n_ctx, params.n_parallel = 1024, 4  # 256 tokens for each of four chats
params.kv_unified = False
server = xllamacpp.Server(params)
print(server.listening_address, flush=True)
sys.stdin.read()
