package diff

import (
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/vfs"
	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/progress"
	"github.com/koala-go/sdk/weights"
)

// put writes a file and creates the directories above it.
func put(t *testing.T, path, content string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
}

// badPaths are outputs whose paths a run must not write.
var badPaths = map[string]struct {
	prepare func(t *testing.T, x *trial)
	says    string
}{
	"directory with an earlier output": {func(t *testing.T, x *trial) { put(t, x.out+"/model.safetensors", "old") }, "exists and is not empty"},
	"directory with another file":      {func(t *testing.T, x *trial) { put(t, x.out+"/notes.txt", "mine") }, "exists and is not empty"},
	"directory with another file, forced": {func(t *testing.T, x *trial) {
		put(t, x.out+"/notes.txt", "mine")
		x.opts.Force = true
	}, "holds notes.txt"},
	"directory with ours and another, forced": {func(t *testing.T, x *trial) {
		put(t, x.out+"/config.json", "{}")
		put(t, x.out+"/model.safetensors", "old")
		put(t, x.out+"/model.safetensors.bak", "mine")
		x.opts.Force = true
	}, "holds model.safetensors.bak"},
	"directory with a hidden file, forced": {func(t *testing.T, x *trial) {
		put(t, x.out+"/.git/config", "mine")
		x.opts.Force = true
	}, "holds .git"},
	"directory with a directory of our name, forced": {func(t *testing.T, x *trial) {
		put(t, x.out+"/config.json/file", "mine")
		x.opts.Force = true
	}, "holds config.json"},
	"file where a directory is due": {func(t *testing.T, x *trial) {
		put(t, x.out, "old")
		x.opts.Force = true
	}, "is a directory where a file is to be written or the reverse"},
	"directory where a file is due": {func(t *testing.T, x *trial) {
		put(t, x.out+"/model.safetensors", "old")
		x.opts.Force, x.opts.Format = true, easylm
	}, "is a directory where a file is to be written or the reverse"},
	"file": {func(t *testing.T, x *trial) {
		put(t, x.out, "old")
		x.opts.Format = easylm
	}, "exists"},
	"parent is missing": {func(t *testing.T, x *trial) { x.out = x.out + "/absent/out" }, "parent directory"},
	"parent is a file":  {func(t *testing.T, x *trial) { put(t, x.out, "file"); x.out += "/out" }, ""},
	"the base itself":   {func(t *testing.T, x *trial) { x.opts.Force, x.out = true, x.base }, "contains the other"},
	"in the base":       {func(t *testing.T, x *trial) { x.out = x.base + "/out" }, "contains the other"},
	"around the base":   {func(t *testing.T, x *trial) { x.out = filepath.Dir(x.base) }, "contains the other"},
	"the diff itself":   {func(t *testing.T, x *trial) { x.opts.Force, x.opts.Format, x.out = true, easylm, x.delta }, "contains the other"},
	"the base by a detour": {func(t *testing.T, x *trial) {
		x.opts.Force, x.out = true, filepath.Join(x.base, "..")+"/place/../base/."
	}, "contains the other"},
	"around the one file that is in": {func(t *testing.T, x *trial) { x.out, x.base = x.base, x.base+"/model.safetensors" }, "contains the other"},
}

// TestOutputPlace writes to the bad paths.
func TestOutputPlace(t *testing.T) {
	for name, c := range badPaths {
		t.Run(name, func(t *testing.T) {
			x := newTrial(t)
			c.prepare(t, x)
			x.opts.Allow = everyCheck
			out := x.out
			x.do = func(t *testing.T, x *trial) error {
				_, err := Recover(t.Context(), x.base, x.delta, out, x.opts)
				return err
			}
			x.out = filepath.Join(filepath.Dir(x.delta), "place", "out") // its directory is compared
			requireCheck(t, x, CheckOutput, c.says)
		})
	}
}

// TestOutputWithoutName checks that a path without a name is refused before the
// run.
func TestOutputWithoutName(t *testing.T) {
	x := newTrial(t)
	require.NoError(t, os.Mkdir(x.out, 0o755))
	t.Chdir(x.out)
	for _, out := range []string{"", ".", "./", "..", "../..", "/", "absent/..", "/.."} {
		for _, format := range []weights.Format{hf, easylm} {
			x.do = func(t *testing.T, x *trial) error {
				_, err := Recover(t.Context(), x.base, x.delta, out, &Options{Force: true, Format: format})
				return err
			}
			requireCheck(t, x, CheckOutput, fmt.Sprintf("output %q", out))
		}
	}
}

// TestOutputByLink names the path of an input through a link.
func TestOutputByLink(t *testing.T) {
	for name, link := range map[string]func(x *trial) (from, to string){
		"to the base":             func(x *trial) (string, string) { return x.base, x.out },
		"to the base's folder":    func(x *trial) (string, string) { return filepath.Dir(x.base), x.out },
		"to the diff":             func(x *trial) (string, string) { return x.delta, x.out },
		"to the folder, base":     func(x *trial) (string, string) { return filepath.Dir(x.base), x.out + "/../link" },
		"to the folder, new file": func(x *trial) (string, string) { return x.base, x.out + "/../link" },
	} {
		t.Run(name, func(t *testing.T) {
			x := newTrial(t)
			from, to := link(x)
			require.NoError(t, os.Symlink(from, filepath.Clean(to)))
			x.opts.Force = true
			out := x.out
			switch name {
			case "to the diff":
				x.opts.Format = easylm
			case "to the folder, base":
				out = filepath.Join(filepath.Dir(x.out), "link", "base")
			case "to the folder, new file":
				out = filepath.Join(filepath.Dir(x.out), "link", "new")
			}
			x.do = func(t *testing.T, x *trial) error {
				_, err := Recover(t.Context(), x.base, x.delta, out, x.opts)
				return err
			}
			requireCheck(t, x, CheckOutput, "contains the other")
		})
	}
}

// TestOutputAllowed has outputs whose paths a run may write.
func TestOutputAllowed(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T, x *trial){
		"nothing":         func(*testing.T, *trial) {},
		"empty directory": func(t *testing.T, x *trial) { require.NoError(t, os.Mkdir(x.out, 0o755)) },
		"earlier output, forced": func(t *testing.T, x *trial) {
			put(t, x.out+"/model-00001-of-00002.safetensors", "old")
			put(t, x.out+"/tokenizer.model", "old")
			x.opts.Force = true
		},
		"earlier file, forced": func(t *testing.T, x *trial) {
			put(t, x.out, "old")
			x.opts.Format, x.opts.Force = easylm, true
		},
		"beside the base's file": func(t *testing.T, x *trial) { x.base += "/model.safetensors" },
		"name like the base's":   func(t *testing.T, x *trial) { x.out = x.base + "-recovered" },
		"dots in the name":       func(t *testing.T, x *trial) { x.out = filepath.Join(filepath.Dir(x.out), "..out") },
	} {
		t.Run(name, func(t *testing.T) {
			x := newTrial(t)
			prepare(t, x)
			require.NoError(t, x.do(t, x))
			format := hf
			if x.opts.Format != "" {
				format = x.opts.Format
			}
			requireValues(t, x.out, modeltest.Tiny, format, dtype.BF16, sum(modeltest.Tiny))
			for _, e := range entries(t, filepath.Dir(x.out)) {
				require.NotContains(t, e.Name(), ".koala-partial", "a hidden file is left")
				require.NotContains(t, e.Name(), ".koala-old", "a hidden file is left")
			}
			if format == hf {
				require.Len(t, entries(t, x.out), 5, "nothing of the old output is left")
			}
		})
	}
}

func entries(t *testing.T, dir string) []fs.DirEntry {
	t.Helper()
	list, err := os.ReadDir(dir)
	require.NoError(t, err)
	return list
}

// TestForeignFileDuringRun creates a file in an earlier output while it is being
// replaced.
func TestForeignFileDuringRun(t *testing.T) {
	x := newTrial(t)
	earlier(t, x)
	x.opts.Progress = func(p progress.Progress) { put(t, x.out+"/notes.txt", "mine") }
	err := x.do(t, x)
	var refused *CheckError
	require.ErrorAs(t, err, &refused)
	require.Contains(t, refused.Evidence, "holds notes.txt")
	require.Len(t, entries(t, x.out), 3, "both old files and the new one")
	require.Len(t, entries(t, filepath.Dir(x.out)), 1)
}

// TestSpace writes more than the disk has free. The inputs are sparse files.
func TestSpace(t *testing.T) {
	x := newTrial(t)
	free, err := vfs.OS.Free(filepath.Dir(x.out))
	if err != nil {
		t.Skipf("this system does not tell the free space: %v", err)
	}
	m := modeltest.Model{Layers: 1, Dim: 1024, FFN: 16, Heads: 8}
	perRow := int64(2 * 2 * m.Dim) // the embedding and the output matrix, in 16 bits
	rows := free/perRow + 1_000_000
	if rows > math.MaxInt32 {
		t.Skipf("%d bytes are free: a larger file would not fit in a file system", free)
	}
	m.Vocab = int(rows)
	require.NoError(t, os.RemoveAll(x.base))
	if err := m.Write(x.base, &modeltest.Options{Format: hf, DType: dtype.F16, ShardSize: math.MaxInt64 / 4}); err != nil {
		t.Skipf("this file system has no sparse files of %d bytes: %v", rows*perRow, err)
	}
	x.do = convertIt
	requireCheck(t, x, CheckSpace, "its disk has")
}

// TestNonFiniteNames has one infinite element, in each kind of output. The error
// names the element as the output stores it.
func TestNonFiniteNames(t *testing.T) {
	m := modeltest.Tiny
	const row, col = 37, 21                            // in Meta's layout
	for role, want := range map[weights.Role][2]int64{ // the element in hf and in easylm
		weights.Embed: {row*64 + col, row*64 + col},
		weights.Q:     {(2*16+1*8+2)*64 + col, col*64 + row}, // head 2, pair 2, second of the two
		weights.V:     {row*64 + col, col*64 + row},
		weights.Gate:  {row*64 + col, col*176 + row},
		weights.Down:  {row*176 + col, col*64 + row},
		weights.Norm:  {row, row},
	} {
		for k, format := range []weights.Format{hf, easylm} {
			for _, pattern := range []uint16{0x7f80, 0xff80, 0x7fc1} { // inf, -inf, NaN
				x := newTrial(t)
				p := weights.Param{Role: role}
				write(t, m, x.delta, &modeltest.Options{Format: easylm, DType: dtype.BF16, Values: func(q weights.Param, r, c int) uint16 {
					if q == p && r == row && (c == col || role.IsNorm()) {
						return pattern
					}
					return m.Diff(q, r, c)
				}})
				x.opts.Format, x.opts.Workers, x.opts.Memory = format, 1, 32<<10 // several panels
				var bad *weights.NonFiniteError
				require.ErrorAs(t, requireUntouched(t, x), &bad)
				layout := map[weights.Format]*weights.Layout{hf: weights.HuggingFace, easylm: weights.EasyLM}[format]
				require.Equal(t, weights.NonFiniteError{What: "a result", Tensor: layout.Name(p), Index: want[k], Cure: bad.Cure}, *bad)
				require.ErrorContains(t, bad, "allow non-finite results")
				x.opts.AllowNonFinite = true
				require.NoError(t, x.do(t, x))
			}
		}
	}
}

// TestOverflow has a sum that becomes infinite when it is rounded to fp16.
func TestOverflow(t *testing.T) {
	m, x := modeltest.Tiny, newTrial(t)
	write(t, m, x.base, &modeltest.Options{Format: hf, DType: dtype.F16, Values: func(p weights.Param, r, c int) uint16 {
		if p.Role == weights.Down && p.Layer == 1 {
			return 0x7bff // 65504
		}
		return m.Base(p, r, c)
	}})
	write(t, m, x.delta, &modeltest.Options{Format: easylm, DType: dtype.BF16, Values: func(p weights.Param, r, c int) uint16 {
		if p.Role == weights.Down && p.Layer == 1 {
			return toBF16(16)
		}
		return m.Diff(p, r, c)
	}})
	x.opts.DType = dtype.F16
	var bad *weights.NonFiniteError
	require.ErrorAs(t, requireUntouched(t, x), &bad)
	require.Equal(t, "model.layers.1.mlp.down_proj.weight", bad.Tensor)
	x.opts.DType = dtype.BF16
	require.NoError(t, x.do(t, x))
}
