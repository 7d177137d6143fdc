package diff

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/koala-go/sdk/internal/bounded"
	"github.com/koala-go/sdk/internal/vfs"
	"github.com/koala-go/sdk/weights"
)

// The journal is a file of 4096 bytes with the output in the making. It holds
// three lines: at 0 what the run is about, at 2048 and at 3072, in turns, how
// far it is. A line is the CRC-32 of a JSON object in eight hexadecimal digits,
// a space, the object, and a newline; zeros follow. Of the two last lines the
// valid one with the higher step counts. What a line says is written was made
// durable before the line was; of a line that a crash left half written, the
// other one still tells the truth.
const (
	journalName = "journal"
	journalSize = 4096
	headSlot    = 0
	stepSlot    = 2048
	slotStride  = 1024

	// journalEvery is how often the journal is written.
	journalEvery = 2 * time.Second
)

// ResumeError says why an earlier run cannot be resumed.
type ResumeError struct {
	Problem string // what differs
	Out     string
}

// Error reads "what: where: what to do".
func (e *ResumeError) Error() string {
	return e.Problem + ": " + e.Out + ": run again without resuming, which begins anew"
}

// journalHead says what a run is about: a run may only be resumed by one that
// would write the same bytes.
type journalHead struct {
	Version int               `json:"koala_journal"`
	Rule    string            `json:"rule"`
	Output  string            `json:"output"` // digest of its layout
	Inputs  map[string]string `json:"inputs"` // digest of each one's files: names, sizes and times
}

// journalStep says how far a run is: this many weights of the output, in the
// order of its files, and rows of the next one.
type journalStep struct {
	Step    int   `json:"step"`
	Weights int   `json:"weights"`
	Rows    int64 `json:"rows"`
}

// journal writes how far a run is.
type journal struct {
	file weights.NoteFile

	mu    sync.Mutex // of the rest
	last  journalStep
	saved int // panels
}

// openJournal begins the journal of a run or, to resume one, reads it.
func openJournal(e *engine) (*journal, error) {
	file, err := e.writer.Note(journalName, journalSize)
	if err != nil {
		return nil, err
	}
	j := &journal{file: file}
	head := e.plan.journalHead()
	if e.writer.Resumed() {
		if err := j.resume(e, head); err != nil {
			return nil, err
		}
	}
	return j, j.write(headSlot, head)
}

// resume reads how far the earlier run was.
func (j *journal) resume(e *engine, head *journalHead) error {
	var earlier journalHead
	if found, err := j.read(headSlot, &earlier); err != nil || !found {
		return err // it was ended before it had begun
	}
	if problem := head.differs(&earlier); problem != "" {
		return &ResumeError{problem, e.plan.out}
	}
	for _, slot := range []int64{stepSlot, stepSlot + slotStride} {
		var step journalStep
		found, err := j.read(slot, &step)
		if err != nil {
			return err
		}
		if found && step.Step > j.last.Step {
			j.last = step
		}
	}
	e.resumed, e.resumedBytes = e.plan.panelsBefore(j.last)
	j.saved = e.resumed
	return nil
}

// differs says what of an earlier run is not as it is now.
func (h *journalHead) differs(earlier *journalHead) string {
	for _, name := range slices.Sorted(maps.Keys(h.Inputs)) {
		if h.Inputs[name] != earlier.Inputs[name] {
			return fmt.Sprintf("input %q is not as it was when the earlier run began", name)
		}
	}
	switch {
	case h.Version != earlier.Version:
		return "the earlier run was made by another version"
	case h.Rule != earlier.Rule || len(h.Inputs) != len(earlier.Inputs):
		return fmt.Sprintf("the earlier run's arithmetic was %s, this one's is %s", earlier.Rule, h.Rule)
	case h.Output != earlier.Output:
		return "the earlier run's output was laid out in another way"
	}
	return ""
}

// journalHead describes the plan.
func (p *Plan) journalHead() *journalHead {
	h := &journalHead{Version: 1, Rule: p.op.name + ": " + p.rule(), Inputs: make(map[string]string)}
	for i, c := range p.sources {
		sum := sha256.New()
		for _, f := range c.Files() {
			fmt.Fprintf(sum, "%q %d %d\n", f.Path, f.Size, f.ModTime.UnixNano())
		}
		h.Inputs[p.inputs[i].name] = hex.EncodeToString(sum.Sum(nil))
	}
	sum := sha256.New()
	for _, f := range p.layout.Files {
		fmt.Fprintf(sum, "%q %d\n", f.Name, f.Size)
		for _, piece := range f.Pieces {
			fmt.Fprintf(sum, "%d %x\n", piece.Offset, piece.Bytes)
		}
	}
	h.Output = hex.EncodeToString(sum.Sum(nil))
	return h
}

// panelsBefore is the number of panels that lie whole in what was written, and
// their bytes.
func (p *Plan) panelsBefore(s journalStep) (n int, bytes int64) {
	ordinal := -1
	var last weights.Param
	for i, x := range p.panels {
		if i == 0 || x.param != last {
			ordinal, last = ordinal+1, x.param
		}
		if ordinal > s.Weights || ordinal == s.Weights && x.first+x.rows > s.Rows {
			break
		}
		n, bytes = i+1, bytes+x.rows*x.work.stored
	}
	return n, bytes
}

// step says how far a run is after n panels.
func (p *Plan) step(n int) (s journalStep) {
	for i, x := range p.panels[:n] {
		s.Rows = x.first + x.rows
		if i+1 == len(p.panels) || p.panels[i+1].param != x.param {
			s.Weights, s.Rows = s.Weights+1, 0
		}
	}
	return s
}

// keep saves the journal now and then, until the returned function is called,
// which saves it for the last time.
func (j *journal) keep(e *engine) (stop func() error) {
	end, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		tick := time.NewTicker(journalEvery)
		defer tick.Stop()
		var err error
		for {
			select {
			case <-tick.C:
				err = errors.Join(err, j.save(e))
			case <-end:
				ended <- err
				return
			}
		}
	}()
	return func() error {
		close(end)
		err := <-ended
		if e.plan.options.Resume {
			err = errors.Join(err, j.save(e))
		}
		return err
	}
}

// passed is called after each panel; tests have the journal saved there.
func (j *journal) passed(e *engine, i int) error {
	if n := e.plan.options.journalPanels; n > 0 && (i+1)%n == 0 {
		return j.save(e)
	}
	return nil
}

// save makes durable what is written, and notes it.
func (j *journal) save(e *engine) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	e.mu.Lock()
	n := e.turn
	e.mu.Unlock()
	if n <= j.saved {
		return nil
	}
	if err := e.writer.Sync(); err != nil {
		return err
	}
	step := e.plan.step(n)
	step.Step = j.last.Step + 1
	if err := j.write(stepSlot+int64(step.Step%2)*slotStride, step); err != nil {
		return err
	}
	j.last, j.saved = step, n
	return nil
}

// write writes a line and makes it durable.
func (j *journal) write(slot int64, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	line := fmt.Appendf(nil, "%08x %s\n", crc32.ChecksumIEEE(text), text)
	if err := vfs.WriteFull(j.file, append(line, make([]byte, slotStride-len(line))...), slot); err != nil {
		return err
	}
	return j.file.Sync()
}

// read reads a line; found is false when it is not whole.
func (j *journal) read(slot int64, v any) (found bool, err error) {
	b := make([]byte, slotStride)
	if err := bounded.ReadFull(j.file, b, slot); err != nil {
		return false, err
	}
	line, _, ok := bytes.Cut(b, []byte("\n"))
	if !ok || len(line) < 9 || fmt.Sprintf("%08x ", crc32.ChecksumIEEE(line[9:])) != string(line[:9]) {
		return false, nil
	}
	return json.Unmarshal(line[9:], v) == nil, nil
}
