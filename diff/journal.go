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

// The journal is a file of 4096 bytes beside the unfinished output. It has three
// slots. The slot at byte 0 describes the run. The slots at 2048 and 3072 hold the
// progress of the run and are written alternately. A slot holds a line, followed by
// zeros: the CRC-32 of a JSON object in eight hexadecimal digits, a space, the
// object, and a newline. Of the last two slots, the valid one with the greater step
// counts.
//
// The output is made durable before a line that says so is written. If a crash
// leaves one line half written, the other line is still valid and true.
const (
	journalName = "journal"
	journalSize = 4096
	headSlot    = 0
	stepSlot    = 2048
	slotStride  = 1024

	// journalEvery is the time between two writes of the journal.
	journalEvery = 2 * time.Second
)

// ResumeError reports that an earlier run cannot be resumed.
type ResumeError struct {
	Problem string // Problem is what differs.
	Out     string // Out is the path of the output.
}

// Error returns a message of the form "what: where: what to do".
func (e *ResumeError) Error() string {
	return e.Problem + ": " + e.Out + ": run again without resuming, which starts from the beginning"
}

// journalHead describes a run. Only a run that would write the same bytes may resume
// it.
type journalHead struct {
	Version int               `json:"koala_journal"`
	Rule    string            `json:"rule"`
	Output  string            `json:"output"` // the digest of the output's layout
	Inputs  map[string]string `json:"inputs"` // the digest of each input's file names, sizes and times
}

// journalStep is the progress of a run: the number of tensors of the output that
// were written, in the order of its files, and of rows of the next tensor. It does
// not count panels, because their size depends on the options.
type journalStep struct {
	Step    int   `json:"step"`
	Weights int   `json:"weights"`
	Rows    int64 `json:"rows"`
}

// journal writes the progress of a run.
type journal struct {
	file weights.NoteFile

	mu    sync.Mutex // guards the rest
	last  journalStep
	saved int // the number of panels in last
}

// openJournal begins the journal of a run or reads the journal of the run that it
// resumes.
func openJournal(e *engine) (*journal, error) {
	file, err := e.writer.Note(journalName, journalSize)
	if err != nil {
		return nil, err
	}
	j := &journal{file: file}
	head := e.plan.describeRun()
	if e.writer.Resumed() {
		if err := j.resume(e, head); err != nil {
			return nil, err
		}
	}
	return j, j.write(headSlot, head)
}

// resume reads the progress of the earlier run.
func (j *journal) resume(e *engine, head *journalHead) error {
	var earlier journalHead
	if found, err := j.read(headSlot, &earlier); err != nil || !found {
		return err // the earlier run ended before it wrote anything
	}
	if problem := head.difference(&earlier); problem != "" {
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

// difference describes what differs from the earlier run. It is empty if nothing
// does.
func (h *journalHead) difference(earlier *journalHead) string {
	for _, name := range slices.Sorted(maps.Keys(h.Inputs)) {
		if h.Inputs[name] != earlier.Inputs[name] {
			return fmt.Sprintf("input %q changed since the earlier run began", name)
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

// describeRun returns what the bytes of the output depend on.
func (p *Plan) describeRun() *journalHead {
	h := &journalHead{Version: 1, Rule: p.op.name + ": " + p.rule(), Inputs: make(map[string]string)}
	for i, c := range p.sources {
		sum := sha256.New()
		for _, f := range c.Files() {
			fmt.Fprintf(sum, "%q %d %d\n", f.Path, f.Size, f.ModTime.UnixNano())
			if f.ID != "" { // of a Source; local files have none
				fmt.Fprintf(sum, "%q\n", f.ID)
			}
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

// panelsBefore returns the number of panels that a step contains as a whole, and
// their size in the output.
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
		n, bytes = i+1, bytes+x.rows*x.work.storedRow
	}
	return n, bytes
}

// step returns the progress of a run that wrote n panels.
func (p *Plan) step(n int) (s journalStep) {
	for i, x := range p.panels[:n] {
		s.Rows = x.first + x.rows
		if i+1 == len(p.panels) || p.panels[i+1].param != x.param {
			s.Weights, s.Rows = s.Weights+1, 0
		}
	}
	return s
}

// saveRegularly saves the journal every journalEvery. The returned function ends
// that and, if the run may be resumed, saves the journal for the last time.
func (j *journal) saveRegularly(e *engine) (stop func() error) {
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

// panelDelivered is called after each panel. Tests save the journal here.
func (j *journal) panelDelivered(e *engine, i int) error {
	if n := e.plan.options.journalPanels; n > 0 && (i+1)%n == 0 {
		return j.save(e)
	}
	return nil
}

// save makes the output durable and then writes its progress.
func (j *journal) save(e *engine) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	e.mu.Lock()
	n := e.delivered // these panels were written before they were delivered
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

// write writes a line and makes it durable. The whole slot is written, so that no
// rest of a longer line stays behind the line.
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

// read reads a line. It reports found false for a line that is not whole.
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
