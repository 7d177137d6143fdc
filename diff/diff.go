package diff

import (
	"context"
	"errors"
	"time"
)

// Recover writes base + delta to out.
//
// Errors are *OptionError for a wrong option, *weights.FormatError for a file that
// cannot be read, *weights.ModelError for a checkpoint that is not a whole model,
// *CheckError for inputs or outputs that look like a mistake, *weights.MemoryError
// for a memory limit that is too low, *weights.NonFiniteError for a sum that is
// infinite or NaN, *ResumeError for an earlier run that cannot be resumed, the
// errors of reading and writing, and the context's. After an error, out is
// unchanged.
func Recover(ctx context.Context, base, delta, out string, opts *Options) (*Report, error) {
	return planAndRun(ctx, func() (*Plan, error) { return PlanRecover(ctx, base, delta, out, opts) })
}

// Make writes target - base to out: the diff from which Recover makes target again.
// Errors are those of Recover.
func Make(ctx context.Context, base, target, out string, opts *Options) (*Report, error) {
	return planAndRun(ctx, func() (*Plan, error) { return PlanMake(ctx, base, target, out, opts) })
}

// Convert writes the weights of in to out in another format, layout or type.
// Errors are those of Recover.
func Convert(ctx context.Context, in, out string, opts *Options) (*Report, error) {
	return planAndRun(ctx, func() (*Plan, error) { return PlanConvert(ctx, in, out, opts) })
}

// PlanRecover checks everything that Recover checks before it writes. It writes
// nothing. The caller closes the plan.
func PlanRecover(ctx context.Context, base, delta, out string, opts *Options) (*Plan, error) {
	return newPlan(ctx, recovery, []input{{"base", base}, {"diff", delta}}, out, opts)
}

// PlanMake checks everything that Make checks before it writes. It writes nothing.
// The caller closes the plan.
func PlanMake(ctx context.Context, base, target, out string, opts *Options) (*Plan, error) {
	return newPlan(ctx, difference, []input{{"target", target}, {"base", base}}, out, opts)
}

// PlanConvert checks everything that Convert checks before it writes. It writes
// nothing. The caller closes the plan.
func PlanConvert(ctx context.Context, in, out string, opts *Options) (*Plan, error) {
	return newPlan(ctx, conversion, []input{{"input", in}}, out, opts)
}

// planAndRun makes a plan, runs it and closes it.
func planAndRun(ctx context.Context, plan func() (*Plan, error)) (*Report, error) {
	p, err := plan()
	if err != nil {
		return nil, err
	}
	report, err := p.Run(ctx)
	return report, errors.Join(err, p.Close())
}

// Report describes a finished run.
type Report struct {
	// Summary is the summary of the plan.
	Summary
	// Resumed is the number of bytes of output that an earlier run had written.
	Resumed int64 `json:"resumed_bytes"`
	// Seconds and Elapsed are the time of the run.
	Seconds float64       `json:"seconds"`
	Elapsed time.Duration `json:"-"`
}
