package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/koala-go/sdk/forward"
	"github.com/koala-go/sdk/internal/dialogue"
	koalaprogress "github.com/koala-go/sdk/progress"
	"github.com/koala-go/sdk/weights"
)

// logitsFlags are those of verify --logits.
type logitsFlags struct {
	Logits    bool      `help:"Run the model and compare its logits, or report how likely it finds a dialogue."`
	Expect    string    `xor:"reference,text" placeholder:"FILE" help:"Logits of a reference: JSON with the fields tokens and models."`
	Model     string    `placeholder:"NAME" help:"Which of the models of --expect it must be (default: any)."`
	Tolerance float64   `placeholder:"X" help:"How far logits may be from those of --expect (default: 1e-4)."`
	Against   string    `xor:"reference" placeholder:"PATH" help:"Another checkpoint of the same model, which must give the same bits."`
	Tokens    tokenList `xor:"text" placeholder:"IDS" help:"The ids to run, 1,2,3 or a JSON array (default: a dialogue in Koala's format)."`
}

// tokenList is a list of ids on the command line.
type tokenList []int32

func (l *tokenList) UnmarshalText(text []byte) error {
	list := strings.TrimSpace(string(text))
	if !strings.HasPrefix(list, "[") {
		list = "[" + list + "]"
	}
	var ids []int32
	if err := json.Unmarshal([]byte(list), &ids); err != nil {
		return fmt.Errorf("%.40q is no list of ids such as 1,2,3 or [1,2,3]", text)
	}
	*l = append(tokenList{}, ids...)
	return nil
}

// Validate refuses flags that are of no use together.
func (c *verifyCmd) Validate() error {
	switch {
	case !c.Logits && (c.Expect != "" || c.Against != "" || c.Tokens != nil):
		return errors.New("--expect, --against and --tokens are of --logits")
	case c.Logits && (c.Base != "" || c.Diff != "" || c.Sums != ""):
		return errors.New("--logits compares neither with --base and --diff nor with --sums")
	case c.Expect == "" && (c.Model != "" || c.Tolerance != 0):
		return errors.New("--model and --tolerance are of --expect")
	case c.Tolerance < 0:
		return errors.New("--tolerance is a positive number")
	}
	return nil
}

// logitsReport is what verify --logits prints with --json; one of the last
// three is there.
type logitsReport struct {
	Path         string                      `json:"path"`
	Expect       *forward.ExpectReport       `json:"expect,omitempty"`
	Against      *forward.CompareReport      `json:"against,omitempty"`
	Plausibility *forward.PlausibilityReport `json:"plausibility,omitempty"`
}

func (c *verifyCmd) runLogits(a *app) error {
	reads := &reading{bar: newProgress(a.stderr, c.Quiet)}
	r, err := c.logits(a, reads)
	reads.bar.finish()
	if err != nil {
		return err
	}
	if c.JSON {
		err = printJSON(a.stdout, r)
	} else {
		c.printLogits(a, r)
	}
	return cmp.Or(err, c.judge(r))
}

// reading is the progress of one pass after the other.
type reading struct {
	bar         *progress
	done, total int64
}

// track is the Progress of the model that is read next.
func (r *reading) track() koalaprogress.Func {
	var last int64
	return func(p koalaprogress.Progress) {
		r.done, last = r.done+p.Done-last, p.Done
		r.bar.update(koalaprogress.Progress{Stage: "read", Done: r.done, Total: r.total})
	}
}

// logits makes the report.
func (c *verifyCmd) logits(a *app, reads *reading) (*logitsReport, error) {
	m, closeModel, err := c.openModel(a.ctx, c.Path, reads)
	if err != nil {
		return nil, err
	}
	defer closeModel()
	r := &logitsReport{Path: c.Path}
	switch {
	case c.Expect != "":
		var e *forward.Expectation
		if e, err = c.expectation(a); err == nil {
			r.Expect, err = m.Expect(a.ctx, e, c.Tolerance)
		}
	case c.Against != "":
		other, closeOther, openErr := c.openModel(a.ctx, c.Against, reads)
		if openErr != nil {
			return nil, openErr
		}
		defer closeOther()
		r.Against, err = forward.Compare(a.ctx, m, other, c.comparedTokens(m))
	default:
		r.Plausibility, err = c.plausibility(a, m)
	}
	return r, err
}

// comparedTokens are those of --tokens, or the dialogue if it fits the model, or
// nil for tokens that fit any model.
func (c *verifyCmd) comparedTokens(m *forward.Model) []int32 {
	if c.Tokens != nil {
		return c.Tokens
	}
	tokens, _, err := dialogue.Tokens(m.Config.Vocab)
	if err != nil || len(tokens) > m.Context() {
		return nil
	}
	return tokens
}

// plausibility measures how likely the model finds the tokens of --tokens, or the
// dialogue.
func (c *verifyCmd) plausibility(a *app, m *forward.Model) (*forward.PlausibilityReport, error) {
	if c.Tokens != nil {
		return m.Plausibility(a.ctx, c.Tokens, nil)
	}
	tokens, inReply, err := dialogue.Tokens(m.Config.Vocab)
	if err != nil {
		return nil, err
	}
	return m.Plausibility(a.ctx, tokens, inReply)
}

func (c *verifyCmd) openModel(ctx context.Context, path string, reads *reading) (*forward.Model, func() error, error) {
	checkpoint, err := weights.Open(ctx, path, &weights.OpenOptions{Heads: c.Heads, FollowLinks: c.FollowLinks})
	if err != nil {
		return nil, nil, err
	}
	m, err := forward.Open(ctx, checkpoint, &forward.Options{Workers: c.Workers, Memory: int64(c.Memory), Progress: reads.track()})
	if err != nil {
		return nil, nil, errors.Join(err, checkpoint.Close())
	}
	reads.total += m.Bytes()
	return m, checkpoint.Close, nil
}

// expectation reads the reference, and of its models the one that was asked for.
func (c *verifyCmd) expectation(a *app) (*forward.Expectation, error) {
	e, err := forward.ReadExpectation(a.ctx, c.Expect)
	if err != nil || c.Model == "" {
		return e, err
	}
	one, ok := e.Models[c.Model]
	if !ok {
		return nil, &forward.ExpectationError{Problem: fmt.Sprintf("there is no model %q", c.Model), Path: c.Expect}
	}
	e.Models = map[string]forward.Reference{c.Model: one}
	return e, nil
}

// judge is an error when the model is not what it was compared with.
func (c *verifyCmd) judge(r *logitsReport) error {
	switch {
	case r.Expect != nil && r.Expect.Matches == "":
		best := r.Expect.Models[0]
		return fmt.Errorf("logits differ by %.3g from those of %q, the closest of the models expected, at position %d, token %d: %s: compare the digests, or recover it again",
			best.MaxDifference, best.Model, best.Position, best.Token, c.Path)
	case r.Against != nil && !r.Against.Identical:
		return fmt.Errorf("the models differ from %s on, logits by up to %.3g: %s: compare the digests, or recover it again", r.Against.First, r.Against.MaxDifference, c.Path)
	}
	return nil
}

// printLogits shows the report to people.
func (c *verifyCmd) printLogits(a *app, r *logitsReport) {
	switch {
	case r.Expect != nil:
		for _, m := range r.Expect.Models {
			fmt.Fprintf(a.stdout, "compared: %s of %q, the largest difference is %.3g, %s\n", plural(m.Compared, "logit"), m.Model, m.MaxDifference, plural(m.Swaps, "swap"))
		}
		if r.Expect.Matches != "" {
			fmt.Fprintf(a.stdout, "the logits are those of %q, within %g\n", r.Expect.Matches, r.Expect.Tolerance)
		}
	case r.Against != nil:
		fmt.Fprintf(a.stdout, "compared: all that %s give in each layer\n", plural(r.Against.Tokens, "token"))
		if r.Against.Identical {
			fmt.Fprintln(a.stdout, "no difference: the logits are the same, bit for bit")
		} else {
			fmt.Fprintf(a.stdout, "differs: %s is the first; logits by up to %.3g\n", r.Against.First, r.Against.MaxDifference)
		}
	default:
		c.printPlausibility(a, r.Plausibility)
	}
}

// printPlausibility shows means of 16 positions each.
func (c *verifyCmd) printPlausibility(a *app, r *forward.PlausibilityReport) {
	const each = 16
	fmt.Fprintf(a.stdout, "negative log-likelihood of a token: %.3f on average over %s", r.Mean, plural(len(r.Positions), "token"))
	if r.Replies != 0 {
		fmt.Fprintf(a.stdout, ", %.3f in replies", r.Replies)
	}
	fmt.Fprintf(a.stdout, "; guessing gives %.3f\n", r.Random)
	for rest := r.Positions; len(rest) > 0; rest = rest[min(each, len(rest)):] {
		part, total := rest[:min(each, len(rest))], 0.
		for _, s := range part {
			total += s.NLL
		}
		fmt.Fprintf(a.stdout, "  positions %d to %d: %.3f\n", part[0].Position, part[len(part)-1].Position, total/float64(len(part)))
	}
	fmt.Fprintln(a.stdout, "a report, no proof: compare with --expect or --against")
}
