package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/weights"
)

func TestDemonstrationLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Setenv("TMP", dir) // Windows
	var out bytes.Buffer
	require.NoError(t, demonstrate(t.Context(), &out))
	require.Contains(t, out.String(), "Checked: all 4188416 weights")
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestVerifySeesOneWrongWeight(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model")
	require.NoError(t, modeltest.Tiny.Write(path, &modeltest.Options{
		Format: weights.FormatSafetensors, DType: dtype.BF16,
		Values: func(p weights.Param, row, col int) uint16 {
			v := sum(modeltest.Tiny.Base(p, row, col), modeltest.Tiny.Diff(p, row, col))
			if p == (weights.Param{Layer: 1, Role: weights.Q}) && row == 5 && col == 7 {
				v ^= 1
			}
			return v
		},
	}))
	_, err := verify(path, modeltest.Tiny)
	require.ErrorContains(t, err, "layer 1 q, element 327")
}

func TestRealRun(t *testing.T) {
	dir := t.TempDir()
	m := modeltest.Tiny
	base, delta, out := filepath.Join(dir, "base"), filepath.Join(dir, "diff"), filepath.Join(dir, "out")
	require.NoError(t, m.Write(base, &modeltest.Options{Format: weights.FormatSafetensors, DType: dtype.F16, Values: m.Base}))
	require.NoError(t, m.Write(delta, &modeltest.Options{Format: weights.FormatEasyLM, DType: dtype.BF16, Values: m.Diff}))
	var w bytes.Buffer
	require.NoError(t, recoverReal(t.Context(), &w, base, delta, out))
	n, err := verify(out, m)
	require.NoError(t, err)
	require.Equal(t, 117056, n)
}
