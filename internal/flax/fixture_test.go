package flax_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/fixture"
	"github.com/koala-go/sdk/internal/flax"
	"github.com/koala-go/sdk/internal/refusal/refusaltest"
	"github.com/koala-go/sdk/internal/tensor"
)

// contents returns the tensors of a fixture by name.
func contents(t testing.TB, elem ...string) map[string]*tensor.Tensor {
	t.Helper()
	f := mustRead(t, fixture.Read(t, append([]string{"fixtures"}, elem...)...))
	m := map[string]*tensor.Tensor{}
	for i := range f.Tensors {
		m[f.Tensors[i].Name] = &f.Tensors[i]
	}
	require.Len(t, m, len(f.Tensors))
	return m
}

// requireSame compares the tensors of two files including their data.
func requireSame(t testing.TB, want, got map[string]*tensor.Tensor) {
	t.Helper()
	require.NotEmpty(t, want)
	require.Len(t, got, len(want))
	for name, x := range want {
		y := got[name]
		require.NotNil(t, y, name)
		require.Equal(t, x.DType, y.DType, name)
		require.Equal(t, x.Shape, y.Shape, name)
		require.True(t, bytes.Equal(refusaltest.DataOf(t, x), refusaltest.DataOf(t, y)), name)
	}
}

// TestStreamsAreTheReferences checks that every stream that EasyLM wrote is
// restored byte for byte.
func TestStreamsAreTheReferences(t *testing.T) {
	for _, folder := range []string{"S/diff", "S/recovered", "S/base", "S/target", "T/diff", "T/recovered", "D/diff", "D/recovered"} {
		paths, err := filepath.Glob(filepath.Join(fixture.Path(t, "fixtures", folder), "*.stream"))
		require.NoError(t, err)
		require.NotEmpty(t, paths)
		for _, path := range paths {
			t.Run(folder+"/"+filepath.Base(path), func(t *testing.T) {
				whole := fixture.Read(t, "fixtures", folder, filepath.Base(path))
				f := mustRead(t, whole)
				require.True(t, f.Stream)
				var again []byte
				for i := range f.Tensors {
					again = appendTensor(t, again, &f.Tensors[i], refusaltest.DataOf(t, &f.Tensors[i]))
				}
				require.True(t, bytes.Equal(whole, again))
			})
		}
	}
}

// TestFixtureCut checks that a truncated stream is refused unless it ends with
// a complete record.
func TestFixtureCut(t *testing.T) {
	whole := fixture.Read(t, "fixtures", "D/diff/diff-bf16.stream")
	records := len(mustRead(t, whole).Tensors)
	for _, n := range []int{1, 2, 500, 1013} {
		f, err := flax.Read(bytes.NewReader(whole[:len(whole)-n]), int64(len(whole)-n))
		require.ErrorIs(t, err, io.ErrUnexpectedEOF, "%d bytes cut", n)
		require.Nil(t, f)
	}
	boundaries := 0
	for n := len(whole) - 4000; n < len(whole); n++ {
		if f, err := flax.Read(bytes.NewReader(whole[:n]), int64(n)); err == nil {
			boundaries++
			require.Less(t, len(f.Tensors), records)
		} else {
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		}
	}
	require.Positive(t, boundaries)
}

func TestFixtureDigests(t *testing.T) {
	for _, test := range []struct{ file, list string }{
		{"S/recovered/recovered-bf16.stream", "S/expected/recovered-bf16.easylm.digests.json"},
		{"S/recovered/recovered-fp16.stream", "S/expected/recovered-fp16.easylm.digests.json"},
		{"S/recovered/recovered-fp32.stream", "S/expected/recovered-fp32.easylm.digests.json"},
		{"T/recovered/recovered-bf16.stream", "T/expected/recovered-bf16.easylm.digests.json"},
		{"D/recovered/recovered-bf16.stream", "D/expected/recovered-bf16.easylm.digests.json"},
	} {
		t.Run(test.file, func(t *testing.T) {
			got, want := map[string]string{}, map[string]string{}
			for name, x := range contents(t, test.file) {
				sum := sha256.Sum256(refusaltest.DataOf(t, x))
				got[name] = fmt.Sprintln(x.DType, x.Shape, hex.EncodeToString(sum[:]))
			}
			for _, d := range fixture.Digests(t, "fixtures", test.list) {
				want[strings.ReplaceAll(d.Name, ".", "/")] = fmt.Sprintln(d.DType, d.Shape, d.SHA256)
			}
			require.Equal(t, want, got)
		})
	}
}

func TestMapFixture(t *testing.T) {
	require.False(t, mustRead(t, fixture.Read(t, "fixtures", "S/base/easylm-fp16.flax")).Stream)
	requireSame(t, contents(t, "S/base/easylm-fp16.stream"), contents(t, "S/base/easylm-fp16.flax"))
}

func TestChunkedFixture(t *testing.T) {
	plain, chunked := contents(t, "D/base/easylm-fp16.stream"), contents(t, "D/base/easylm-fp16.chunked.stream")
	requireSame(t, plain, chunked)
	joined := 0
	for name, x := range chunked {
		if _, section := x.Data.(*io.SectionReader); section {
			continue
		}
		joined++
		requirePieces(t, refusaltest.DataOf(t, plain[name]), x.Data)
	}
	require.Greater(t, joined, 20, "tensors in several chunks")
}

// requirePieces reads pieces of odd lengths from the offsets that matter.
func requirePieces(t testing.TB, want []byte, r io.ReaderAt) {
	t.Helper()
	size := len(want)
	for _, step := range []int{1, 7, 299, 300, 301, 599, 601, size - 1, size, size + 1} {
		for off := 0; off <= size; off += step {
			p := make([]byte, step)
			n, err := r.ReadAt(p, int64(off))
			require.Equal(t, min(step, size-off), n)
			require.True(t, bytes.Equal(want[off:off+n], p[:n]), "%d bytes at %d", step, off)
			if n < step {
				require.Equal(t, io.EOF, err)
			} else {
				require.NoError(t, err)
			}
		}
	}
	n, err := r.ReadAt(make([]byte, 4), int64(size)+1000)
	require.Zero(t, n)
	require.Equal(t, io.EOF, err)
}

func TestTrainState(t *testing.T) {
	state := contents(t, "D/base/easylm-fp16.trainstate")
	params, moments, others := map[string]*tensor.Tensor{}, map[string]int{}, []string{}
	for name, x := range state {
		if key, ok := strings.CutPrefix(name, "params/params/"); ok {
			params[key] = x
		} else if rest, ok := strings.CutPrefix(name, "opt_state/1/0/"); ok && strings.Contains(rest, "/params/") {
			moments[rest[:2]]++
		} else {
			others = append(others, fmt.Sprint(name, " ", x.DType, x.Shape))
		}
	}
	plain := contents(t, "D/base/easylm-fp16.stream")
	requireSame(t, plain, params)
	require.Equal(t, map[string]int{"mu": len(plain), "nu": len(plain)}, moments)
	require.NotContains(t, state, "step", "a number must not become a tensor")
	t.Log(others)
}
