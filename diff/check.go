package diff

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/koala-go/sdk/internal/vfs"
	"github.com/koala-go/sdk/weights"
)

// CheckError is a refusal before anything was written.
type CheckError struct {
	Check    string // one of the names below
	Evidence string // what was seen, and where
	Cure     string // what to do
}

// Error reads "what: where: what to do".
func (e *CheckError) Error() string {
	return fmt.Sprintf("%s: check %q: %s", e.Evidence, e.Check, e.Cure)
}

// The checks.
const (
	CheckWhole   = "whole"   // each input is one whole model
	CheckSize    = "size"    // the inputs are of one shape
	CheckSwapped = "swapped" // a diff is given as the diff, a model as the base
	CheckRounded = "rounded" // the base was not rounded to bf16
	// CheckRecovered: the base is not the sum of the base and the diff already.
	CheckRecovered = "recovered"
	CheckOutput    = "output" // the output's place is free, and in no input
	CheckSpace     = "space"  // the disk has room
	CheckMemory    = "memory" // the memory limit allows the work
)

// A check looks at a plan and returns nil or the reason to stop.
type check func(*Plan) *CheckError

var (
	// onOpening is the check that all that follows needs.
	onOpening = []check{checkWhole}
	// beforeLayout are the other checks on the inputs.
	beforeLayout = []check{checkSize, checkHeads, checkSwapped, checkRounded, checkRecovered}
	// afterLayout are the checks on the output, whose size is known by then.
	afterLayout = []check{checkPlace, checkExists, checkSpace}
)

func (p *Plan) check(checks []check) error {
	for _, c := range checks {
		if err := c(p); err != nil && !p.options.allows(err.Check) {
			return err
		}
	}
	return nil
}

func checkWhole(p *Plan) *CheckError {
	for i, c := range p.sources {
		var problem *weights.ModelError
		if errors.As(c.Complete(), &problem) {
			return &CheckError{CheckWhole, fmt.Sprintf("%s %s: %s", p.inputs[i].name, c.Path, problem.Problem), "give a whole LLaMA checkpoint"}
		}
	}
	return nil
}

func checkSize(p *Plan) *CheckError {
	a := p.sources[0].Config
	for i, c := range p.sources {
		b := c.Config
		for _, x := range []struct {
			what string
			a, b int
		}{
			{"layers", a.Layers, b.Layers}, {"a width of", a.Dim, b.Dim}, {"a feed-forward width of", a.FFN, b.FFN},
			{vocabulary, a.Vocab, b.Vocab}, {"rows of keys", a.KeyRows(), b.KeyRows()},
		} {
			if x.a != x.b {
				return &CheckError{CheckSize, fmt.Sprintf("%s %s has %s %d, %s %s has %d (sizes %s and %s)",
					p.inputs[0].name, p.inputs[0].path, x.what, x.a, p.inputs[i].name, p.inputs[i].path, x.b, a.Size(), b.Size()),
					sizeCure(x.a-x.b, x.what == vocabulary)}
			}
		}
		if a.TiedEmbeddings != b.TiedEmbeddings {
			return &CheckError{CheckSize, fmt.Sprintf("only one of %s and %s has an output matrix", p.inputs[0].path, p.inputs[i].path), "give checkpoints of the same model"}
		}
	}
	return nil
}

const vocabulary = "a vocabulary of"

// sizeCure is what to do about a difference in size.
func sizeCure(by int, ofVocabulary bool) string {
	if ofVocabulary && max(by, -by) < 1000 {
		return "give checkpoints of the same vocabulary, or resize the base's, as ResizeVocab in the options or --resize-vocab on the command line"
	}
	return "give checkpoints of the same size and vocabulary"
}

func checkHeads(p *Plan) *CheckError {
	known := 0
	for i, c := range p.sources {
		if h := c.Config.Heads; known == 0 {
			known = h
		} else if h != 0 && h != known {
			return &CheckError{CheckSize, fmt.Sprintf("%s %s has %d attention heads, %s has %d", p.inputs[0].name, p.inputs[0].path, known, p.inputs[i].path, h),
				"give checkpoints of the same model"}
		}
	}
	return nil
}

// checkRounded refuses a base that went through bf16: LLaMA was released in
// fp16, and rounding it changes an eighth of the recovered weights and more.
// Of fp16 numbers one in eight is a bf16 number by chance.
func checkRounded(p *Plan) *CheckError {
	for i, in := range p.inputs {
		if in.name != "base" {
			continue
		}
		e, err := p.evidenceOf(i)
		if err != nil {
			return &CheckError{CheckRounded, err.Error(), "see that the file can be read"}
		}
		if e.Rounded() {
			return &CheckError{CheckRounded, fmt.Sprintf("%.1f %% of the weights looked at in base %s are bf16 numbers, while LLaMA was released in fp16", 100*e.BF16Share, in.path),
				"give the fp16 weights, or allow this check to fail if the diff was made from these"}
		}
	}
	return nil
}

// checkSwapped tells models from diffs by the scales of their norms: those of
// a model are of the order of one, those of a diff near zero.
func checkSwapped(p *Plan) *CheckError {
	if p.op == conversion {
		return nil
	}
	scale := make([]float64, len(p.sources))
	for i := range p.sources {
		e, err := p.evidenceOf(i)
		if err != nil {
			return &CheckError{CheckSwapped, err.Error(), "see that the file can be read"}
		}
		scale[i] = e.NormRMS
	}
	a, b := p.inputs[0], p.inputs[1]
	evidence := fmt.Sprintf("root mean square of norm weights: %.3g in %s %s, %.3g in %s %s", scale[0], a.name, a.path, scale[1], b.name, b.path)
	switch {
	case p.op == recovery && scale[1] > 4*scale[0]:
		return &CheckError{CheckSwapped, evidence, "base and diff look swapped: exchange them"}
	case p.op == recovery && scale[1] > scale[0]/4:
		return &CheckError{CheckSwapped, evidence, "the diff looks like a whole model: give the diff, or use the model as it is"}
	case p.op == difference && (scale[0] < scale[1]/4 || scale[1] < scale[0]/4):
		return &CheckError{CheckSwapped, evidence, "one of them looks like a diff: give two whole models"}
	}
	return nil
}

// checkPlace refuses an output that would destroy an input.
func checkPlace(p *Plan) *CheckError {
	switch filepath.Base(filepath.Clean(p.out)) {
	case ".", "..", string(filepath.Separator):
		return &CheckError{CheckOutput, fmt.Sprintf("output %q is no name that something new could have", p.out), "write to a name of its own"}
	}
	out := resolve(p.out)
	for i, c := range p.sources {
		in := resolve(c.Path)
		if within(out, in) || within(in, out) {
			return &CheckError{CheckOutput, fmt.Sprintf("output %s and %s %s lie within each other", p.out, p.inputs[i].name, c.Path), "write to a place of its own"}
		}
	}
	if _, err := vfs.OS.Stat(filepath.Dir(filepath.Clean(p.out))); err != nil {
		return &CheckError{CheckOutput, fmt.Sprintf("output's parent directory: %v", err), "create it"}
	}
	return nil
}

// resolve is the absolute path with links followed, as far as it exists.
func resolve(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		return real
	}
	if dir := filepath.Dir(abs); dir != abs {
		return filepath.Join(resolve(dir), filepath.Base(abs))
	}
	return abs
}

// within says whether a path is a directory or lies in it.
func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// checkExists allows a free place, an empty directory for a directory, and
// with Force an earlier output of the same kind.
func checkExists(p *Plan) *CheckError {
	info, err := vfs.OS.Stat(p.out)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return &CheckError{CheckOutput, err.Error(), "write to a place that can be read"}
	}
	if info.IsDir() != p.layout.IsDir() {
		return &CheckError{CheckOutput, fmt.Sprintf("output %s exists, and is a directory where a file is to be written or the reverse", p.out), "write elsewhere"}
	}
	if info.IsDir() {
		return checkReplaceable(p)
	}
	if !p.options.Force {
		return &CheckError{CheckOutput, fmt.Sprintf("output %s exists", p.out), "write elsewhere, or force its replacement"}
	}
	return nil
}

// ours are the names in a directory that an earlier run may have written.
var ours = regexp.MustCompile(`^(model(-\d+-of-\d+)?\.safetensors|consolidated\.\d\d\.pth|tokenizer\.model|` +
	`(koala-manifest|params|model\.safetensors\.index|config|generation_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens)\.json)$`)

func checkReplaceable(p *Plan) *CheckError {
	entries, err := vfs.OS.ReadDir(p.out)
	if err != nil {
		return &CheckError{CheckOutput, err.Error(), "write to a directory that can be read"}
	}
	for _, e := range entries {
		if !p.options.Force {
			return &CheckError{CheckOutput, fmt.Sprintf("output %s exists and is not empty", p.out), "write elsewhere, or force its replacement"}
		}
		if !e.Type().IsRegular() || !(ours.MatchString(e.Name()) || e.Name() == cardName && isCard(p.out)) {
			return &CheckError{CheckOutput, fmt.Sprintf("output %s holds %s, which no run of ours wrote", p.out, e.Name()), "write elsewhere, or remove it by hand"}
		}
	}
	return nil
}

func checkSpace(p *Plan) *CheckError {
	free, err := vfs.OS.Free(filepath.Dir(filepath.Clean(p.out)))
	if err == nil && free < p.layout.Bytes() {
		return &CheckError{CheckSpace, fmt.Sprintf("output %s takes %d bytes, its disk has %d free", p.out, p.layout.Bytes(), free),
			"free some space or write to another disk"}
	}
	return nil
}
