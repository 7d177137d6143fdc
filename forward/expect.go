package forward

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"

	"github.com/koala-go/sdk/internal/vfs"
)

// DefaultTolerance is how far logits may be from a reference's. Two
// implementations in fp32 agree within some 1e-6 on small models; the smallest
// mistake of this package's table of faults moves them by more than 1e-4.
const DefaultTolerance = 1e-4

// Expectation are the logits that a reference gave for a text, of one model or
// several.
type Expectation struct {
	Path   string // of the file, "" for none
	Tokens []int32
	Models map[string]Reference
}

// Reference are the logits of one model: all behind the last token, and the
// best few behind each, as token and logit, the best first.
type Reference struct {
	Top  [][]Candidate
	Last []float64
}

// ExpectationError says why a file of reference logits is of no use for a
// model.
type ExpectationError struct {
	Problem string
	Path    string // of the file, "" for none
}

// Error reads "what: where: what to do".
func (e *ExpectationError) Error() string {
	return e.Problem + ": " + cmp.Or(e.Path, "expected logits") + ": take the expected logits of this model"
}

// maxExpectation bounds the size of a file of reference logits, which is read
// whole.
const maxExpectation = 64 << 20

// ReadExpectation reads a file of the form
//
//	{"tokens": [1, …],
//	 "models": {"name": {"top8": [[[id, logit], …], …], "last": [logit, …]}}}
//
// with a row of top8 for each token, and a number of last for each token of the
// vocabulary; either may be left out. Other fields are ignored. What is no such
// file is an *ExpectationError.
func ReadExpectation(path string) (*Expectation, error) {
	f, err := vfs.OS.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if f.Size() > maxExpectation {
		return nil, &ExpectationError{"is longer than 64 MiB", path}
	}
	text, err := io.ReadAll(io.NewSectionReader(f, 0, f.Size()))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	e, err := parseExpectation(text)
	if err != nil {
		return nil, &ExpectationError{err.Error(), path}
	}
	e.Path = path
	return e, nil
}

func parseExpectation(text []byte) (*Expectation, error) {
	var file struct {
		Tokens []int32
		Models map[string]struct {
			Top8 [][]pair
			Last []float64
		}
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("is not of the form of expected logits: %w", err)
	}
	e := &Expectation{Tokens: file.Tokens, Models: map[string]Reference{}}
	for name, m := range file.Models {
		r := Reference{Last: m.Last}
		for _, top := range m.Top8 {
			row := make([]Candidate, len(top))
			for i, p := range top {
				row[i] = Candidate(p)
			}
			r.Top = append(r.Top, row)
		}
		e.Models[name] = r
	}
	return e, e.check()
}

// pair is a candidate as [id, logit].
type pair Candidate

func (p *pair) UnmarshalJSON(text []byte) error {
	var list []json.Number
	if err := json.Unmarshal(text, &list); err != nil || len(list) != 2 {
		return fmt.Errorf("%.40q is no pair of id and logit", text)
	}
	id, err := list[0].Int64()
	logit, err2 := list[1].Float64()
	if err != nil || err2 != nil || id != int64(int32(id)) {
		return fmt.Errorf("%.40q is no pair of id and logit", text)
	}
	*p = pair{int32(id), float32(logit)}
	return nil
}

// check refuses an expectation that says nothing or contradicts itself.
func (e *Expectation) check() error {
	if len(e.Tokens) == 0 || len(e.Models) == 0 {
		return fmt.Errorf("it has %d tokens and %d models", len(e.Tokens), len(e.Models))
	}
	for name, r := range e.Models {
		if r.Top != nil && len(r.Top) != len(e.Tokens) || r.Top == nil && r.Last == nil {
			return fmt.Errorf("model %q has logits behind %d of %d tokens", name, len(r.Top), len(e.Tokens))
		}
	}
	return nil
}

// fits is an error for an expectation of another vocabulary or context.
func (e *Expectation) fits(m *Model) error {
	if err := e.check(); err != nil {
		return &ExpectationError{err.Error(), e.Path}
	}
	var token *TokenError
	if err := m.accept(0, e.Tokens); errors.As(err, &token) {
		return &ExpectationError{fmt.Sprintf("its text has the token %d, in a vocabulary of %d", token.Token, token.Vocab), e.Path}
	} else if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(e.Models)) {
		r := e.Models[name]
		if r.Last != nil && len(r.Last) != m.Config.Vocab {
			return &ExpectationError{fmt.Sprintf("model %q has a vocabulary of %d, this one has %d", name, len(r.Last), m.Config.Vocab), e.Path}
		}
		for _, c := range slices.Concat(r.Top...) {
			if c.Token < 0 || int(c.Token) >= m.Config.Vocab {
				return &ExpectationError{fmt.Sprintf("model %q has the token %d in a vocabulary of %d", name, c.Token, m.Config.Vocab), e.Path}
			}
		}
	}
	return nil
}

// ExpectReport compares a model with the models of an expectation.
type ExpectReport struct {
	Tokens    int     `json:"tokens"`
	Tolerance float64 `json:"tolerance"`
	// Matches is the closest model of the expectation, when it is within the
	// tolerance, and "" otherwise.
	Matches string `json:"matches"`
	// Models are all of them, the closest first.
	Models []Closeness `json:"models"`
}

// Closeness says how far logits are from those of a model of an expectation.
type Closeness struct {
	Model         string  `json:"model"`
	Compared      int     `json:"compared"` // logits
	MaxDifference float64 `json:"max_difference"`
	Position      int     `json:"position"` // of the token behind which it is
	Token         int32   `json:"token"`    // whose logit it is
	// Swaps counts neighbours among the best that are the other way round.
	Swaps int `json:"swaps"`
}

// Expect compares the model's logits with an expectation's. A tolerance of 0 is
// DefaultTolerance. What was found to differ is in the report; errors are those
// of Logits, and *ExpectationError for an expectation of another vocabulary.
func (m *Model) Expect(ctx context.Context, e *Expectation, tolerance float64) (*ExpectReport, error) {
	if err := e.fits(m); err != nil {
		return nil, err
	}
	got, err := m.Logits(ctx, e.Tokens)
	if err != nil {
		return nil, err
	}
	r := &ExpectReport{Tokens: len(e.Tokens), Tolerance: cmp.Or(tolerance, DefaultTolerance)}
	for name, want := range e.Models {
		r.Models = append(r.Models, got.closeness(name, want))
	}
	slices.SortFunc(r.Models, func(a, b Closeness) int {
		return cmp.Or(cmp.Compare(a.MaxDifference, b.MaxDifference), cmp.Compare(a.Model, b.Model))
	})
	if best := r.Models[0]; best.MaxDifference <= r.Tolerance {
		r.Matches = best.Model
	}
	return r, nil
}

// closeness compares with one model.
func (l *Logits) closeness(name string, want Reference) Closeness {
	c := Closeness{Model: name}
	for t, top := range want.Top {
		for k, w := range top {
			c.see(t, w.Token, l.At(t)[w.Token], float64(w.Logit))
			if k > 0 && l.At(t)[w.Token] > l.At(t)[top[k-1].Token] {
				c.Swaps++
			}
		}
	}
	last := len(l.Tokens) - 1
	for id, w := range want.Last {
		c.see(last, int32(id), l.At(last)[id], w)
	}
	return c
}

// see takes a logit in.
func (c *Closeness) see(position int, token int32, got float32, want float64) {
	c.Compared++
	d := math.Abs(float64(got) - want)
	if math.IsNaN(d) { // of an expectation that was not read from a file
		d = math.Inf(1)
	}
	if d > c.MaxDifference {
		c.MaxDifference, c.Position, c.Token = d, position, token
	}
}
