package weights

import (
	"encoding/binary"
	"encoding/json"
	"io"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/bounded"
	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/tensor"
)

// This file adds a format: the wire package's worth of code, a planner, a row
// of the table, and the proof that they suffice.

// The toy format: "TOY1", a little-endian uint32, so many bytes of JSON that
// list the tensors, and the tensors' bytes in that order.
const toyMagic = "TOY1"

// toyEntry describes a tensor in a toy file.
type toyEntry struct {
	Name  string     `json:"name"`
	DType dtype.Type `json:"dtype"`
	Shape []int64    `json:"shape"`
}

// readToy reads the header of a toy file.
func readToy(r io.ReaderAt, size int64) (*fileHeader, error) {
	c := bounded.NewCursor(r, 0, size)
	if err := c.Skip(int64(len(toyMagic))); err != nil {
		return nil, err
	}
	length, err := c.Bytes(4)
	if err != nil {
		return nil, err
	}
	text, err := c.Bytes(int64(binary.LittleEndian.Uint32(length)))
	if err != nil {
		return nil, err
	}
	var entries []toyEntry
	if err := json.Unmarshal(text, &entries); err != nil {
		return nil, refusal.Malformed(8, "", "the list of tensors is not JSON: %v", err)
	}
	h := &fileHeader{}
	for _, e := range entries {
		n, ok := e.DType.Bytes(e.Shape)
		if !ok {
			return nil, refusal.Malformed(8, e.Name, "the tensor has no valid size")
		}
		start := c.Offset()
		if err := c.Skip(n); err != nil {
			return nil, refusal.Named(err, e.Name)
		}
		h.tensors = append(h.tensors, tensor.Tensor{
			Name: e.Name, DType: e.DType, Shape: e.Shape, Offset: start, Data: io.NewSectionReader(r, start, n),
		})
	}
	return h, nil
}

// planToy lays out a toy file.
func planToy(p *Plan) error {
	params, tensors := p.sorted()
	var entries []toyEntry
	for _, t := range tensors {
		entries = append(entries, toyEntry{t.Name, t.DType, t.Shape})
	}
	text, err := json.Marshal(entries)
	if err != nil {
		return err
	}
	head := append(binary.LittleEndian.AppendUint32([]byte(toyMagic), uint32(len(text))), text...)
	off := int64(len(head))
	for i, q := range params {
		p.placements[q] = newPlacement(0, off, &tensors[i])
		off += tensors[i].Bytes()
	}
	p.Files = []PlannedFile{{Size: off, Pieces: []Piece{{Offset: 0, Bytes: head}}}}
	return nil
}

// addFormat adds a row to the table until the test ends.
func addFormat(t *testing.T, row formatRow) {
	t.Helper()
	before := formats
	formats = append(slices.Clone(formats), row)
	t.Cleanup(func() { formats = before })
}

// convert writes a checkpoint in a format.
func convert(t *testing.T, in *Checkpoint, format Format) *Checkpoint {
	t.Helper()
	spec := Spec{Format: format, Config: in.Config, DTypes: map[Param]dtype.Type{}}
	for _, q := range in.Params() {
		spec.DTypes[q] = in.Tensor(q).DType
	}
	plan, err := spec.Plan()
	require.NoError(t, err)
	out := filepath.Join(t.TempDir(), "out"+format.Extension())
	w, err := plan.Create(t.Context(), out, nil)
	require.NoError(t, err)
	for _, q := range plan.Order() {
		v, err := in.View(q, spec.Layout())
		require.NoError(t, err)
		b := make([]byte, v.Rows()*v.RowBytes())
		require.NoError(t, v.ReadRows(b, 0, v.Rows(), nil))
		require.NoError(t, w.WriteAt(q, b, 0))
		require.NoError(t, w.Digest(q, b, 0))
	}
	_, err = w.Finish()
	require.NoError(t, err)
	require.NoError(t, w.Commit())
	c, err := Open(t.Context(), out, &OpenOptions{Heads: in.Config.Heads})
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	require.Equal(t, format, c.Format)
	require.NoError(t, c.Complete())
	return c
}

// filled writes a model of one layer. Each byte follows from its place.
func filled(t *testing.T, format Format) *Checkpoint {
	t.Helper()
	spec := Spec{Format: format, Config: Config{Layers: 1, Dim: 8, FFN: 24, Vocab: 10, Heads: 2}, DTypes: map[Param]dtype.Type{}}
	for _, q := range spec.Config.Params() {
		spec.DTypes[q] = dtype.BF16
	}
	plan, err := spec.Plan()
	require.NoError(t, err)
	out := filepath.Join(t.TempDir(), "model")
	w, err := plan.Create(t.Context(), out, nil)
	require.NoError(t, err)
	for i, q := range plan.Order() {
		b := make([]byte, plan.Placement(q).Bytes())
		for k := range b {
			b[k] = byte(i + 7*k)
		}
		require.NoError(t, w.WriteAt(q, b, 0))
	}
	require.NoError(t, w.Commit())
	c, err := Open(t.Context(), out, &OpenOptions{Heads: spec.Config.Heads})
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// TestToyFormat proves that one row, with the functions that read and lay out a
// file, adds a format.
func TestToyFormat(t *testing.T) {
	const toy Format = "toy"
	require.False(t, toy.Writable())
	addFormat(t, formatRow{
		name: toy, noun: "a toy file", detect: detectPrefix(toyMagic), read: readToy,
		layout: EasyLM, plan: planToy, extension: ".toy",
	})
	require.Contains(t, Formats(), toy)
	require.True(t, toy.Writable())
	require.True(t, toy.Stores(dtype.F16))
	require.False(t, toy.Stores(dtype.Q8_0))

	in := filled(t, FormatSafetensors)
	converted := convert(t, in, toy)
	require.Equal(t, EasyLM, converted.Layout)
	for _, format := range Formats() {
		if !format.Writable() || format == FormatGGUF { // which has norms in F32
			continue
		}
		again := convert(t, converted, format)
		for _, q := range in.Params() {
			want, got := rows(t, in, q), rows(t, again, q)
			require.Equal(t, want, got, "%v of %s", q, format)
		}
	}
}

// rows reads a weight in Meta's layout.
func rows(t *testing.T, c *Checkpoint, q Param) []byte {
	t.Helper()
	v, err := c.View(q, Meta)
	require.NoError(t, err)
	b := make([]byte, v.Rows()*v.RowBytes())
	require.NoError(t, v.ReadRows(b, 0, v.Rows(), nil))
	return b
}

// TestFormatRows checks that every row is complete and that the methods of
// Format follow from it.
func TestFormatRows(t *testing.T) {
	for _, f := range Formats() {
		row := f.row()
		require.NotEmpty(t, row.noun, f)
		require.NotNil(t, row.detect, f)
		require.NotNil(t, row.read, f)
		require.NotNil(t, f.Layout(), f)
		require.Equal(t, f.Writable(), f.Stores(dtype.F16), f)
		require.Equal(t, row.single == "", row.index == "", f)
	}
	require.Equal(t, []Format{FormatSafetensors, FormatEasyLM, FormatGGUF, FormatTorch, FormatFlax}, Formats())
	require.True(t, FormatGGUF.Stores(dtype.Q8_0))
	require.False(t, FormatTorch.Stores(dtype.Q8_0))
	require.False(t, FormatFlax.Writable())
	require.Equal(t, []string{"tokenizer.model"}, FormatTorch.SideFiles())
	require.Nil(t, Format("x").Layout())
}
