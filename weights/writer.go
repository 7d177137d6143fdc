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

// Writer writes the checkpoint of a Plan. Nothing stands at the output's path
// before Commit, and what stood there stays until then. WriteAt may be called
// by several goroutines at once.
type Writer struct {
	plan    *Plan
	options CreateOptions
	stage   *vfs.Stage
	files   []vfs.File
	resumed bool
	sums    map[int][]torchfile.Checksum // by file, one of each tensor
	digests []*fileDigest

	mu    sync.Mutex
	flows []flow // by file
}

// flow is up to where a file was taken in by Digest, and up to where the system
// was told to write it and to forget it.
type flow struct{ taken, begun, forgotten int64 }

// CreateOptions are the choices of Create; nil means the zero value.
type CreateOptions struct {
	// Replace allows Commit to replace what stands at the output's path.
	Replace bool
	// Resume names a Note. If an earlier Writer of this path made it and was
	// kept or killed, its files are taken over; it is ErrLeftover if they are
	// not those of this plan. "" begins anew.
	Resume string
	// NoSums leaves the sums of the files out of what Finish gives.
	NoSums bool
}

// Create makes the plan's files under hidden names beside path, reserves
// their space and writes all but the tensors.
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
	if err := w.open(); errors.Is(err, ErrLeftover) {
		return nil, errors.Join(err, w.Keep())
	} else if err != nil {
		return nil, errors.Join(err, w.Abort())
	}
	for i := range p.Files {
		w.digests = append(w.digests, newFileDigest(&p.Files[i]))
	}
	for _, z := range p.zips {
		w.sums[z.file] = make([]torchfile.Checksum, len(z.tensors))
	}
	return w, nil
}

// ErrLeftover says that what an earlier Writer left is of another plan.
var ErrLeftover = errors.New("what an earlier run left is of another output")

// open takes over the files that were left, or makes them anew.
func (w *Writer) open() error {
	if w.options.Resume != "" {
		var err error
		if w.resumed, err = w.stage.Has(w.options.Resume); err != nil {
			return err
		}
		if w.resumed {
			return w.reopen()
		}
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

// Resumed says whether files of an earlier Writer were taken over.
func (w *Writer) Resumed() bool { return w.resumed }

// streamName is the hidden name of an output that is one file.
const streamName = "stream"

// stagedName is what a file of the plan is called while it is made.
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

// within refuses bytes that a weight does not have.
func (at *Place) within(p Param, n int, off int64) error {
	if size := at.Bytes(); off < 0 || int64(n) > size-off {
		return fmt.Errorf("weight %v has %d bytes in the output, not %d at %d", p, size, n, off)
	}
	return nil
}

// WriteAt writes bytes of a weight, as the output's layout and type store it,
// at an offset in them: whole rows, where the weight goes to several shards.
func (w *Writer) WriteAt(p Param, b []byte, off int64) error {
	at := w.plan.places[p]
	if err := at.within(p, len(b), off); err != nil {
		return err
	}
	return at.each(b, off, func(part *Part, b []byte, off int64) error {
		return vfs.WriteFull(w.files[part.File], b, part.Offset+off)
	})
}

// ReadAt reads bytes of a weight that were written.
func (w *Writer) ReadAt(p Param, b []byte, off int64) error {
	at := w.plan.places[p]
	if err := at.within(p, len(b), off); err != nil {
		return err
	}
	return bounded.ReadFull(at.reader(w.files), b, off)
}

// Digest takes in the bytes that were written, or read back, for the sums of
// the files. It is called with all of each weight, in pieces from the first
// on, one weight after the other in the Plan's Order.
func (w *Writer) Digest(p Param, b []byte, off int64) error {
	at := w.plan.places[p]
	if err := at.within(p, len(b), off); err != nil {
		return err
	}
	return at.each(b, off, func(part *Part, b []byte, off int64) error {
		w.mu.Lock()
		w.flows[part.File].taken = part.Offset + off + int64(len(b))
		w.mu.Unlock()
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

// Sync makes what was written so far durable.
func (w *Writer) Sync() error {
	for _, f := range w.files {
		if err := f.Sync(); err != nil {
			return err
		}
	}
	return nil
}

// StartSync has the system begin to write what Digest took in since the last
// call, so that Sync and Commit need not wait for all of it. With forget, what
// earlier calls began gives its memory back as soon as it is written: an output
// larger than the memory would else drive all others out of it, and itself.
func (w *Writer) StartSync(forget bool) {
	for i, f := range w.files {
		w.mu.Lock()
		x := w.flows[i]
		w.flows[i].begun = x.taken
		if forget {
			w.flows[i].forgotten = x.begun
		}
		w.mu.Unlock()
		f.StartSync(x.begun, x.taken-x.begun)
		if forget {
			f.Release(x.forgotten, x.begun-x.forgotten)
		}
	}
}

// Note opens a file of a name that is kept with the output in the making and
// is no part of it: new, of a size, or one that an earlier Writer left.
func (w *Writer) Note(name string, size int64) (vfs.File, error) {
	if w.resumed {
		f, err := w.stage.Reopen(name, size)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
		// It may be there in another length: its making was cut short.
		if err := w.stage.Remove(name); err != nil && !notExist(err) {
			return nil, err
		}
	}
	return w.stage.Create(name, size)
}

// RemoveNote removes it.
func (w *Writer) RemoveNote(name string) error { return w.stage.Remove(name) }

// FileSum is a file of the output and its digest.
type FileSum struct {
	Name   string `json:"name"` // within the output, "" when the output is this file
	Size   int64  `json:"bytes"`
	SHA256 string `json:"sha256"` // "" when it was not asked for
}

// Finish completes the files and gives their sums; all of every weight must
// have been written and taken in by Digest. Files that hold checksums of
// themselves are read once more for it.
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

// seal writes what depends on the tensors' checksums.
func (w *Writer) seal() error {
	for _, z := range w.plan.zips {
		sums := make([]uint32, len(z.tensors))
		for i := range sums {
			var size int64
			if sums[i], size = w.sums[z.file][i].Sum(); size != z.tensors[i].Bytes() {
				return fmt.Errorf("%d bytes of %s in %s were taken in, not %d", size, z.tensors[i].Name, w.plan.Files[z.file].Name, z.tensors[i].Bytes())
			}
		}
		for _, piece := range z.plan.Seal(sums) {
			if err := vfs.WriteFull(w.files[z.file], piece.Bytes, piece.Offset); err != nil {
				return err
			}
		}
	}
	return nil
}

// AddFile adds a file to the output: one more in a directory, or PATH.name
// beside a file.
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

// Commit makes the output durable and puts it in its place in one step, after
// Finish.
func (w *Writer) Commit() error {
	single := ""
	if !w.plan.IsDir() {
		single = streamName
	}
	return w.stage.Publish(single, w.options.Replace)
}

// Abort removes what was written; the output's path is as it was before.
func (w *Writer) Abort() error { return w.stage.Discard() }

// Keep leaves what was written for a later Writer that resumes.
func (w *Writer) Keep() error { return w.stage.Keep() }

// reader reads a weight from the files that its parts are in.
func (at *Place) reader(files []vfs.File) io.ReaderAt {
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
		return stacked(newParts(data, bytes))
	}
	return &beside{newParts(data, bytes), row, rows}
}
