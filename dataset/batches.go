package dataset

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/safetensors"
	"github.com/koala-go/sdk/internal/tensor"
	"github.com/koala-go/sdk/internal/vfs"
	"github.com/koala-go/sdk/tokenizer"
)

// Format is a form in which batches are written.
type Format string

// The formats. Each file holds some batches and is numbered from 00000.
const (
	NPY         Format = "npy"         // NAME-N.npy: int32 or float32 [batches, batch, sequence], for memory maps
	SafeTensors Format = "safetensors" // batches-N.safetensors: the same arrays in one file
	JSONLines   Format = "jsonl"       // batches-N.jsonl: an object of the same arrays a line and batch
)

// BatchOptions are the choices of a BatchWriter.
type BatchOptions struct {
	Format      Format // default NPY
	SeqLength   int
	Batch       int
	Generation  Generation
	FileBatches int    // batches of a file (default: as many as make about 32 MiB)
	Fingerprint string // of what decides on the batches
	Force       bool   // replace an output of another fingerprint
}

// BatchWriter writes batches to numbered files in a directory. Each file
// appears whole, and with it a checkpoint, so that a run that was killed goes
// on after the last of them; what it writes then is the same to the byte. At
// the end stands done.json.
type BatchWriter struct {
	o      BatchOptions
	dir    string
	lock   io.Closer
	state  batchState
	done   bool
	making *batchFile
	spare  *batchFile
	busy   chan error // gives the result of the file that is being written; nil when none is
	buf    []byte
}

// batchFile is the batches of a file.
type batchFile struct {
	inputs []tokenizer.Token
	target []tokenizer.Token
	masks  []uint8
	count  int
	next   Checkpoint
}

// maxRoom bounds the tokens for which a file's lists are made at once.
const maxRoom = 4 << 20

func (f *batchFile) add(b *Batch, gen Generation, fileBatches int) {
	if f.target == nil {
		room := min(fileBatches, max(1, maxRoom/len(b.Targets))) * len(b.Targets)
		f.target, f.masks = make([]tokenizer.Token, 0, room), make([]uint8, 0, room)
		f.inputs = make([]tokenizer.Token, 0, len(b.Inputs)*room/len(b.Targets))
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

// batchState is what checkpoint.json and done.json hold.
type batchState struct {
	Fingerprint string     `json:"fingerprint"`
	Files       int        `json:"files"`
	Next        Checkpoint `json:"next"`
}

const (
	checkpointName = "checkpoint.json"
	doneName       = "done.json"
)

// CreateBatches makes the directory, or takes up what a run of the same
// fingerprint left there. The error is ErrExists when it holds something else.
func CreateBatches(dir string, opts *BatchOptions) (*BatchWriter, error) {
	w := &BatchWriter{o: *opts, dir: dir, making: new(batchFile), spare: new(batchFile)}
	if w.o.Format == "" {
		w.o.Format = NPY
	}
	if w.o.Format != NPY && w.o.Format != SafeTensors && w.o.Format != JSONLines {
		return nil, refusal.Reason(ErrUnsupported, "format %q is none of npy, safetensors, jsonl", w.o.Format)
	}
	if w.o.SeqLength <= 0 || w.o.Batch <= 0 || w.o.SeqLength > maxChunk/w.o.Batch {
		return nil, refusal.Reason(ErrUnsupported, "the sequence length and the batch must be positive and make up to %d tokens", maxChunk)
	}
	if w.o.FileBatches <= 0 {
		w.o.FileBatches = max(1, (32<<20)/(12*w.o.SeqLength*w.o.Batch))
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	lock, err := vfs.OS.Lock(dir)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: wait for the other run to end", err, dir)
	}
	w.lock = lock
	if err := w.takeUp(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return w, nil
}

// takeUp looks at what stands in the directory.
func (w *BatchWriter) takeUp() error {
	for _, name := range []string{doneName, checkpointName} {
		var state batchState
		found, err := readJSON(filepath.Join(w.dir, name), &state)
		if err == nil {
			err = state.Next.Check()
		}
		switch {
		case err != nil && !w.o.Force:
			return err
		case err == nil && found && state.Fingerprint == w.o.Fingerprint && w.o.Fingerprint != "":
			w.state, w.done = state, name == doneName
			return w.sweep()
		case found && !w.o.Force:
			return fmt.Errorf("%w: %s: it was made of other inputs or with other options; remove it, or force", ErrExists, w.dir)
		}
	}
	if err := w.clear(); err != nil {
		return err
	}
	w.state.Fingerprint = w.o.Fingerprint
	return writeJSON(filepath.Join(w.dir, checkpointName), &w.state)
}

// sweep removes what a killed run left half done, and its checkpoint where it
// got to the end.
func (w *BatchWriter) sweep() error {
	entries, err := os.ReadDir(w.dir)
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), partialEnd) || w.done && e.Name() == checkpointName {
			err = errors.Join(err, os.Remove(filepath.Join(w.dir, e.Name())))
		}
	}
	return err
}

// clear removes what a killed run left half done, and with Force all files of
// ours; any other file is not ours to write beside.
func (w *BatchWriter) clear() error {
	entries, err := os.ReadDir(w.dir)
	for _, e := range entries {
		switch {
		case err != nil:
			return err
		case strings.HasSuffix(e.Name(), partialEnd), w.o.Force && ours(e.Name()):
			err = os.Remove(filepath.Join(w.dir, e.Name()))
		default:
			err = fmt.Errorf("%w: %s holds %s: give an empty directory", ErrExists, w.dir, e.Name())
		}
	}
	return err
}

// ours says whether a name is one that a BatchWriter gives.
func ours(name string) bool {
	for _, end := range []string{".npy", ".safetensors", ".jsonl"} {
		if strings.HasSuffix(name, end) {
			return true
		}
	}
	return name == checkpointName || name == doneName
}

// Done says whether the output was finished by an earlier run; there is
// nothing to write then.
func (w *BatchWriter) Done() bool { return w.done }

// Start is where to go on, for ReadOptions and PackOptions.
func (w *BatchWriter) Start() *Checkpoint {
	c := w.state.Next
	return &c
}

// Write adds a batch.
func (w *BatchWriter) Write(b *Batch) error {
	if len(b.Targets) != w.o.SeqLength*w.o.Batch {
		return refusal.Reason(ErrMalformed, "a batch of %d tokens where %d × %d are due", len(b.Targets), w.o.Batch, w.o.SeqLength)
	}
	w.making.add(b, w.o.Generation, w.o.FileBatches)
	if w.making.count < w.o.FileBatches {
		return nil
	}
	return w.flush()
}

// flush has the file in the making written while the next one is made, once
// the one before is written.
func (w *BatchWriter) flush() error {
	if err := w.wait(); err != nil || w.making.count == 0 {
		return err
	}
	f := w.making
	w.making, w.spare = w.spare, f
	w.making.reset()
	busy := make(chan error, 1)
	w.busy = busy
	go func() { busy <- w.file(f) }()
	return nil
}

// wait ends the writing that goes on.
func (w *BatchWriter) wait() error {
	if w.busy == nil {
		return nil
	}
	err := <-w.busy
	w.busy = nil
	return err
}

// Close writes what is left, and the marker that all is there.
func (w *BatchWriter) Close() error {
	var err error
	if !w.done {
		err = w.finish()
	}
	return errors.Join(err, w.lock.Close())
}

func (w *BatchWriter) finish() error {
	if err := errors.Join(w.flush(), w.wait()); err != nil {
		return err
	}
	if err := writeJSON(filepath.Join(w.dir, doneName), &w.state); err != nil {
		return err
	}
	err := os.Remove(filepath.Join(w.dir, checkpointName))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// Abort ends the writing; what is in files stays for a later run to go on.
func (w *BatchWriter) Abort() error { return errors.Join(w.wait(), w.lock.Close()) }

// array is a list of numbers to be written: ids, or masks.
type array struct {
	name  string
	dtype dtype.Type
	ids   []tokenizer.Token
	masks []uint8
}

// arrays are what a file holds, under the reference's names.
func (w *BatchWriter) arrays(f *batchFile) []array {
	masks := array{"loss_masks", "F32", nil, f.masks}
	if w.o.Generation == Gen2023 {
		return []array{{"tokens", "I32", f.target, nil}, masks}
	}
	return []array{{"input_tokens", "I32", f.inputs, nil}, {"target_tokens", "I32", f.target, nil}, masks}
}

// file writes the batches of a file, and the checkpoint after them.
func (w *BatchWriter) file(f *batchFile) error {
	var err error
	switch number := fmt.Sprintf("%05d", w.state.Files); w.o.Format {
	case NPY:
		for _, a := range w.arrays(f) {
			w.buf = a.append(w.npyHeader(w.buf[:0], &a, f.count))
			err = errors.Join(err, w.put(a.name+"-"+number+".npy", w.buf))
		}
	case SafeTensors:
		err = w.safetensors(f, "batches-"+number+".safetensors")
	default:
		err = w.put("batches-"+number+".jsonl", w.lines(f))
	}
	if err == nil {
		err = vfs.OS.SyncDir(w.dir)
	}
	if err != nil {
		return err
	}
	w.state.Fingerprint, w.state.Next = w.o.Fingerprint, f.next
	w.state.Files++
	return writeJSON(filepath.Join(w.dir, checkpointName), &w.state)
}

// put writes a file; its name lasts from the next SyncDir on.
func (w *BatchWriter) put(name string, data []byte) error {
	path := filepath.Join(w.dir, name)
	return replaceSoon(partial(path), path, data)
}

// append appends an array's elements, little-endian.
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

// npyHeader is what stands before the elements in a .npy file, version 1.0.
// Source: numpy/lib/format.py.
func (w *BatchWriter) npyHeader(dst []byte, a *array, count int) []byte {
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

func (w *BatchWriter) safetensors(f *batchFile, name string) error {
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
	return w.put(name, w.buf)
}

// lines writes each batch as a JSON object.
func (w *BatchWriter) lines(f *batchFile) []byte {
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
	return out
}

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
