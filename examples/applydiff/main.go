// Command applydiff recovers a model from a base and a diff.
//
// Without arguments it shows the whole way on a small model of its own: it
// makes a base (fp16, Hugging Face layout) and a diff (bf16, EasyLM stream) in
// a temporary directory, recovers, checks every weight, and leaves nothing
// behind. With --base, --diff and --out it does the real thing.
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

// recoverReal recovers a model from files.
func recoverReal(ctx context.Context, w io.Writer, base, delta, out string) error {
	tenths := int64(0)
	report, err := diff.Recover(ctx, base, delta, out, &diff.Options{Progress: func(p diff.Progress) {
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

// demonstrate recovers a model that is made on the spot.
func demonstrate(ctx context.Context, w io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "applydiff-")
	if err != nil {
		return err
	}
	defer func() {
		if gone := os.RemoveAll(dir); err == nil {
			err = gone
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
	fmt.Fprintln(w, "Made a small model: a base in fp16 as Hugging Face lays it out, and a diff in bf16 as EasyLM does.")

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
	fmt.Fprintln(w, "A real run differs in its inputs alone: 13.5 GB of LLaMA-7B and 13.5 GB of diff, in at most 256 MiB of memory:")
	fmt.Fprintln(w, "  go run ./examples/applydiff --base llama-7b-hf --diff koala_7b_diff_v2 --out koala-7b")
	return nil
}

// printReport prints what was done.
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

// printFiles prints the output's files with their sha256.
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

// verify compares every weight of the output with the sum of what the model
// says base and diff are, computed here one by one.
func verify(out string, model modeltest.Model) (int, error) {
	c, err := weights.Open(out, nil)
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
				return 0, fmt.Errorf("%v, element %d is %#04x where %#04x is due", p, i, have, want)
			}
			checked++
		}
	}
	return checked, nil
}

// sum is the reference's rule on one weight: both widened to fp32, added,
// rounded to bf16 to nearest, ties to even. All values here are finite.
func sum(base, delta uint16) uint16 {
	s := float16.Frombits(base).Float32() + math.Float32frombits(uint32(delta)<<16)
	bits := math.Float32bits(s)
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}
