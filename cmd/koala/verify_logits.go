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
	"github.com/koala-go/sdk/progress"
	"github.com/koala-go/sdk/weights"
)

// logitsFlags are the flags of verify --logits.
type logitsFlags struct {
	Logits    bool      `help:"Run the model and compare its logits, or report the likelihood of a dialogue."`
	Expect    string    `xor:"reference,text" placeholder:"FILE" help:"Compare with the logits in FILE, a JSON object with the fields tokens and models."`
	Model     string    `placeholder:"NAME" help:"Compare only with the model NAME of --expect (default: with all)."`
	Tolerance float64   `placeholder:"X" help:"Accept differences up to X from --expect (default: 1e-4)."`
	Against   string    `xor:"reference" placeholder:"PATH" help:"Compare with another checkpoint of the same model, bit for bit."`
	Tokens    tokenList `xor:"text" placeholder:"IDS" help:"Run these token ids, such as 1,2,3 or a JSON array (default: a dialogue in Koala's format)."`
}

// tokenList is a list of token ids on the command line.
type tokenList []int32

// UnmarshalText parses ids separated by commas, with or without brackets.
func (l *tokenList) UnmarshalText(text []byte) error {
	list := strings.TrimSpace(string(text))
	if !strings.HasPrefix(list, "[") {
		list = "[" + list + "]"
	}
	var ids []int32
	if err := json.Unmarshal([]byte(list), &ids); err != nil {
		return fmt.Errorf("%.40q is not a list of token ids: give ids such as 1,2,3 or [1,2,3]", text)
	}
	*l = append(tokenList{}, ids...)
	return nil
}

// Validate rejects contradictory flags.
func (c *verifyCmd) Validate() error {
	switch {
	case !c.Logits && (c.Expect != "" || c.Against != "" || c.Tokens != nil):
		return errors.New("--expect, --against and --tokens require --logits")
	case c.Logits && (c.Base != "" || c.Diff != "" || c.Sums != ""):
		return errors.New("--logits excludes --base, --diff and --sums")
	case c.Expect == "" && (c.Model != "" || c.Tolerance != 0):
		return errors.New("--model and --tolerance require --expect")
	case c.Tolerance < 0:
		return errors.New("--tolerance must be positive")
	}
	return nil
}

// logitsReport is the document that verify --logits prints with --json. Exactly
// one of the three reports is set.
type logitsReport struct {
	Path         string                      `json:"path"`
	Expect       *forward.ExpectReport       `json:"expect,omitempty"`
	Against      *forward.CompareReport      `json:"against,omitempty"`
	Plausibility *forward.PlausibilityReport `json:"plausibility,omitempty"`
}

// runLogits executes verify --logits.
func (c *verifyCmd) runLogits(a *app) error {
	reads := &readProgress{bar: newProgressBar(a.stderr, c.Quiet)}
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
	return cmp.Or(err, c.mismatch(r))
}

// readProgress adds up the progress of reading several models, one after the
// other.
type readProgress struct {
	bar         *progressBar
	done, total int64 // bytes of all models
}

// track returns the progress function of one model.
func (r *readProgress) track() progress.Func {
	var last int64
	return func(p progress.Progress) {
		r.done, last = r.done+p.Done-last, p.Done
		r.bar.update(progress.Progress{Stage: "read", Done: r.done, Total: r.total, Unit: progress.Bytes})
	}
}

// logits runs the model and returns the report.
func (c *verifyCmd) logits(a *app, reads *readProgress) (*logitsReport, error) {
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

// comparedTokens returns the tokens of --tokens, or the dialogue if it fits the model, or
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

func (c *verifyCmd) openModel(ctx context.Context, path string, reads *readProgress) (*forward.Model, func() error, error) {
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
	model, ok := e.Models[c.Model]
	if !ok {
		return nil, &forward.ExpectationError{Problem: fmt.Sprintf("the file has no model %q", c.Model), Path: c.Expect}
	}
	e.Models = map[string]forward.Reference{c.Model: model}
	return e, nil
}

// mismatch returns an error if the comparison found a difference.
func (c *verifyCmd) mismatch(r *logitsReport) error {
	switch {
	case r.Expect != nil && r.Expect.Matches == "":
		best := r.Expect.Models[0]
		return fmt.Errorf("the logits differ by %.3g from those of %q, the closest expected model, at position %d, token %d: %s: compare the digests, or recover the model again",
			best.MaxDifference, best.Model, best.Position, best.Token, c.Path)
	case r.Against != nil && !r.Against.Identical:
		return fmt.Errorf("the models differ, first in %s, and their logits by up to %.3g: %s: compare the digests, or recover the model again", r.Against.First, r.Against.MaxDifference, c.Path)
	}
	return nil
}

// printLogits prints the report for people.
func (c *verifyCmd) printLogits(a *app, r *logitsReport) {
	switch {
	case r.Expect != nil:
		for _, m := range r.Expect.Models {
			fmt.Fprintf(a.stdout, "compared: %s of %q, largest difference %.3g, %s\n", plural(m.Compared, "logit"), m.Model, m.MaxDifference, plural(m.Swaps, "swap"))
		}
		if r.Expect.Matches != "" {
			fmt.Fprintf(a.stdout, "the logits match those of %q within %g\n", r.Expect.Matches, r.Expect.Tolerance)
		}
	case r.Against != nil:
		fmt.Fprintf(a.stdout, "compared: the results of every layer for %s\n", plural(r.Against.Tokens, "token"))
		if r.Against.Identical {
			fmt.Fprintln(a.stdout, "no difference: the logits are equal bit for bit")
		} else {
			fmt.Fprintf(a.stdout, "differs: first in %s; logits by up to %.3g\n", r.Against.First, r.Against.MaxDifference)
		}
	default:
		c.printPlausibility(a, r.Plausibility)
	}
}

// printPlausibility prints the mean of every 16 positions, so that a model that
// fails at a distance shows where.
func (c *verifyCmd) printPlausibility(a *app, r *forward.PlausibilityReport) {
	const group = 16
	fmt.Fprintf(a.stdout, "negative log-likelihood per token: %.3f, the mean of %s", r.Mean, plural(len(r.Positions), "token"))
	if r.Replies != 0 {
		fmt.Fprintf(a.stdout, "; %.3f in replies", r.Replies)
	}
	fmt.Fprintf(a.stdout, "; %.3f for a random guess\n", r.Random)
	for rest := r.Positions; len(rest) > 0; rest = rest[min(group, len(rest)):] {
		part, total := rest[:min(group, len(rest))], 0.
		for _, s := range part {
			total += s.NLL
		}
		fmt.Fprintf(a.stdout, "  positions %d to %d: %.3f\n", part[0].Position, part[len(part)-1].Position, total/float64(len(part)))
	}
	fmt.Fprintln(a.stdout, "this is a report and not a proof: compare with --expect or --against")
}
