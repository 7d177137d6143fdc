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

// DefaultTolerance is the greatest difference to a reference's logits that counts
// as equal. Two implementations in fp32 agree within some 1e-6 on small models;
// every fault in the table of this package's documentation that is not a matter of
// chance moves logits by more than 1e-4.
const DefaultTolerance = 1e-4

// Expectation holds the logits that a reference computed for a text, with one
// model or several.
type Expectation struct {
	Path   string               // Path is the path of the file, if there is one.
	Tokens []int32              // Tokens is the text.
	Models map[string]Reference // Models has the logits of each model, by name.
}

// Reference holds the logits of one model. One of the fields may be nil.
type Reference struct {
	// Top has, for each token of the text, the likeliest tokens to follow, in
	// descending order of logits.
	Top [][]Candidate
	// Last has the logits behind the last token, of the whole vocabulary.
	Last []float64
}

// ExpectationError reports that reference logits are malformed or do not fit the
// model.
type ExpectationError struct {
	Problem string // what is wrong
	Path    string // the file, or "" if there is none
}

// Error returns a message of the form "what: where: what to do".
func (e *ExpectationError) Error() string {
	return e.Problem + ": " + cmp.Or(e.Path, "expected logits") + ": take the expected logits of this model"
}

// maxExpectation bounds the size of a file of reference logits, because the whole
// file is read into memory.
const maxExpectation = 64 << 20

// ReadExpectation reads reference logits from a file of the form
//
//	{"tokens": [1, …],
//	 "models": {"name": {"top8": [[[id, logit], …], …], "last": [logit, …]}}}
//
// top8 has a row for each token of the text, last a number for each token of the
// vocabulary; one of them may be absent. Other fields are ignored. The error for a
// file of another form is an *ExpectationError.
func ReadExpectation(ctx context.Context, path string) (*Expectation, error) {
	f, err := vfs.FromContext(ctx).Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if f.Size() > maxExpectation {
		return nil, &ExpectationError{"the file is larger than 64 MiB", path}
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
		return nil, fmt.Errorf("not of the form of expected logits: %w", err)
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
		return fmt.Errorf("%.40q is not a pair of id and logit", text)
	}
	id, err := list[0].Int64()
	logit, err2 := list[1].Float64()
	if err != nil || err2 != nil || id != int64(int32(id)) {
		return fmt.Errorf("%.40q is not a pair of id and logit", text)
	}
	*p = pair{int32(id), float32(logit)}
	return nil
}

// check refuses an expectation that is empty or contradicts itself.
func (e *Expectation) check() error {
	if len(e.Tokens) == 0 || len(e.Models) == 0 {
		return fmt.Errorf("there are %d tokens and %d models", len(e.Tokens), len(e.Models))
	}
	for name, r := range e.Models {
		if r.Top != nil && len(r.Top) != len(e.Tokens) || r.Top == nil && r.Last == nil {
			return fmt.Errorf("model %q has logits for %d of %d tokens", name, len(r.Top), len(e.Tokens))
		}
	}
	return nil
}

// checkModel refuses a model of another vocabulary, or of a context that is too
// short.
func (e *Expectation) checkModel(m *Model) error {
	if err := e.check(); err != nil {
		return &ExpectationError{err.Error(), e.Path}
	}
	var token *TokenError
	if err := m.checkTokens(0, e.Tokens); errors.As(err, &token) {
		return &ExpectationError{fmt.Sprintf("the text has the token %d in a vocabulary of %d", token.Token, token.Vocab), e.Path}
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
	// Tokens is the length of the text.
	Tokens int `json:"tokens"`
	// Tolerance is the greatest difference that counts as equal.
	Tolerance float64 `json:"tolerance"`
	// Matches is the closest model of the expectation, if it is within the
	// tolerance, and otherwise empty.
	Matches string `json:"matches"`
	// Models has all models of the expectation, the closest first.
	Models []Closeness `json:"models"`
}

// Closeness compares logits with those of one model of an expectation.
type Closeness struct {
	// Model is the name of the expectation's model.
	Model string `json:"model"`
	// Compared is the number of logits that were compared.
	Compared int `json:"compared"`
	// MaxDifference is the greatest difference of two logits.
	MaxDifference float64 `json:"max_difference"`
	// Position is the index of the token behind which the logits differ most.
	Position int `json:"position"`
	// Token is the token whose logits differ most.
	Token int32 `json:"token"`
	// Swaps is the number of neighbours among the likeliest tokens that have the
	// other order.
	Swaps int `json:"swaps"`
}

// Expect compares the model's logits with an expectation's. A tolerance of zero
// means DefaultTolerance. Differences are in the report; errors are those of
// Logits, and *ExpectationError for an expectation that does not fit the model.
func (m *Model) Expect(ctx context.Context, e *Expectation, tolerance float64) (*ExpectReport, error) {
	if err := e.checkModel(m); err != nil {
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

// closeness compares the logits with one model's.
func (l *Logits) closeness(name string, want Reference) Closeness {
	c := Closeness{Model: name}
	for t, top := range want.Top {
		for k, w := range top {
			c.add(t, w.Token, l.At(t)[w.Token], float64(w.Logit))
			if k > 0 && l.At(t)[w.Token] > l.At(t)[top[k-1].Token] {
				c.Swaps++
			}
		}
	}
	last := len(l.Tokens) - 1
	for id, w := range want.Last {
		c.add(last, int32(id), l.At(last)[id], w)
	}
	return c
}

// add compares one logit.
func (c *Closeness) add(position int, token int32, got float32, want float64) {
	c.Compared++
	d := math.Abs(float64(got) - want)
	if math.IsNaN(d) {
		// JSON has no NaN, but an expectation need not come from a file. NaN must
		// count as different, and no comparison with NaN is true.
		d = math.Inf(1)
	}
	if d > c.MaxDifference {
		c.MaxDifference, c.Position, c.Token = d, position, token
	}
}
