package weights

import (
	"errors"
	"fmt"

	"github.com/koala-go/sdk/internal/vfs"
)

// Writer writes the checkpoint of a Plan. Nothing stands at the output's path
// before Commit, and what stood there stays until then. WriteAt may be called
// by several goroutines at once.
type Writer struct {
	plan    *Plan
	stage   *vfs.Stage
	files   []vfs.File
	replace bool
}

// Create makes the plan's files under hidden names beside path, reserves
// their space and writes all but the tensors. replace allows Commit to
// replace what stands at path.
func (p *Plan) Create(path string, replace bool) (*Writer, error) {
	stage, err := vfs.NewStage(vfs.OS, path)
	if err != nil {
		return nil, err
	}
	w := &Writer{plan: p, stage: stage, replace: replace}
	for _, f := range p.Files {
		if err := w.create(&f); err != nil {
			return nil, errors.Join(err, stage.Discard())
		}
	}
	return w, nil
}

// streamName is the hidden name of an output that is one file.
const streamName = "stream"

func (w *Writer) create(f *PlannedFile) error {
	name := f.Name
	if name == "" {
		name = streamName
	}
	file, err := w.stage.Create(name, f.Size)
	if err != nil {
		return err
	}
	w.files = append(w.files, file)
	for _, piece := range f.Pieces {
		if _, err := file.WriteAt(piece.Bytes, piece.Offset); err != nil {
			return err
		}
	}
	return nil
}

// WriteAt writes bytes of a weight, as the output's layout and type store it,
// at an offset in them.
func (w *Writer) WriteAt(p Param, b []byte, off int64) error {
	at := w.plan.places[p]
	if size := at.Bytes(); off < 0 || int64(len(b)) > size-off {
		return fmt.Errorf("weight %v has %d bytes in the output, not %d at %d", p, size, len(b), off)
	}
	_, err := w.files[at.File].WriteAt(b, at.Offset+off)
	return err
}

// Commit makes the output durable and puts it in its place in one step.
func (w *Writer) Commit() error {
	single := ""
	if !w.plan.IsDir() {
		single = streamName
	}
	return w.stage.Publish(single, w.replace)
}

// Abort removes what was written; the output's path is as it was before.
func (w *Writer) Abort() error { return w.stage.Discard() }
