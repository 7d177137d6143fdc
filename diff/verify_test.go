package diff

import (
	"crypto/md5"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/weights"
)

// verified verifies an output and lists the differences.
func verified(t *testing.T, path string, o *VerifyOptions) []string {
	t.Helper()
	r, err := Verify(t.Context(), path, o)
	require.NoError(t, err)
	list := []string{}
	for _, d := range r.Differences {
		list = append(list, d.String())
	}
	return list
}

// flip changes one bit of a file.
func flip(t *testing.T, path string, at int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	b := make([]byte, 1)
	_, err = f.ReadAt(b, at)
	require.NoError(t, err)
	b[0] ^= 1
	_, err = f.WriteAt(b, at)
	require.NoError(t, err)
}

// TestVerify verifies outputs of every format in all ways, whole and with one bit
// changed. The differences name the place.
func TestVerify(t *testing.T) {
	for name, o := range outputs {
		t.Run(name, func(t *testing.T) {
			x := newTrial(t)
			opts := o
			_, err := Recover(t.Context(), x.base, x.delta, x.out, &opts)
			require.NoError(t, err)
			again := &VerifyOptions{Base: x.base, Diff: x.delta, Heads: modeltest.Tiny.Heads}
			sample := &VerifyOptions{Base: x.base, Diff: x.delta, Heads: modeltest.Tiny.Heads, Sample: 0.5, Memory: 256 << 10}
			for _, v := range []*VerifyOptions{nil, again, sample} {
				require.Empty(t, verified(t, x.out, v))
			}
			r, err := Verify(t.Context(), x.out, again)
			require.NoError(t, err)
			require.Equal(t, 21, r.Tensors)

			c, err := weights.Open(t.Context(), x.out, nil)
			require.NoError(t, err)
			w := c.Tensor(weights.Param{Layer: 1, Role: weights.Up})
			require.NoError(t, c.Close())
			flip(t, w.Path, w.Offset+w.DType.Size()*5)
			found := verified(t, x.out, nil)
			require.Len(t, found, 2, "%v", found)
			require.Contains(t, found[0], "has the sha256")
			require.Contains(t, found[1], "tensor "+w.Name+": has the CRC-32")
			readManifest(t, x.out)
			require.Equal(t, []string{"tensor " + w.Name + ": differs from base + diff, first in row 0 of those compared"}, verified(t, x.out, again))
		})
	}
}

// TestVerifyFiles finds files that are missing, truncated or longer, and tensors
// that cannot be read.
func TestVerifyFiles(t *testing.T) {
	for name, c := range map[string]struct {
		damage func(path string) error
		says   string
	}{
		"missing": {os.Remove, "model.safetensors: is missing"},
		"cut":     {func(p string) error { return os.Truncate(p, 1000) }, "model.safetensors: has 1000 bytes, not"},
		"longer":  {func(p string) error { return os.Truncate(p, 1<<20) }, "model.safetensors: has 1048576 bytes, not"},
	} {
		t.Run(name, func(t *testing.T) {
			x := newTrial(t)
			require.NoError(t, x.do(t, x))
			require.NoError(t, c.damage(filepath.Join(x.out, "model.safetensors")))
			found := verified(t, x.out, nil)
			require.Contains(t, found[0], c.says)
			require.Contains(t, strings.Join(found, "\n"), "cannot be read any more")
		})
	}
}

// TestVerifySums compares with lists of checksums of every kind.
func TestVerifySums(t *testing.T) {
	x := newTrial(t)
	require.NoError(t, x.do(t, x))
	b, err := os.ReadFile(filepath.Join(x.out, "model.safetensors"))
	require.NoError(t, err)
	good := []string{
		fmt.Sprintf("%x  model.safetensors\n", md5.Sum(b)),
		fmt.Sprintf("%x *model.safetensors\n", md5.Sum(b)),
		fmt.Sprintf("%X  ./model.safetensors\r\n", sha256.Sum256(b)),
		fmt.Sprintf("SHA256 (model.safetensors) = %x\n", sha256.Sum256(b)),
		fmt.Sprintf("# a list\n\n%x  model.safetensors", sha256.Sum256(b)),
	}
	list := filepath.Join(t.TempDir(), "list")
	for _, text := range good {
		put(t, list, text)
		require.Empty(t, verified(t, x.out, &VerifyOptions{Sums: list}), text)
		require.Empty(t, verified(t, filepath.Join(x.out, "model.safetensors"), &VerifyOptions{Sums: list}), text)
	}
	put(t, list, fmt.Sprintf("%x  model.safetensors\n%x  config.json\n%x  absent\n", md5.Sum(b), md5.Sum(b), md5.Sum(b)))
	found := verified(t, x.out, &VerifyOptions{Sums: list})
	require.Len(t, found, 2)
	require.Contains(t, found[0], "config.json: has the md5")
	require.Equal(t, "absent: is missing", found[1])
	for text, says := range map[string]string{
		"":                                 "list of checksums is empty",
		"# nothing\n":                      "list of checksums is empty",
		"abc  model.safetensors":           "line 1 is not a checksum",
		good[0] + "nonsense\n":             "line 2 is not a checksum",
		strings.Repeat("z", 32) + "  a":    "line 1 is not a checksum",
		strings.Repeat("0", 32) + "  ../a": "not a plain file name",
		strings.Repeat("0", 32) + "  /a":   "not a plain file name",
	} {
		put(t, list, text)
		_, err := Verify(t.Context(), x.out, &VerifyOptions{Sums: list})
		require.ErrorContains(t, err, says, text)
	}
}

// TestVerifyRefuses verifies outputs that cannot be compared.
func TestVerifyRefuses(t *testing.T) {
	x := newTrial(t)
	_, err := Verify(t.Context(), x.out, nil)
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = Verify(t.Context(), x.base, nil)
	require.ErrorContains(t, err, "has no manifest")
	_, err = Verify(t.Context(), x.base, &VerifyOptions{Base: x.base})
	require.ErrorContains(t, err, "only the base is given")
	require.NoError(t, x.do(t, x))
	for text, says := range map[string]string{
		"{}":                            "its version is 0, not 1",
		`{"koala_manifest": 2}`:         "its version is 2, not 1",
		`{"koala_manifest": 1, "x": 1}`: `unknown field "x"`,
		"[]":                            "cannot unmarshal",
		`{"koala_manifest": 1, "outputs": [{"name": "../model", "bytes": 1, "sha256": "00"}]}`: "not a plain file name",
		`{"koala_manifest": 1, "outputs": [{"name": "model.safetensors", "bytes": 1}]}`:        "has no digests",
	} {
		put(t, filepath.Join(x.out, ManifestName), text)
		_, err := Verify(t.Context(), x.out, nil)
		require.ErrorContains(t, err, says)
	}
}

// TestDigests has manifests without digests, with those of the output, and with
// those of the inputs too.
func TestDigests(t *testing.T) {
	x := newTrial(t)
	sums := func(d Digests) (outputs, inputs, tensors int) {
		x.opts.Digests = d
		require.NoError(t, x.do(t, x))
		m, err := ReadManifest(t.Context(), filepath.Join(x.out, ManifestName))
		require.NoError(t, err)
		require.Len(t, m.Inputs, 2)
		for _, f := range m.Outputs {
			if f.SHA256 != "" {
				outputs++
				b, err := os.ReadFile(filepath.Join(x.out, f.Name))
				require.NoError(t, err)
				require.Equal(t, fmt.Sprintf("%x", sha256.Sum256(b)), f.SHA256)
			}
		}
		for i, path := range []string{filepath.Join(x.base, "model.safetensors"), x.delta} {
			require.Len(t, m.Inputs[i].Files, 1)
			if digest := m.Inputs[i].Files[0].SHA256; digest != "" {
				inputs++
				b, err := os.ReadFile(path)
				require.NoError(t, err)
				require.Equal(t, fmt.Sprintf("%x", sha256.Sum256(b)), digest)
			}
		}
		for _, w := range m.Tensors {
			if w.CRC32 != "" {
				tensors++
			}
		}
		require.Len(t, m.Tensors, 21)
		require.Empty(t, verified(t, x.out, &VerifyOptions{Base: x.base, Diff: x.delta}), "with or without digests")
		require.NoError(t, os.RemoveAll(x.out))
		return outputs, inputs, tensors
	}
	for d, want := range map[Digests][3]int{DigestNone: {0, 0, 0}, "": {4, 0, 21}, DigestOutput: {4, 0, 21}, DigestAll: {4, 2, 21}} {
		outputs, inputs, tensors := sums(d)
		require.Equal(t, want, [3]int{outputs, inputs, tensors}, "digests %q", d)
	}
}
