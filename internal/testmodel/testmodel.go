// Package testmodel makes LLaMA-shaped checkpoints whose every weight follows
// from a seed: the same weight in every format and layout, of any size, so
// that tests, examples and benchmarks need no files of their own.
//
// It maps layouts by formulas of its own, element by element, and is
// therefore an oracle for package weights as well.
package testmodel

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/weights"
)

// Model is the shape of a model and the seed of its weights.
type Model struct {
	Layers, Dim, FFN, Vocab, Heads int
	Seed                           uint64

	KVHeads int  // heads of keys and values, 0 for as many as Heads
	Tied    bool // the embedding is the output matrix
}

// Tiny is a model of 0.1 M parameters, Small of some 4 M.
var (
	Tiny  = Model{Layers: 2, Dim: 64, FFN: 176, Vocab: 128, Heads: 4, Seed: 1}
	Small = Model{Layers: 4, Dim: 256, FFN: 688, Vocab: 2000, Heads: 8, Seed: 1}
	// Large has 0.637 G parameters: an output of 1.27 GB in 16 bits.
	Large = Model{Layers: 10, Dim: 2048, FFN: 5504, Vocab: 32000, Heads: 16, Seed: 1}
)

// Config is the model's shape for package weights.
func (m Model) Config() weights.Config {
	return weights.Config{Layers: m.Layers, Dim: m.Dim, FFN: m.FFN, Vocab: m.Vocab, Heads: m.Heads, KVHeads: m.KVHeads, TiedEmbeddings: m.Tied, NormEps: 1e-6}
}

// Values gives the 16-bit pattern of the weight (row, col) in Meta's layout;
// a vector has one column.
type Values func(p weights.Param, row, col int) uint16

// Base are fp16 patterns as a trained model has them: matrices between 2^-9
// and 2^-5 in magnitude, norms around one.
func (m Model) Base(p weights.Param, row, col int) uint16 {
	h := m.hash(p, row, col)
	if p.Role.IsNorm() {
		return 0x3c00 + uint16(h&0x7f)
	}
	return uint16(h&0x8000) | uint16(6+h>>16%5)<<10 | uint16(h&0x3ff)
}

// Diff are bf16 patterns as a fine-tune's difference has them: a hundredth of
// the base's.
func (m Model) Diff(p weights.Param, row, col int) uint16 {
	h := m.hash(p, row, col) >> 32
	return uint16(h&0x8000) | uint16(127-15+h>>16%5)<<7 | uint16(h&0x7f)
}

// hash mixes the place of a weight into 64 bits (the finalizer of splitmix64).
func (m Model) hash(p weights.Param, row, col int) uint64 {
	x := m.Seed + uint64(p.Role)<<56 + uint64(p.Layer)<<48 + uint64(row)<<24 + uint64(col)
	x *= 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Options say how a checkpoint is written.
type Options struct {
	Format    weights.Format // any that is written but GGUF, whose norms are F32
	DType     dtype.Type     // of 16 bits
	Values    Values         // nil writes nothing but headers: all weights are zero, in a sparse file
	ShardSize int64
	Shards    int
}

// Write writes a checkpoint to path.
func (m Model) Write(path string, o Options) error {
	plan, err := m.Plan(o)
	if err != nil {
		return err
	}
	if o.Format == weights.FormatTorch {
		return m.writeShards(path, plan, o)
	}
	if plan.IsDir() {
		if err := os.Mkdir(path, 0o755); err != nil {
			return err
		}
	}
	for i, f := range plan.Files {
		if err := m.writeFile(filepath.Join(path, f.Name), plan, i, o); err != nil {
			return err
		}
	}
	return nil
}

// Plan lays the checkpoint out.
func (m Model) Plan(o Options) (*weights.Plan, error) {
	spec := &weights.Spec{Format: o.Format, Config: m.Config(), ShardSize: o.ShardSize, Shards: o.Shards, DTypes: map[weights.Param]dtype.Type{}}
	for _, p := range spec.Config.Params() {
		spec.DTypes[p] = o.DType
	}
	return spec.Plan()
}

func (m Model) writeFile(path string, plan *weights.Plan, file int, o Options) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Truncate(plan.Files[file].Size); err != nil {
		return err
	}
	for _, piece := range plan.Files[file].Pieces {
		if _, err := f.WriteAt(piece.Bytes, piece.Offset); err != nil {
			return err
		}
	}
	if o.Values == nil {
		return f.Close()
	}
	for p := range plan.Spec.DTypes {
		at := plan.Placement(p)
		if at.Parts[0].File != file {
			continue
		}
		write := func(b []byte, off int64) error {
			_, err := f.WriteAt(b, at.Parts[0].Offset+off)
			return err
		}
		if err := m.writeTensor(write, p, at.Shape, plan.Spec.Layout(), o.Values); err != nil {
			return err
		}
	}
	return f.Close()
}

// writeShards writes Meta's shards, which hold checksums of all that is in
// them, through package weights.
func (m Model) writeShards(path string, plan *weights.Plan, o Options) error {
	w, err := plan.Create(context.Background(), path, nil)
	if err != nil {
		return err
	}
	values := o.Values
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

// writeTensor writes a weight as the layout stores it, on all cores.
func (m Model) writeTensor(write func(b []byte, off int64) error, p weights.Param, shape []int64, l *weights.Layout, values Values) error {
	rows, cols := 1, int(shape[0])
	if len(shape) == 2 {
		rows, cols = int(shape[0]), int(shape[1])
	}
	var group sync.WaitGroup
	errs := make(chan error, runtime.NumCPU())
	each := (rows + runtime.NumCPU() - 1) / runtime.NumCPU()
	for first := 0; first < rows; first += each {
		group.Go(func() {
			b := make([]byte, 0, min(each, rows-first)*cols*2)
			for r := first; r < min(first+each, rows); r++ {
				for c := range cols {
					row, col := m.place(p.Role, l, r, c)
					b = binary.LittleEndian.AppendUint16(b, values(p, row, col))
				}
			}
			if err := write(b, int64(first*cols*2)); err != nil {
				errs <- fmt.Errorf("writing %v: %w", p, err)
			}
		})
	}
	group.Wait()
	close(errs)
	return <-errs
}

// place is where Meta's layout has what a layout has at (r, c).
func (m Model) place(role weights.Role, l *weights.Layout, r, c int) (row, col int) {
	switch {
	case role.IsNorm():
		return c, 0
	case l == weights.EasyLM && role != weights.Embed:
		return c, r
	case l == weights.HuggingFace && (role == weights.Q || role == weights.K):
		d := m.Dim / m.Heads
		head, k := r/d, r%d
		return head*d + k%(d/2)*2 + k/(d/2), c
	}
	return r, c
}
