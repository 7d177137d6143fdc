package torchfile_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/fixture"
	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/refusal/refusaltest"
	"github.com/koala-go/sdk/internal/safetensors"
	"github.com/koala-go/sdk/internal/torchfile"
)

// digests adds the digest of each tensor of a file to got, except for rotary
// buffers, which no list contains.
func digests(t testing.TB, into map[string]string, f *torchfile.File) {
	t.Helper()
	for _, x := range f.Tensors {
		if strings.HasSuffix(x.Name, "rope.freqs") || strings.HasSuffix(x.Name, "rotary_emb.inv_freq") {
			continue
		}
		require.NotContains(t, into, x.Name)
		sum := sha256.Sum256(refusaltest.DataOf(t, &x))
		into[x.Name] = fmt.Sprintln(x.DType, x.Shape, hex.EncodeToString(sum[:]))
	}
}

func TestFixtureDigests(t *testing.T) {
	for _, test := range []struct{ files, list string }{
		{"S/base/meta-1/*.pth", "S/expected/base.meta.digests.json"},
		{"S/base/meta-views/*.pth", "S/expected/base.meta.digests.json"},
		{"S/base/hf-bin/*.bin", "S/expected/base.hf.digests.json"},
		{"S/base/hf-bin-sharded/*.bin", "S/expected/base.hf.digests.json"},
		{"S/base/hf-bin-strided/*.bin", "S/expected/base.hf.digests.json"},
		{"D/base/meta-1/*.pth", "D/expected/base.meta.digests.json"},
		{"D/base/hf-bin-parameters/*.bin", "D/expected/base.hf.digests.json"},
		{"D/base/hf-bin-statedict/*.bin", "D/expected/base.hf.digests.json"},
	} {
		t.Run(test.files, func(t *testing.T) {
			got := map[string]string{}
			for _, whole := range files(t, test.files) {
				digests(t, got, mustRead(t, whole))
			}
			want := map[string]string{}
			for _, d := range fixture.Digests(t, "fixtures", test.list) {
				want[d.Name] = fmt.Sprintln(d.DType, d.Shape, d.SHA256)
			}
			require.Equal(t, want, got)
		})
	}
}

// files returns the contents of the fixtures that match a pattern, by name.
func files(t testing.TB, pattern string) map[string][]byte {
	t.Helper()
	root := fixture.Path(t, "fixtures")
	found, err := filepath.Glob(filepath.Join(root, pattern))
	require.NoError(t, err)
	require.NotEmpty(t, found, pattern)
	list := map[string][]byte{}
	for _, path := range found {
		rel, err := filepath.Rel(root, path)
		require.NoError(t, err)
		list[rel] = fixture.Read(t, "fixtures", rel)
	}
	return list
}

// TestFixturesOpen reads the shards and deltas for which there are no digest
// lists.
func TestFixturesOpen(t *testing.T) {
	for pattern, want := range map[string]int{
		"S/base/meta-2/*.pth": 2, "T/base/meta-3/*.pth": 3, "S/diff/*-delta-bin/*.bin": 2,
	} {
		list := files(t, pattern)
		require.Len(t, list, want)
		for name, whole := range list {
			f := mustRead(t, whole)
			require.NotEmpty(t, f.Tensors, name)
			require.False(t, f.Unchecked)
			requireSums(t, whole, f)
		}
	}
}

func TestFixtureLegacy(t *testing.T) {
	whole := fixture.Read(t, "fixtures", "S/base/meta-legacy/consolidated.00.pth")
	e := refusaltest.Refused(t, read(whole), refusal.ErrUnsupported)
	require.Zero(t, e.Offset)
	require.ErrorContains(t, e, "from before version 1.6")
}

// TestPickleIsTorchs checks that the pickle of a plain dictionary that
// torch.save wrote is restored byte for byte.
func TestPickleIsTorchs(t *testing.T) {
	checked := 0
	for name, whole := range files(t, "S/base/hf-bin*/*.bin") {
		pickle := pickleOf(t, whole)
		if pickle[2] != '}' || strings.Contains(name, "strided") {
			continue // the pickle has an OrderedDict, or tensors that are not contiguous
		}
		again := write(t, strings.TrimSuffix(filepath.Base(name), ".bin"), mustRead(t, whole).Tensors)
		require.True(t, bytes.Equal(pickle, pickleOf(t, again)), name)
		checked++
	}
	require.Positive(t, checked)
}

// TestFixtureDelta compares a delta in torch's format with the same delta in
// safetensors format.
func TestFixtureDelta(t *testing.T) {
	f := mustRead(t, fixture.Read(t, "fixtures", "S/diff/fastchat-delta-bin/pytorch_model.bin"))
	other := fixture.Read(t, "fixtures", "S/diff/fastchat-delta-safetensors/model.safetensors")
	g, err := safetensors.Read(bytes.NewReader(other), int64(len(other)))
	require.NoError(t, err)
	got, want := map[string]string{}, map[string]string{}
	digests(t, got, f)
	digests(t, want, &torchfile.File{Tensors: g.Tensors})
	require.Equal(t, want, got)
}
