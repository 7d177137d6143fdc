package weights

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"github.com/koala-go/sdk/internal/bounded"
	"github.com/koala-go/sdk/internal/torchfile"
	"github.com/koala-go/sdk/internal/vfs"
)

// Writer writes the checkpoint of a Plan. The output does not appear at its
// path before Commit, and an earlier output stays there until then. WriteAt may
// be called by several goroutines at once.
type Writer struct {
	plan    *Plan
	options CreateOptions
	stage   *vfs.Stage
	files   []vfs.File
	resumed bool
	sums    map[int][]torchfile.Checksum // by file, one for each tensor
	digests []*fileDigest

	mu    sync.Mutex
	flows []flow // by file
}

// flow holds how far a file was given to Digest, and how far the system was
// told to write it and to release its memory.
type flow struct{ digested, syncing, released int64 }

// CreateOptions holds the options of Create. Nil means the zero value.
type CreateOptions struct {
	// Replace allows Commit to replace what exists at the path of the output.
	Replace bool
	// Resume is the name of a Note. If an earlier Writer of this path made the
	// Note and was kept or killed, its files are taken over. The error is
	// ErrLeftover if they are not those of this plan. Empty means: begin anew.
	Resume string
	// NoSums leaves the digests out of the FileSums that Finish returns.
	NoSums bool
}

// Create makes the files of the plan in a hidden directory next to path,
// reserves their space, and writes the bytes that are known: everything but the
// tensors. The context is not used after Create returns.
func (p *Plan) Create(ctx context.Context, path string, opts *CreateOptions) (*Writer, error) {
	w := &Writer{plan: p, sums: make(map[int][]torchfile.Checksum), flows: make([]flow, len(p.Files))}
	if opts != nil {
		w.options = *opts
	}
	begin := vfs.NewStage
	if w.options.Resume != "" {
		begin = vfs.ResumeStage
	}
	var err error
	if w.stage, err = begin(vfs.FromContext(ctx), path); err != nil {
		return nil, err
	}
	// Files of another plan may be hours of work: they stay for a run of theirs.
	if err := w.open(); errors.Is(err, ErrLeftover) {
		return nil, errors.Join(err, w.Keep())
	} else if err != nil {
		return nil, errors.Join(err, w.Abort())
	}
	for i := range p.Files {
		w.digests = append(w.digests, newFileDigest(&p.Files[i]))
	}
	for _, z := range p.sealed {
		w.sums[z.file] = make([]torchfile.Checksum, len(z.tensors))
	}
	return w, nil
}

// ErrLeftover says that an earlier Writer left the files of another plan.
var ErrLeftover = errors.New("an earlier run left files of another output")

// open takes over the files that an earlier Writer left, or makes new ones.
func (w *Writer) open() error {
	if w.options.Resume != "" {
		var err error
		if w.resumed, err = w.stage.Has(w.options.Resume); err != nil {
			return err
		}
		if w.resumed {
			return w.reopen()
		}
		// Without the note nobody knows which bytes of the files are written.
		if err := w.stage.Empty(); err != nil {
			return err
		}
	}
	for i := range w.plan.Files {
		if err := w.create(&w.plan.Files[i]); err != nil {
			return err
		}
	}
	return nil
}

// Resumed reports whether files of an earlier Writer were taken over.
func (w *Writer) Resumed() bool { return w.resumed }

// streamName is the name in the hidden directory of an output that is one file.
const streamName = "stream"

// stagedName returns the name of a file of the plan in the hidden directory.
func (w *Writer) stagedName(f *PlannedFile) string {
	if f.Name == "" {
		return streamName
	}
	return f.Name
}

func (w *Writer) reopen() error {
	for i := range w.plan.Files {
		f := &w.plan.Files[i]
		file, err := w.stage.Reopen(w.stagedName(f), f.Size)
		if notExist(err) {
			return fmt.Errorf("%s: %w", w.stagedName(f), ErrLeftover)
		}
		if err != nil {
			return err
		}
		w.files = append(w.files, file)
	}
	return nil
}

func (w *Writer) create(f *PlannedFile) error {
	file, err := w.stage.Create(w.stagedName(f), f.Size)
	if err != nil {
		return err
	}
	w.files = append(w.files, file)
	for _, piece := range f.Pieces {
		if err := vfs.WriteFull(file, piece.Bytes, piece.Offset); err != nil {
			return err
		}
	}
	return nil
}

// checkRange refuses bytes outside of a weight.
func (at *Placement) checkRange(p Param, n int, off int64) error {
	if size := at.Bytes(); off < 0 || int64(n) > size-off {
		return fmt.Errorf("weight %v has %d bytes in the output: %d bytes at offset %d are outside of it", p, size, n, off)
	}
	return nil
}

// WriteAt writes bytes of a weight, in the layout and type of the output, at an
// offset in the weight. Bytes of a weight that several shards divide must be
// whole rows.
func (w *Writer) WriteAt(p Param, b []byte, off int64) error {
	at := w.plan.placements[p]
	if err := at.checkRange(p, len(b), off); err != nil {
		return err
	}
	return at.split(b, off, func(part *Part, b []byte, off int64) error {
		return vfs.WriteFull(w.files[part.File], b, part.Offset+off)
	})
}

// ReadAt reads back bytes of a weight that were written.
func (w *Writer) ReadAt(p Param, b []byte, off int64) error {
	at := w.plan.placements[p]
	if err := at.checkRange(p, len(b), off); err != nil {
		return err
	}
	return bounded.ReadFull(at.reader(w.files), b, off)
}

// Digest adds bytes that were written, or read back, to the digests of the
// files. Call it with every byte of each weight, in ascending order, one weight
// after the other in the order of Plan.Order.
func (w *Writer) Digest(p Param, b []byte, off int64) error {
	at := w.plan.placements[p]
	if err := at.checkRange(p, len(b), off); err != nil {
		return err
	}
	return at.split(b, off, func(part *Part, b []byte, off int64) error {
		w.mu.Lock()
		w.flows[part.File].digested = part.Offset + off + int64(len(b))
		w.mu.Unlock()
		// Some bytes of a sealed file depend on the checksums of its tensors, so
		// Finish reads the whole file for its digest. Here only the checksums grow.
		if sums := w.sums[part.File]; sums != nil {
			sums[part.index].Add(off, b)
			return nil
		}
		if w.options.NoSums {
			return nil
		}
		return w.digests[part.File].add(b, part.Offset+off)
	})
}

// Sync makes the bytes that were written so far durable.
func (w *Writer) Sync() error {
	for _, f := range w.files {
		if err := f.Sync(); err != nil {
			return err
		}
	}
	return nil
}

// StartSync tells the system to begin to write the bytes that Digest got since
// the last call, so that Sync and Commit wait for less. If release is true, the
// memory that caches the bytes of earlier calls is released once they are
// written: without that, an output larger than the memory drives all other data
// out of it, and its own.
func (w *Writer) StartSync(release bool) {
	for i, f := range w.files {
		w.mu.Lock()
		// The range that the last call began is released now: by now it is mostly
		// written, so that Release waits little.
		x := w.flows[i]
		w.flows[i].syncing = x.digested
		if release {
			w.flows[i].released = x.syncing
		}
		w.mu.Unlock()
		f.StartSync(x.syncing, x.digested-x.syncing)
		if release {
			f.Release(x.released, x.syncing-x.released)
		}
	}
}

// NoteFile is an open note of a Writer.
type NoteFile interface {
	io.ReaderAt
	io.WriterAt
	Size() int64 // in bytes, at the time of opening
	Sync() error // makes the bytes that were written durable
}

// Note opens a file that is kept next to the staged output and is not part of
// it: a new file of the size, or the one that an earlier Writer left.
func (w *Writer) Note(name string, size int64) (NoteFile, error) {
	if w.resumed {
		f, err := w.stage.Reopen(name, size)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
		// A run that was killed while it made the note leaves it at another size.
		if err := w.stage.Remove(name); err != nil && !notExist(err) {
			return nil, err
		}
	}
	return w.stage.Create(name, size)
}

// RemoveNote removes a Note.
func (w *Writer) RemoveNote(name string) error { return w.stage.Remove(name) }

// FileSum is a file of the output and its digest.
type FileSum struct {
	Name   string `json:"name"`   // in the output directory, "" if the output is this file
	Size   int64  `json:"bytes"`  // in bytes
	SHA256 string `json:"sha256"` // in hexadecimal, "" with NoSums
}

// Finish completes the files and returns their digests. Every byte of each
// weight must have been written and given to Digest. Files that hold checksums
// of their tensors are read once more for their digests.
func (w *Writer) Finish() ([]FileSum, error) {
	if err := w.seal(); err != nil {
		return nil, err
	}
	sums := make([]FileSum, len(w.files))
	for i, d := range w.digests {
		sums[i] = FileSum{Name: d.file.Name, Size: d.file.Size}
		if w.options.NoSums {
			continue
		}
		complete := d.finish
		if w.sums[i] != nil {
			complete = func() error { return d.read(w.files[i]) }
		}
		if err := complete(); err != nil {
			return nil, err
		}
		sums[i].SHA256 = d.hex()
	}
	return sums, nil
}

// seal writes the bytes that depend on the checksums of the tensors.
func (w *Writer) seal() error {
	for _, z := range w.plan.sealed {
		sums := make([]uint32, len(z.tensors))
		for i := range sums {
			var size int64
			if sums[i], size = w.sums[z.file][i].Sum(); size != z.tensors[i].Bytes() {
				return fmt.Errorf("Digest got %d bytes of %s in %s, want %d: call it with every byte", size, z.tensors[i].Name, w.plan.Files[z.file].Name, z.tensors[i].Bytes())
			}
		}
		for _, piece := range z.seal(sums) {
			if err := vfs.WriteFull(w.files[z.file], piece.Bytes, piece.Offset); err != nil {
				return err
			}
		}
	}
	return nil
}

// AddFile adds a file to the output: one more in a directory, or PATH.name next
// to an output that is one file.
func (w *Writer) AddFile(name string, text []byte) error {
	if !w.plan.IsDir() {
		name = streamName + "." + name
	}
	if err := w.stage.Remove(name); err != nil && !notExist(err) { // an earlier Writer's
		return err
	}
	f, err := w.stage.Create(name, int64(len(text)))
	if err != nil {
		return err
	}
	return vfs.WriteFull(f, text, 0)
}

// Commit makes the output durable and renames it to its path in one step. Call
// it after Finish.
func (w *Writer) Commit() error {
	single := ""
	if !w.plan.IsDir() {
		single = streamName
	}
	return w.stage.Publish(single, w.options.Replace)
}

// Abort removes what was written. The path of the output is as it was before.
// After Commit it does nothing.
func (w *Writer) Abort() error { return w.stage.Discard() }

// Keep leaves what was written for a later Writer with Resume.
func (w *Writer) Keep() error { return w.stage.Keep() }

// reader reads a weight from the files of its parts.
func (at *Placement) reader(files []vfs.File) io.ReaderAt {
	rows, row := at.grid()
	data, bytes := make([]io.ReaderAt, len(at.Parts)), make([]int64, len(at.Parts))
	for i, part := range at.Parts {
		bytes[i] = at.partBytes(&part)
		size := bytes[i]
		if at.Axis == 1 && len(at.Parts) > 1 {
			size *= rows
		}
		data[i] = io.NewSectionReader(files[part.File], part.Offset, size)
	}
	switch {
	case len(at.Parts) == 1 || at.Axis < 0:
		return data[0]
	case at.Axis == 0:
		return rowConcat(newParts(data, bytes))
	}
	return &columnConcat{newParts(data, bytes), row, rows}
}
