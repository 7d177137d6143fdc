package eval

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/koala-go/sdk/internal/strictjson"
)

// Kind is the kind of a study.
type Kind string

// The kinds.
const (
	Pairwise Kind = "pairwise" // which of two outputs is better
	Rating   Kind = "rating"   // an output alone, from 1 to 5
)

// Choice is the verdict of a pairwise judgment. It names systems, not sides.
type Choice string

// The choices.
const (
	ChooseA     Choice = "a"
	ChooseB     Choice = "b"
	ChooseTie   Choice = "tie"
	ChooseWorse Choice = "tie-bad" // both are bad: a tie
	ChooseSkip  Choice = "skip"    // no judgment
)

// The lowest and the highest score of a rating.
const (
	MinScore = 1
	MaxScore = 5
)

// Judgment is one judgment of a rater. Those of a pairwise study have A, B,
// Left and Choice; those of a rating study have System and Score.
type Judgment struct {
	Item        string `json:"item"`                   // its id
	A           string `json:"a,omitempty"`            // a system
	B           string `json:"b,omitempty"`            // the other one
	Left        string `json:"left,omitempty"`         // the system shown on the left: "a" or "b"
	Choice      Choice `json:"choice,omitempty"`       // about A and B
	System      string `json:"system,omitempty"`       // the rated system
	Score       int    `json:"score,omitempty"`        // from MinScore to MaxScore
	Rater       string `json:"rater"`                  // its id
	RaterKind   string `json:"rater_kind,omitempty"`   // "human" or "model"; empty: human
	Reason      string `json:"reason,omitempty"`       // in the words of the rater
	ShownAt     string `json:"shown_at,omitempty"`     // RFC 3339
	SubmittedAt string `json:"submitted_at,omitempty"` // RFC 3339
	VisibleMS   int64  `json:"visible_ms,omitempty"`   // how long the page was visible
	Revision    int    `json:"revision,omitempty"`     // of the same rater's judgment; the last one counts
}

// Kind returns the kind of study that the judgment belongs to.
func (j *Judgment) Kind() Kind {
	if j.System != "" {
		return Rating
	}
	return Pairwise
}

// task identifies what was judged: the pair in either order, or the system.
func (j *Judgment) task() task {
	if j.Kind() == Rating {
		return task{j.Item, j.System, ""}
	}
	return task{j.Item, min(j.A, j.B), max(j.A, j.B)}
}

type task struct{ item, a, b string }

// LineError is a line of a file, or a judgment of a list, that cannot be used.
type LineError struct {
	Line int // in the file, from 1; or the place in the list, from 1
	Err  error
}

// Error reads "line N: what: what to do".
func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap returns the cause.
func (e *LineError) Unwrap() error { return e.Err }

// ReadJudgments reads judgments, one JSON object a line, plain or compressed
// with gzip. It returns the last revision of each judgment, in the order of the
// file. The errors are *LineError, io errors and those of gzip.
func ReadJudgments(r io.Reader) ([]Judgment, error) {
	var list []Judgment
	err := readLines(r, func(text []byte) error {
		j, err := parseJudgment(text)
		if err == nil {
			list = append(list, *j)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return Current(list)
}

// parseJudgment reads a judgment and checks the form of its members.
func parseJudgment(text []byte) (*Judgment, error) {
	r, j := strictjson.New(text, 0), &Judgment{}
	texts := map[string]*string{
		"item": &j.Item, "a": &j.A, "b": &j.B, "left": &j.Left, "choice": (*string)(&j.Choice), "system": &j.System,
		"rater": &j.Rater, "rater_kind": &j.RaterKind, "reason": &j.Reason, "shown_at": &j.ShownAt, "submitted_at": &j.SubmittedAt,
	}
	score, visible, revision := math.NaN(), 0.0, 0.0
	numbers := map[string]*float64{"score": &score, "visible_ms": &visible, "revision": &revision}
	err := r.Object(func(name string) error {
		v, err := r.Value()
		if err != nil {
			return err
		}
		if v.Kind == 'n' {
			return nil
		}
		if to := texts[name]; to != nil {
			if v.Kind != '"' {
				return fmt.Errorf("member %q is not a string", name)
			}
			*to = v.Text
		}
		if to := numbers[name]; to != nil {
			if v.Kind != '0' {
				return fmt.Errorf("member %q is not a number", name)
			}
			*to, err = strconv.ParseFloat(v.Text, 64)
		}
		return err
	})
	if err == nil {
		err = r.End()
	}
	if err != nil {
		return nil, err
	}
	for name, x := range numbers {
		if !math.IsNaN(*x) && (*x != math.Trunc(*x) || math.Abs(*x) > 1<<53) {
			return nil, fmt.Errorf("member %q is not a whole number", name)
		}
	}
	if !math.IsNaN(score) {
		j.Score = int(max(-1, min(score, MaxScore+1)))
	}
	j.VisibleMS, j.Revision = int64(visible), int(revision)
	if j.System != "" && math.IsNaN(score) {
		return nil, errors.New(`a rating has no member "score"`)
	}
	return j, nil
}

// Check returns what is wrong with a judgment alone, or nil.
func (j *Judgment) Check() error {
	for name, text := range map[string]string{"item": j.Item, "rater": j.Rater} {
		if text == "" {
			return fmt.Errorf("the judgment has no member %q", name)
		}
	}
	for _, text := range []string{j.Item, j.A, j.B, j.System, j.Rater, j.Reason} {
		if !utf8.ValidString(text) || strings.Contains(text, "\x00") {
			return fmt.Errorf("a text holds a NUL or invalid UTF-8: %.40q", text)
		}
	}
	if j.RaterKind != "" && j.RaterKind != "human" && j.RaterKind != "model" {
		return fmt.Errorf(`member "rater_kind" is %.40q: give "human" or "model"`, j.RaterKind)
	}
	if j.Kind() == Rating {
		switch {
		case j.A != "" || j.B != "" || j.Choice != "" || j.Left != "":
			return errors.New("the judgment is a rating and a comparison: give either a system and a score, or a, b and a choice")
		case j.Score < MinScore || j.Score > MaxScore:
			return fmt.Errorf("the score is not between %d and %d", MinScore, MaxScore)
		}
		return nil
	}
	switch {
	case j.A == "" || j.B == "":
		return errors.New("the judgment names no system: give a system and a score, or a, b and a choice")
	case j.A == j.B:
		return fmt.Errorf("system %.40q is compared with itself", j.A)
	case j.Left != "" && j.Left != "a" && j.Left != "b":
		return fmt.Errorf(`member "left" is %.40q: give "a" or "b"`, j.Left)
	}
	switch j.Choice {
	case ChooseA, ChooseB, ChooseTie, ChooseWorse, ChooseSkip:
		return nil
	}
	return fmt.Errorf(`member "choice" is %.40q: give "a", "b", "tie", "tie-bad" or "skip"`, string(j.Choice))
}

// Current checks a list of judgments and returns those of the last revision of
// each rater's judgment, in order. It refuses judgments of both kinds in one
// list, and two judgments of one rater on the same task and revision.
func Current(list []Judgment) ([]Judgment, error) {
	type key struct {
		task  task
		rater string
	}
	last := make(map[key]int, len(list))
	for i := range list {
		j := &list[i]
		if err := j.Check(); err != nil {
			return nil, &LineError{i + 1, err}
		}
		if j.Kind() != list[0].Kind() {
			return nil, &LineError{i + 1, fmt.Errorf("the judgment is of kind %s and the first one of kind %s: give one kind", j.Kind(), list[0].Kind())}
		}
		k := key{j.task(), j.Rater}
		before, seen := last[k]
		switch {
		case !seen || list[before].Revision < j.Revision:
			last[k] = i
		case list[before].Revision == j.Revision:
			return nil, &LineError{i + 1, fmt.Errorf("rater %.40q judged item %.40q twice with revision %d: keep one, or count revisions up", j.Rater, j.Item, j.Revision)}
		}
	}
	var current []Judgment
	for i := range list {
		if last[key{list[i].task(), list[i].Rater}] == i {
			current = append(current, list[i])
		}
	}
	return current, nil
}
