package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRun(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(&out))
	require.Contains(t, out.String(), "BEGINNING OF CONVERSATION: USER: Hello! GPT: Hi! How can I help you?</s>USER:")
	require.Contains(t, out.String(), "  reply loss true  [6324 29991 1128 508 306 1371 366 29973]\n")
	require.Contains(t, out.String(), "Within 35 tokens: 1 of 3 turns")
	require.Contains(t, out.String(), `Turn 2, byte 37 looks like "USER:".`)
}
