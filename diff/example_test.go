package diff_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/koala-go/sdk/diff"
	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/weights"
)

// files makes a base and a diff of a tiny model.
func files() (dir, base, delta string) {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		panic(err)
	}
	m := modeltest.Tiny
	base, delta = filepath.Join(dir, "base"), filepath.Join(dir, "diff")
	err = errors.Join(
		m.Write(base, &modeltest.Options{Format: weights.FormatSafetensors, DType: dtype.F16, Values: m.Base}),
		m.Write(delta, &modeltest.Options{Format: weights.FormatEasyLM, DType: dtype.BF16, Values: m.Diff}))
	if err != nil {
		panic(err)
	}
	return dir, base, delta
}

// The way from LLaMA's weights and the released diff to the model.
func ExampleRecover() {
	dir, base, delta := files()
	defer os.RemoveAll(dir)
	ctx, out := context.Background(), filepath.Join(dir, "koala")

	report, err := diff.Recover(ctx, base, delta, out, &diff.Options{
		DType:    dtype.BF16,             // the reference's default
		Progress: func(diff.Progress) {}, // called with bytes done and in all
	})
	var refused *diff.CheckError
	if errors.As(err, &refused) {
		fmt.Println("check", refused.Check, "says", refused.Cure)
		return
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.Tensors, "tensors,", report.Parameters, "parameters,", report.Rule)
	// Output: 21 tensors, 117056 parameters, base + diff in F32, rounded to BF16
}

// A mistake is refused before a byte is written.
func ExampleRecover_swapped() {
	dir, base, delta := files()
	defer os.RemoveAll(dir)

	_, err := diff.Recover(context.Background(), delta, base, filepath.Join(dir, "koala"), nil)
	var refused *diff.CheckError
	if errors.As(err, &refused) {
		fmt.Println(refused.Check+":", refused.Cure)
	}
	// Output: swapped: base and diff look swapped: exchange them
}

// A diff of one's own fine-tune, which can be published where the base cannot.
func ExampleMake() {
	dir, base, delta := files()
	defer os.RemoveAll(dir)
	ctx, target := context.Background(), filepath.Join(dir, "target")
	if _, err := diff.Recover(ctx, base, delta, target, &diff.Options{DType: dtype.F32}); err != nil {
		fmt.Println(err)
		return
	}

	report, err := diff.Make(ctx, base, target, filepath.Join(dir, "mine"), &diff.Options{Format: weights.FormatEasyLM})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.Format, report.DType, report.Rule)
	// Output: easylm BF16 target - base in F32, rounded to BF16
}

// Another format, layout or type for the same weights.
func ExampleConvert() {
	dir, base, _ := files()
	defer os.RemoveAll(dir)

	report, err := diff.Convert(context.Background(), base, filepath.Join(dir, "stream"), &diff.Options{Format: weights.FormatEasyLM})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.Inputs[0].Layout, "to", report.Format, "in", report.WriteBytes, "bytes")
	// Output: huggingface to easylm in 235331 bytes
}

// What a run would do, without doing it.
func ExamplePlanRecover() {
	dir, base, delta := files()
	defer os.RemoveAll(dir)

	plan, err := diff.PlanRecover(base, delta, filepath.Join(dir, "koala"), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer plan.Close()
	for _, f := range plan.Summary().Files {
		fmt.Println(f.Name, f.Size > 0)
	}
	// Output:
	// model.safetensors true
	// README.md true
	// config.json true
	// generation_config.json true
}

// An output is compared with its manifest, and then, weight by weight, with
// what its base and diff give.
func ExampleVerify() {
	dir, base, delta := files()
	defer os.RemoveAll(dir)
	ctx, out := context.Background(), filepath.Join(dir, "koala")
	if _, err := diff.Recover(ctx, base, delta, out, nil); err != nil {
		fmt.Println(err)
		return
	}
	for _, against := range []*diff.VerifyOptions{nil, {Base: base, Diff: delta, Sample: 0.01}} {
		report, err := diff.Verify(ctx, out, against)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(report.Files, "files,", report.Tensors, "tensors,", len(report.Differences), "differences")
	}
	// Output:
	// 4 files, 0 tensors, 0 differences
	// 4 files, 21 tensors, 0 differences
}

// A run that is stopped goes on later, to the same bytes.
func ExampleRecover_resume() {
	dir, base, delta := files()
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "koala")

	ctx, stop := context.WithCancel(context.Background())
	_, err := diff.Recover(ctx, base, delta, out, &diff.Options{
		Resume:   true,
		Progress: func(diff.Progress) { stop() }, // as Ctrl-C does
	})
	fmt.Println(err)
	_, err = diff.Recover(context.Background(), base, delta, out, &diff.Options{Resume: true})
	fmt.Println(err)
	// Output:
	// context canceled
	// <nil>
}

// The same weights for llama.cpp: one GGUF file of eight bits a weight.
func ExampleConvert_gguf() {
	dir, base, _ := files()
	defer os.RemoveAll(dir)

	report, err := diff.Convert(context.Background(), base, filepath.Join(dir, "tiny.gguf"), &diff.Options{
		Format: weights.FormatGGUF, DType: dtype.Q8_0,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.Format, report.DType, report.Tensors, "tensors")
	// Output: gguf Q8_0 21 tensors
}
