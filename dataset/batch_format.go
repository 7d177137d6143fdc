package dataset

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/safetensors"
	"github.com/koala-go/sdk/internal/tensor"
	"github.com/koala-go/sdk/tokenizer"
)

// Format is a format of files of batches.
type Format string

// The formats. Each file holds some batches, and N is its number from 00000.
const (
	NPY         Format = "npy"         // NAME-N.npy: int32 or float32 [batches, batch, sequence], for memory maps
	SafeTensors Format = "safetensors" // batches-N.safetensors: the same arrays in one file
	JSONLines   Format = "jsonl"       // batches-N.jsonl: for each batch, a line with an object of the same arrays
)

// formatRow describes a format.
type formatRow struct {
	name      Format
	extension string
	write     func(w *BatchWriter, f *batchFile, number string) error
}

// formats has a row for each format, the default first.
var formats = []formatRow{
	{NPY, ".npy", (*BatchWriter).writeNPY},
	{SafeTensors, ".safetensors", (*BatchWriter).writeSafeTensors},
	{JSONLines, ".jsonl", (*BatchWriter).writeJSONLines},
}

// Formats returns all formats, the default first.
func Formats() []Format {
	names := make([]Format, len(formats))
	for i, row := range formats {
		names[i] = row.name
	}
	return names
}

// row returns the row of a format.
func (f Format) row() (*formatRow, error) {
	i := slices.IndexFunc(formats, func(row formatRow) bool { return row.name == f })
	if i < 0 {
		return nil, badOption("unknown format: %q: give one of %v", f, Formats())
	}
	return &formats[i], nil
}

// batchFile holds the batches of a file.
type batchFile struct {
	inputs []tokenizer.Token
	target []tokenizer.Token
	masks  []uint8
	count  int
	next   Checkpoint // after the last batch
}

// maxReserve is the greatest number of tokens for which memory is reserved at
// once.
const maxReserve = 4 << 20

func (f *batchFile) add(b *Batch, gen Generation, fileBatches int) {
	if f.target == nil {
		reserve := min(fileBatches, max(1, maxReserve/len(b.Targets))) * len(b.Targets)
		f.target, f.masks = make([]tokenizer.Token, 0, reserve), make([]uint8, 0, reserve)
		f.inputs = make([]tokenizer.Token, 0, len(b.Inputs)*reserve/len(b.Targets))
	}
	if gen == Gen2024 {
		f.inputs = append(f.inputs, b.Inputs...)
	}
	f.target, f.masks = append(f.target, b.Targets...), append(f.masks, b.Masks...)
	f.count, f.next = f.count+1, b.Next
}

func (f *batchFile) reset() {
	f.inputs, f.target, f.masks, f.count = f.inputs[:0], f.target[:0], f.masks[:0], 0
}

// array is an array of a file: ids or masks, of shape [batches, batch,
// sequence].
type array struct {
	name  string
	dtype dtype.Type
	ids   []tokenizer.Token
	masks []uint8
}

// arrays returns the arrays of a file under the names that the reference gives
// them.
func (w *BatchWriter) arrays(f *batchFile) []array {
	masks := array{"loss_masks", "F32", nil, f.masks}
	if w.o.Generation == Gen2023 {
		return []array{{"tokens", "I32", f.target, nil}, masks}
	}
	return []array{{"input_tokens", "I32", f.inputs, nil}, {"target_tokens", "I32", f.target, nil}, masks}
}

func (w *BatchWriter) writeNPY(f *batchFile, number string) error {
	var err error
	for _, a := range w.arrays(f) {
		w.buf = a.append(w.appendNPYHeader(w.buf[:0], &a, f.count))
		err = errors.Join(err, w.folder.WriteFile(a.name+"-"+number+".npy", w.buf))
	}
	return err
}

// append appends the elements of an array, little-endian.
func (a *array) append(out []byte) []byte {
	at := len(out)
	out = slices.Grow(out, 4*(len(a.ids)+len(a.masks)))[:at+4*(len(a.ids)+len(a.masks))]
	for i, id := range a.ids {
		binary.LittleEndian.PutUint32(out[at+4*i:], uint32(id))
	}
	for i, mask := range a.masks {
		binary.LittleEndian.PutUint32(out[at+4*i:], math.Float32bits(float32(mask)))
	}
	return out
}

// appendNPYHeader appends the header of a .npy file, version 1.0. Its length is
// a multiple of 64. Source: numpy/lib/format.py.
func (w *BatchWriter) appendNPYHeader(dst []byte, a *array, count int) []byte {
	descr := "<i4"
	if a.dtype == "F32" {
		descr = "<f4"
	}
	dict := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%d, %d, %d), }", descr, count, w.o.Batch, w.o.SeqLength)
	const magic = "\x93NUMPY\x01\x00"
	pad := 64 - (len(magic)+2+len(dict)+1)%64
	dict += strings.Repeat(" ", pad%64) + "\n"
	return append(binary.LittleEndian.AppendUint16(append(dst, magic...), uint16(len(dict))), dict...)
}

func (w *BatchWriter) writeSafeTensors(f *batchFile, number string) error {
	arrays := w.arrays(f)
	tensors := make([]tensor.Tensor, len(arrays))
	for i, a := range arrays {
		tensors[i] = tensor.Tensor{Name: a.name, DType: a.dtype, Shape: []int64{int64(f.count), int64(w.o.Batch), int64(w.o.SeqLength)}}
	}
	header, offsets, size, err := safetensors.Header(tensors, nil)
	if err != nil {
		return err
	}
	w.buf = append(slices.Grow(w.buf[:0], int(size)), header...)[:size]
	for i := range arrays {
		arrays[i].append(w.buf[:offsets[i]])
	}
	return w.folder.WriteFile("batches-"+number+".safetensors", w.buf)
}

func (w *BatchWriter) writeJSONLines(f *batchFile, number string) error {
	out := w.buf[:0]
	arrays := w.arrays(f)
	for b := range f.count {
		out = append(out, '{')
		for i := range arrays {
			if i > 0 {
				out = append(out, ',')
			}
			out = append(strconv.AppendQuote(out, arrays[i].name), ':')
			out = w.appendRows(out, &arrays[i], b)
		}
		out = append(out, "}\n"...)
	}
	w.buf = out
	return w.folder.WriteFile("batches-"+number+".jsonl", out)
}

// appendRows appends the rows of one batch as a JSON array of arrays.
func (w *BatchWriter) appendRows(out []byte, a *array, batch int) []byte {
	at := batch * w.o.Batch * w.o.SeqLength
	for row := range w.o.Batch {
		out = append(out, "[,"[min(row, 1)], '[')
		for i := range w.o.SeqLength {
			if i > 0 {
				out = append(out, ',')
			}
			out = a.appendElement(out, at)
			at++
		}
		out = append(out, ']')
	}
	return append(out, ']')
}

func (a *array) appendElement(out []byte, i int) []byte {
	if a.masks != nil {
		return append(out, '0'+a.masks[i], '.', '0')
	}
	return strconv.AppendInt(out, int64(a.ids[i]), 10)
}
