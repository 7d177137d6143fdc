package diff

import (
	"context"
	"fmt"
)

// CheckError is a refusal before anything is written.
type CheckError struct {
	Check    string // Check is the name of the check: CheckWhole, CheckSize, ….
	Evidence string // Evidence is what was found, and where.
	Cure     string // Cure is the advice what to do.
}

// Error returns a message of the form "what: where: what to do".
func (e *CheckError) Error() string {
	return fmt.Sprintf("%s: check %q: %s", e.Evidence, e.Check, e.Cure)
}

// The names of the checks.
const (
	CheckSwapped   = "swapped"   // base and diff are not exchanged, and neither is given for the other
	CheckRounded   = "rounded"   // the base was not rounded to bf16
	CheckRecovered = "recovered" // the base does not contain the diff yet
	CheckWhole     = "whole"     // each input is one whole model
	CheckSize      = "size"      // the inputs have one shape
	CheckOutput    = "output"    // the output's path is free, and not within an input
	CheckSpace     = "space"     // the disk has room for the output
)

// checkNames lists the checks. Options.Allow can override the first ones, which
// are statistical. A run cannot continue if one of the others fails.
var checkNames = []string{CheckSwapped, CheckRounded, CheckRecovered, CheckWhole, CheckSize, CheckOutput, CheckSpace}

// overridable is the number of checks that can be overridden.
const overridable = 3

// A check examines a plan. It returns nil or the reason to stop.
type check func(context.Context, *Plan) *CheckError

var (
	// onOpening is the check that all others rely on.
	onOpening = []check{checkWhole}
	// beforeLayout are the other checks of the inputs. The cheap ones come first.
	beforeLayout = []check{checkSize, checkHeads, checkSwapped, checkRounded, checkRecovered}
	// afterLayout are the checks of the output, which need its size.
	afterLayout = []check{checkPath, checkExists, checkSpace}
)

// check runs checks in order until one fails.
func (p *Plan) check(ctx context.Context, checks []check) error {
	for _, c := range checks {
		if err := c(ctx, p); err != nil && !p.options.allows(err.Check) {
			return err
		}
	}
	return nil
}
