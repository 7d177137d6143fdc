// Command applydiff recovers a model from a base checkpoint and a diff.
//
// Without arguments it runs on a small model: it writes a base (fp16, Hugging
// Face layout) and a diff (bf16, EasyLM stream) to a temporary directory, recovers
// the model, checks every weight, and removes the directory. With --base, --diff
// and --out it recovers a model from files.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/x448/float16"

	"github.com/koala-go/sdk/diff"
	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/progress"
	"github.com/koala-go/sdk/weights"
)

func main() {
	base := flag.String("base", "", "LLaMA's weights in fp16: a directory or file")
	delta := flag.String("diff", "", "the released diff")
	out := flag.String("out", "", "directory to write the recovered model to")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()

	var err error
	switch given := [3]bool{*base != "", *delta != "", *out != ""}; given {
	case [3]bool{true, true, true}:
		err = recoverReal(ctx, os.Stdout, *base, *delta, *out)
	case [3]bool{}:
		err = demonstrate(ctx, os.Stdout)
	default:
		fmt.Fprintln(os.Stderr, "applydiff: give --base, --diff and --out, or none of them")
		os.Exit(2)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "applydiff:", err)
		os.Exit(1)
	}
}

// recoverReal recovers a model from files and prints its progress.
func recoverReal(ctx context.Context, w io.Writer, base, delta, out string) error {
	tenths := int64(0)
	report, err := diff.Recover(ctx, base, delta, out, &diff.Options{Progress: func(p progress.Progress) {
		if now := 10 * p.Done / max(p.Total, 1); now > tenths {
			tenths = now
			fmt.Fprintf(w, "%s: %d of %d bytes\n", p.Stage, p.Done, p.Total)
		}
	}})
	if err != nil {
		return err
	}
	printReport(w, report)
	return printFiles(w, report)
}

// demonstrate writes a small base and diff, recovers the model and checks it.
func demonstrate(ctx context.Context, w io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "applydiff-")
	if err != nil {
		return err
	}
	defer func() {
		if removeErr := os.RemoveAll(dir); err == nil {
			err = removeErr
		}
	}()
	model := modeltest.Small
	base, delta, out := filepath.Join(dir, "base"), filepath.Join(dir, "diff"), filepath.Join(dir, "model")
	if err := model.Write(base, &modeltest.Options{Format: weights.FormatSafetensors, DType: dtype.F16, Values: model.Base}); err != nil {
		return err
	}
	if err := model.Write(delta, &modeltest.Options{Format: weights.FormatEasyLM, DType: dtype.BF16, Values: model.Diff}); err != nil {
		return err
	}
	fmt.Fprintln(w, "Wrote a small model: a base in fp16 in Hugging Face's layout, and a diff in bf16 as an EasyLM stream.")

	report, err := diff.Recover(ctx, base, delta, out, nil)
	if err != nil {
		return err
	}
	fmt.Fprintln(w, "Recovered it:")
	printReport(w, report)
	if err := printFiles(w, report); err != nil {
		return err
	}
	n, err := verify(out, model)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "Checked: all %d weights are bf16(fp32(base) + fp32(diff)), bit for bit.\n\n", n)
	fmt.Fprintln(w, "For Koala 7B the inputs are 13.5 GB of LLaMA and 13.5 GB of diff, and the memory is still at most 256 MiB:")
	fmt.Fprintln(w, "  go run ./examples/applydiff --base llama-7b-hf --diff koala_7b_diff_v2 --out koala-7b")
	return nil
}

// printReport prints the sizes, the rule and the time of a recovery.
func printReport(w io.Writer, r *diff.Report) {
	for _, row := range [][2]string{
		{"tensors", fmt.Sprint(r.Tensors)},
		{"parameters", fmt.Sprint(r.Parameters)},
		{"bytes read", fmt.Sprint(r.ReadBytes)},
		{"bytes written", fmt.Sprint(r.WriteBytes)},
		{"buffers", fmt.Sprintf("%d bytes, %d workers", r.Memory, r.Workers)},
		{"rule", r.Rule},
		{"seconds", fmt.Sprintf("%.3f", r.Seconds)},
	} {
		fmt.Fprintf(w, "  %-14s %s\n", row[0], row[1])
	}
}

// printFiles prints the SHA-256 digest and the name of each output file.
func printFiles(w io.Writer, r *diff.Report) error {
	for _, f := range r.Files {
		file, err := os.Open(filepath.Join(r.Out, f.Name))
		if err != nil {
			return err
		}
		defer file.Close()
		sum := sha256.New()
		if _, err := io.Copy(sum, file); err != nil {
			return err
		}
		fmt.Fprintf(w, "  %s  %s\n", hex.EncodeToString(sum.Sum(nil)), f.Name)
	}
	return nil
}

// verify compares every weight of the output with the expected sum and returns
// the number of weights.
func verify(out string, model modeltest.Model) (int, error) {
	c, err := weights.Open(context.Background(), out, nil)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	if err := c.Complete(); err != nil {
		return 0, err
	}
	checked := 0
	for _, p := range c.Params() {
		v, err := c.View(p, weights.Meta)
		if err != nil {
			return 0, err
		}
		got := make([]byte, v.Rows()*v.RowBytes())
		if err := v.ReadRows(got, 0, v.Rows(), nil); err != nil {
			return 0, err
		}
		cols := 1
		if !p.Role.IsNorm() {
			cols = int(v.Shape[1])
		}
		for i := range len(got) / 2 {
			want := sum(model.Base(p, i/cols, i%cols), model.Diff(p, i/cols, i%cols))
			if have := uint16(got[2*i]) | uint16(got[2*i+1])<<8; have != want {
				return 0, fmt.Errorf("%v, element %d is %#04x, want %#04x: the recovery is wrong", p, i, have, want)
			}
			checked++
		}
	}
	return checked, nil
}

// sum applies the reference's rule to one weight: it widens both operands to fp32,
// adds them, and rounds the sum to bf16, to nearest with ties to even. It does not
// handle infinities and NaN, which the model does not contain.
func sum(base, delta uint16) uint16 {
	s := float16.Frombits(base).Float32() + math.Float32frombits(uint32(delta)<<16)
	bits := math.Float32bits(s)
	// Adding half a unit less one, plus the lowest bit that stays, carries into
	// the upper half exactly when the value must be rounded up.
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}
