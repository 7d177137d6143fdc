package gguf_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/fixture"
	"github.com/koala-go/sdk/internal/refusal/refusaltest"
)

func TestFixtureDigests(t *testing.T) {
	f := mustRead(t, fixture.Read(t, "fixtures", "S", "recovered", "recovered-bf16.gguf"))
	require.Equal(t, "llama", f.Values["general.architecture"].Text(0))
	got := map[string]string{}
	for _, x := range f.Tensors {
		sum := sha256.Sum256(refusaltest.DataOf(t, &x))
		got[x.Name] = fmt.Sprintln(x.DType, x.Shape, hex.EncodeToString(sum[:]))
	}
	want := map[string]string{}
	for _, d := range fixture.Digests(t, "fixtures", "S", "expected", "recovered-bf16.gguf.digests.json") {
		want[d.Name] = fmt.Sprintln(d.DType, d.Shape, d.SHA256)
	}
	require.Equal(t, want, got)
}

// TestHeaderIsTheReferences checks that Header restores the header of each file
// that the reference implementation wrote.
func TestHeaderIsTheReferences(t *testing.T) {
	whole := fixture.Read(t, "fixtures", "S", "recovered", "recovered-bf16.gguf")
	f := mustRead(t, whole)
	require.NotEmpty(t, f.Tensors)
	require.NotEmpty(t, f.Keys)
	require.True(t, bytes.Equal(whole, write(t, f.Pairs(), f.Tensors)))
}
