package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRun checks that two runs have the same output, and what it counts.
func TestRun(t *testing.T) {
	var first, again bytes.Buffer
	require.NoError(t, run(t.Context(), &first))
	require.NoError(t, run(t.Context(), &again))
	require.Equal(t, first.String(), again.String())
	require.Contains(t, first.String(), "dropped map[duplicate:2 eval part:1 keyword:1 leak:1 part eval:1], skipped 1")
	require.Contains(t, first.String(), `hh.jsonl, line 4, field "chosen"`)
	require.Contains(t, first.String(), "BEGINNING OF CONVERSATION: USER:")
}
