package safetensors_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/fixture"
	"github.com/koala-go/sdk/internal/refusal/refusaltest"
	"github.com/koala-go/sdk/internal/safetensors"
	"github.com/koala-go/sdk/internal/tensor"
)

// fixtures returns the paths of all safetensors files of the shared fixtures.
func fixtures(t testing.TB) []string {
	var list []string
	for _, pattern := range []string{"*/*/*.safetensors", "*/*/*/*.safetensors"} {
		found, err := filepath.Glob(filepath.Join(fixture.Path(t, "fixtures"), pattern))
		require.NoError(t, err)
		list = append(list, found...)
	}
	require.Greater(t, len(list), 10)
	return list
}

// TestHeaderIsTheReferences checks that Header restores the header of each file
// that the reference implementation wrote, given the tensors in any order.
func TestHeaderIsTheReferences(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, path := range fixtures(t) {
		t.Run(filepath.Base(filepath.Dir(path))+"/"+filepath.Base(path), func(t *testing.T) {
			whole := fixture.Read(t, "fixtures", rel(t, path))
			f := mustRead(t, whole)
			require.NotEmpty(t, f.Tensors)
			shuffled := append([]tensor.Tensor(nil), f.Tensors...)
			rng.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			header, offsets, size, err := safetensors.Header(shuffled, f.Metadata)
			require.NoError(t, err)
			for i, x := range shuffled {
				require.Equal(t, x.Offset, offsets[i], x.Name)
			}
			require.EqualValues(t, len(whole), size)
			require.True(t, bytes.Equal(whole[:len(header)], header), "header is %.300q, not %.300q", header[8:], whole[8:])
		})
	}
}

func rel(t testing.TB, path string) string {
	t.Helper()
	r, err := filepath.Rel(fixture.Path(t, "fixtures"), path)
	require.NoError(t, err)
	return r
}

func TestFixtureDigests(t *testing.T) {
	for _, test := range []struct{ file, list string }{
		{"S/base/hf-safetensors", "S/expected/base.hf.digests.json"},
		{"D/base/hf-safetensors", "D/expected/base.hf.digests.json"},
		{"S/recovered/hf-bf16", "S/expected/recovered-bf16.hf.digests.json"},
	} {
		t.Run(test.file, func(t *testing.T) {
			f := mustRead(t, fixture.Read(t, "fixtures", test.file, "model.safetensors"))
			got := map[string]string{}
			for _, x := range f.Tensors {
				sum := sha256.Sum256(refusaltest.DataOf(t, &x))
				got[x.Name] = fmt.Sprintln(x.DType, x.Shape, hex.EncodeToString(sum[:]))
			}
			want := map[string]string{}
			for _, d := range fixture.Digests(t, "fixtures", test.list) {
				want[d.Name] = fmt.Sprintln(d.DType, d.Shape, d.SHA256)
			}
			require.Equal(t, want, got)
		})
	}
}
