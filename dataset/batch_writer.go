package dataset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/vfs"
)

// BatchOptions are the options of CreateBatches. SeqLength and Batch have no
// default and must be positive.
type BatchOptions struct {
	Format      Format     // format of the files (default: NPY)
	SeqLength   int        // tokens of a row
	Batch       int        // rows of a batch
	Generation  Generation // version of EasyLM's data code (default: Gen2023)
	FileBatches int        // batches of a file (default: about 32 MiB)
	Fingerprint string     // digest of what decides on the batches: see Fingerprint; without one no run is resumed
	Force       bool       // replace an output with another fingerprint
}

// resolve replaces zero values by defaults and refuses impossible values.
func (o *BatchOptions) resolve() (err error) {
	if err := checkShape(o.SeqLength, o.Batch); err != nil {
		return err
	}
	if o.Generation, err = o.Generation.resolve(); err != nil {
		return err
	}
	if o.Format == "" {
		o.Format = NPY
	}
	if _, err := o.Format.row(); err != nil {
		return err
	}
	if o.FileBatches <= 0 {
		const tokenBytes = 12 // an input, a target and a mask
		o.FileBatches = max(1, (32<<20)/(tokenBytes*o.SeqLength*o.Batch))
	}
	return nil
}

// BatchWriter writes batches to numbered files in a directory. Each file appears
// whole, and after it checkpoint.json, so that a run that was killed can continue
// after the last file. The result is the same to the byte. At the end
// done.json replaces checkpoint.json.
type BatchWriter struct {
	o       BatchOptions
	fs      vfs.FS
	dir     string
	folder  *vfs.Folder
	lock    io.Closer
	state   batchState
	done    bool
	current *batchFile // receives batches
	spare   *batchFile // is written, or empty
	busy    chan error // receives the result of writing spare; nil if nothing is being written
	buf     []byte
}

// batchState is the content of checkpoint.json and done.json.
type batchState struct {
	Fingerprint string     `json:"fingerprint"`
	Files       int        `json:"files"`
	Next        Checkpoint `json:"next"`
}

const (
	checkpointName = "checkpoint.json"
	doneName       = "done.json"
)

// CreateBatches makes the directory, or resumes a run with the same fingerprint
// there. It returns ErrExists if the directory has other files, and ErrBusy if
// another run is writing there. Call Close or Abort at the end.
func CreateBatches(ctx context.Context, dir string, opts *BatchOptions) (*BatchWriter, error) {
	fsys := vfs.FromContext(ctx)
	w := &BatchWriter{fs: fsys, dir: dir, folder: vfs.NewFolder(fsys, dir, ""), current: new(batchFile), spare: new(batchFile)}
	if opts != nil {
		w.o = *opts
	}
	if err := w.o.resolve(); err != nil {
		return nil, err
	}
	if err := fsys.MkdirAll(dir); err != nil {
		return nil, err
	}
	lock, err := fsys.Lock(dir)
	if err != nil {
		return nil, busyAdvice(err, dir)
	}
	w.lock = lock
	if err := w.resume(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return w, nil
}

// resume reads how far an earlier run came, or prepares the directory for a new
// one.
func (w *BatchWriter) resume() error {
	for _, name := range []string{doneName, checkpointName} {
		var state batchState
		found, err := readJSON(w.fs, filepath.Join(w.dir, name), &state)
		if err == nil {
			err = state.Next.Check()
		}
		switch {
		case err != nil && !w.o.Force:
			return err
		case err == nil && found && state.Fingerprint == w.o.Fingerprint && w.o.Fingerprint != "":
			w.state, w.done = state, name == doneName
			return w.removeLeftovers()
		case found && !w.o.Force:
			return fmt.Errorf("%w: %s: it was made from other inputs or with other options; remove it, or force", ErrExists, w.dir)
		}
	}
	if err := w.removeOutput(); err != nil {
		return err
	}
	w.state.Fingerprint = w.o.Fingerprint
	return w.putState(checkpointName)
}

// removeLeftovers removes the partial files of a killed run, and the checkpoint
// if done.json exists too.
func (w *BatchWriter) removeLeftovers() error {
	return vfs.RemoveMatching(w.fs, w.dir, func(name string) bool {
		return w.folder.IsPartial(name) || w.done && name == checkpointName
	})
}

// removeOutput removes the partial files of a killed run, and with Force all
// files that a BatchWriter writes. It refuses other files: the directory belongs
// to someone else.
func (w *BatchWriter) removeOutput() error {
	entries, err := w.fs.ReadDir(w.dir)
	for _, e := range entries {
		switch {
		case err != nil:
			return err
		case w.folder.IsPartial(e.Name()):
			err = w.fs.RemoveAll(filepath.Join(w.dir, e.Name()))
		case w.o.Force && isBatchFile(e.Name()):
			err = w.fs.Remove(filepath.Join(w.dir, e.Name()))
		default:
			err = fmt.Errorf("%w: %s holds %s: give an empty directory", ErrExists, w.dir, e.Name())
		}
	}
	return err
}

// isBatchFile reports whether a BatchWriter writes files of that name.
func isBatchFile(name string) bool {
	for _, f := range formats {
		if filepath.Ext(name) == f.extension {
			return true
		}
	}
	return name == checkpointName || name == doneName
}

// Done reports whether an earlier run finished the output. There is nothing left
// to write then.
func (w *BatchWriter) Done() bool { return w.done }

// Start returns where to continue, for ReadOptions and PackOptions.
func (w *BatchWriter) Start() *Checkpoint {
	c := w.state.Next
	return &c
}

// Write adds a batch.
func (w *BatchWriter) Write(b *Batch) error {
	if len(b.Targets) != w.o.SeqLength*w.o.Batch {
		return refusal.Reason(ErrMalformed, "the batch has %d tokens, want %d × %d", len(b.Targets), w.o.Batch, w.o.SeqLength)
	}
	w.current.add(b, w.o.Generation, w.o.FileBatches)
	if w.current.count < w.o.FileBatches {
		return nil
	}
	return w.flush()
}

// flush begins to write the current file, after the one before is written. The
// next file is filled meanwhile.
func (w *BatchWriter) flush() error {
	if err := w.wait(); err != nil || w.current.count == 0 {
		return err
	}
	f := w.current
	w.current, w.spare = w.spare, f
	w.current.reset()
	busy := make(chan error, 1)
	w.busy = busy
	go func() { busy <- w.writeFile(f) }()
	return nil
}

// wait waits until no file is being written.
func (w *BatchWriter) wait() error {
	if w.busy == nil {
		return nil
	}
	err := <-w.busy
	w.busy = nil
	return err
}

// Close writes the remaining batches and done.json.
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
	if err := w.putState(doneName); err != nil {
		return err
	}
	err := w.fs.Remove(filepath.Join(w.dir, checkpointName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Abort stops the run. The files that are whole stay, so that a later run can
// resume.
func (w *BatchWriter) Abort() error { return errors.Join(w.wait(), w.lock.Close()) }

// writeFile writes the batches of a file, and then the checkpoint: if the run is
// killed between the two, the next one writes the same file again.
func (w *BatchWriter) writeFile(f *batchFile) error {
	row, err := w.o.Format.row()
	if err == nil {
		err = row.write(w, f, fmt.Sprintf("%05d", w.state.Files))
	}
	if err == nil {
		err = w.folder.Sync()
	}
	if err != nil {
		return err
	}
	w.state.Fingerprint, w.state.Next = w.o.Fingerprint, f.next
	w.state.Files++
	return w.putState(checkpointName)
}

// putState writes the state to a file.
func (w *BatchWriter) putState(name string) error {
	text, err := marshalFile(&w.state)
	if err != nil {
		return err
	}
	if err := w.folder.WriteFile(name, text); err != nil {
		return err
	}
	return w.folder.Sync()
}
