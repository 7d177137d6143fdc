// Package modeltest makes small LLaMA models in memory or on disk, so that
// tests, examples and benchmarks need no downloaded files.
//
// [Model.Write] writes a checkpoint whose weights follow from a seed. A weight
// has the same value in every format and layout, so two checkpoints of one
// model can be compared, and a program can compute the expected result of an
// operation on weights. Start with [Tiny] or [Small]:
//
//	m := modeltest.Tiny
//	err := m.Write(path, &modeltest.Options{Format: weights.FormatEasyLM, Values: m.Base})
//
// [Scripted] returns a tiny model that answers any prompt with [Greeting]. It
// runs in package backend/local and needs neither files nor a server.
//
// [Model.Write] maps weights to layouts element by element with formulas of its
// own. Tests of package weights compare its results with those formulas.
package modeltest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/parallel"
	"github.com/koala-go/sdk/weights"
)

// Model is the shape of a LLaMA model and the seed of its weights.
type Model struct {
	Layers int    // Layers is the number of transformer layers.
	Dim    int    // Dim is the width of the hidden state.
	FFN    int    // FFN is the width of the feed-forward layer.
	Vocab  int    // Vocab is the number of tokens.
	Heads  int    // Heads is the number of attention heads.
	Seed   uint64 // Seed selects the weights.

	KVHeads int  // KVHeads is the number of key and value heads. Zero means Heads.
	Tied    bool // Tied makes the embedding serve as the output matrix.
}

// Tiny, Small and Large are models of 0.1 M, 4 M and 0.637 G parameters. In 16
// bits, a checkpoint of Large takes 1.27 GB.
var (
	Tiny  = Model{Layers: 2, Dim: 64, FFN: 176, Vocab: 128, Heads: 4, Seed: 1}
	Small = Model{Layers: 4, Dim: 256, FFN: 688, Vocab: 2000, Heads: 8, Seed: 1}
	Large = Model{Layers: 10, Dim: 2048, FFN: 5504, Vocab: 32000, Heads: 16, Seed: 1}
)

// Config returns the shape of the model as package weights describes it.
func (m Model) Config() weights.Config {
	return weights.Config{Layers: m.Layers, Dim: m.Dim, FFN: m.FFN, Vocab: m.Vocab, Heads: m.Heads, KVHeads: m.KVHeads, TiedEmbeddings: m.Tied, NormEps: 1e-6}
}

// Values returns the 16-bit pattern of element (row, col) of parameter p in
// Meta's layout. A vector has one column. Values must be safe for concurrent
// use.
type Values func(p weights.Param, row, col int) uint16

// Base is a [Values] of fp16 patterns that resemble a trained model: elements of
// matrices have magnitudes from 2^-9 to 2^-4, those of norms are near one.
func (m Model) Base(p weights.Param, row, col int) uint16 {
	h := m.hash(p, row, col)
	if p.Role.IsNorm() {
		return 0x3c00 + uint16(h&0x7f)
	}
	return uint16(h&0x8000) | uint16(6+h>>16%5)<<10 | uint16(h&0x3ff)
}

// Diff is a [Values] of bf16 patterns that resemble a fine-tuning diff: their
// magnitudes are about a hundredth of those of [Model.Base].
func (m Model) Diff(p weights.Param, row, col int) uint16 {
	h := m.hash(p, row, col) >> 32
	return uint16(h&0x8000) | uint16(127-15+h>>16%5)<<7 | uint16(h&0x7f)
}

// hash returns 64 bits that depend on the seed and on the position of an
// element.
func (m Model) hash(p weights.Param, row, col int) uint64 {
	x := m.Seed + uint64(p.Role)<<56 + uint64(p.Layer)<<48 + uint64(row)<<24 + uint64(col)
	return splitmix(x)
}

// splitmix returns the output of the splitmix64 generator for the state
// x * 0x9e3779b97f4a7c15.
func splitmix(x uint64) uint64 {
	x *= 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Options selects how a checkpoint is written. The zero value writes a Hugging
// Face directory of zeros in fp16.
type Options struct {
	// Format is the file format. The default is safetensors. GGUF is not
	// supported, because its norms have 32 bits.
	Format weights.Format
	// DType is the type of every tensor: fp16, the default, or bf16.
	DType dtype.Type
	// Values returns the weights. If it is nil, all weights are zero and the
	// file is sparse where the format and the file system allow it.
	Values Values
	// ShardSize is the largest size of a safetensors shard in bytes. Zero means
	// the default of package weights.
	ShardSize int64
	// Shards is the number of Meta's torch shards. Zero means the default of
	// package weights.
	Shards int
}

// defaults returns the options with defaults filled in.
func (o *Options) defaults() Options {
	var d Options
	if o != nil {
		d = *o
	}
	if d.Format == "" {
		d.Format = weights.FormatSafetensors
	}
	if d.DType == "" {
		d.DType = dtype.F16
	}
	return d
}

// Write writes a checkpoint of the model to path, which must not exist. The
// result is a file or a directory, as the format requires.
func (m Model) Write(path string, options *Options) error {
	o := options.defaults()
	plan, err := m.Plan(&o)
	if err != nil {
		return err
	}
	if o.Format == weights.FormatTorch {
		return m.writeShards(path, plan, o.Values)
	}
	if plan.IsDir() {
		if err := os.Mkdir(path, 0o755); err != nil {
			return err
		}
	}
	for i, f := range plan.Files {
		if err := m.writeFile(filepath.Join(path, f.Name), plan, i, o.Values); err != nil {
			return err
		}
	}
	return nil
}

// Plan returns the files, names and offsets of the checkpoint that
// [Model.Write] writes with the same options.
func (m Model) Plan(options *Options) (*weights.Plan, error) {
	o := options.defaults()
	spec := &weights.Spec{Format: o.Format, Config: m.Config(), ShardSize: o.ShardSize, Shards: o.Shards, DTypes: map[weights.Param]dtype.Type{}}
	for _, p := range spec.Config.Params() {
		spec.DTypes[p] = o.DType
	}
	return spec.Plan()
}

// writeFile writes one file of a plan: the headers, then the tensors.
func (m Model) writeFile(path string, plan *weights.Plan, file int, values Values) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	// Truncate leaves a hole wherever nothing is written, so that a checkpoint
	// of zeros takes no room on the disk.
	if err := f.Truncate(plan.Files[file].Size); err != nil {
		return err
	}
	for _, piece := range plan.Files[file].Pieces {
		if _, err := f.WriteAt(piece.Bytes, piece.Offset); err != nil {
			return err
		}
	}
	if values == nil {
		return f.Close()
	}
	for p := range plan.Spec.DTypes {
		at := plan.Placement(p)
		// Only torch shards split a tensor, so the first part is the whole.
		if at.Parts[0].File != file {
			continue
		}
		write := func(b []byte, off int64) error {
			_, err := f.WriteAt(b, at.Parts[0].Offset+off)
			return err
		}
		if err := m.writeTensor(write, p, at.Shape, plan.Spec.Layout(), values); err != nil {
			return err
		}
	}
	return f.Close()
}

// writeShards writes Meta's torch shards through package weights: the CRC-32 of
// a zip member covers all its bytes, so the file cannot be sparse.
func (m Model) writeShards(path string, plan *weights.Plan, values Values) error {
	w, err := plan.Create(context.Background(), path, nil)
	if err != nil {
		return err
	}
	if values == nil {
		values = func(weights.Param, int, int) uint16 { return 0 }
	}
	for _, p := range plan.Order() {
		write := func(b []byte, off int64) error { return errors.Join(w.WriteAt(p, b, off), w.Digest(p, b, off)) }
		if err := m.writeTensor(write, p, plan.Placement(p).Shape, plan.Spec.Layout(), values); err != nil {
			return errors.Join(err, w.Abort())
		}
	}
	if _, err := w.Finish(); err != nil {
		return errors.Join(err, w.Abort())
	}
	return w.Commit()
}

// writeTensor computes a tensor in layout l and writes it in blocks of rows, one
// block for each processor.
func (m Model) writeTensor(write func(b []byte, off int64) error, p weights.Param, shape []int64, l *weights.Layout, values Values) error {
	rows, cols := 1, int(shape[0])
	if len(shape) == 2 {
		rows, cols = int(shape[0]), int(shape[1])
	}
	blocks := parallel.Workers(0)
	size := (rows + blocks - 1) / blocks
	return parallel.For(context.Background(), blocks, (rows+size-1)/size, func(_ context.Context, i int) error {
		first := i * size
		b := make([]byte, 0, min(size, rows-first)*cols*2)
		for r := first; r < min(first+size, rows); r++ {
			for c := range cols {
				row, col := m.metaIndex(p.Role, l, r, c)
				b = binary.LittleEndian.AppendUint16(b, values(p, row, col))
			}
		}
		if err := write(b, int64(first*cols*2)); err != nil {
			return fmt.Errorf("writing %v: %w", p, err)
		}
		return nil
	})
}

// metaIndex returns the row and column in Meta's layout of the element that
// layout l stores at (r, c).
func (m Model) metaIndex(role weights.Role, l *weights.Layout, r, c int) (row, col int) {
	switch {
	case role.IsNorm():
		return c, 0 // a vector is read as one row and is a column here
	case l == weights.EasyLM && role != weights.Embed:
		return c, r // EasyLM stores [in, out]
	case l == weights.HuggingFace && (role == weights.Q || role == weights.K):
		// Meta rotates neighbouring pairs of a head's rows; Hugging Face pairs
		// row k with row k + d/2.
		d := m.Dim / m.Heads
		head, k := r/d, r%d
		return head*d + k%(d/2)*2 + k/(d/2), c
	}
	return r, c
}
