package diff_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/koala-go/sdk/diff"
	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/progress"
	"github.com/koala-go/sdk/source"
	"github.com/koala-go/sdk/weights"
)

// files writes the base and the diff of a tiny model.
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

// Recover a model from LLaMA's weights and the released diff.
func ExampleRecover() {
	dir, base, delta := files()
	defer os.RemoveAll(dir)
	ctx, out := context.Background(), filepath.Join(dir, "koala")

	report, err := diff.Recover(ctx, base, delta, out, &diff.Options{
		DType:    dtype.BF16,                 // the reference's default
		Progress: func(progress.Progress) {}, // called with bytes done and in all
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

// A mistake is refused before anything is written.
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

// Make the diff of your own fine-tuning. It can be published where the base cannot.
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

// Convert weights to another format, layout or type.
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

// Describe a run without writing anything.
func ExamplePlanRecover() {
	dir, base, delta := files()
	defer os.RemoveAll(dir)

	plan, err := diff.PlanRecover(context.Background(), base, delta, filepath.Join(dir, "koala"), nil)
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

// Compare an output with its manifest, and then a sample of its weights with the sum
// of base and diff.
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

// Continue a run that was stopped. The output has the same bytes.
func ExampleRecover_resume() {
	dir, base, delta := files()
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "koala")

	ctx, stop := context.WithCancel(context.Background())
	_, err := diff.Recover(ctx, base, delta, out, &diff.Options{
		Resume:   true,
		Progress: func(progress.Progress) { stop() }, // as Ctrl-C does
	})
	fmt.Println(err)
	_, err = diff.Recover(context.Background(), base, delta, out, &diff.Options{Resume: true})
	fmt.Println(err)
	// Output:
	// context canceled
	// <nil>
}

// Convert weights for llama.cpp: to one GGUF file of eight bits a weight.
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

// Recover a model whose inputs are not local files. Any source.Source can serve
// them; here they are in memory.
func ExampleRecover_source() {
	dir, base, delta := files()
	defer os.RemoveAll(dir)
	inputs := source.Map{}
	for name, path := range map[string]string{
		"base/model.safetensors": filepath.Join(base, "model.safetensors"),
		"base/config.json":       filepath.Join(base, "config.json"),
		"diff":                   delta,
	} {
		data, err := os.ReadFile(path)
		if err != nil {
			fmt.Println(err)
			return
		}
		inputs[name] = bytes.NewReader(data)
	}

	report, err := diff.Recover(context.Background(), "base", "diff", filepath.Join(dir, "koala"), &diff.Options{Source: inputs})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.Inputs[0].Path, report.Inputs[0].Format, "+", report.Inputs[1].Path, report.Inputs[1].Format)
	// Output: base safetensors + diff easylm
}

// Verify files that were made elsewhere against a published list of checksums.
func ExampleVerify_sums() {
	dir, base, _ := files()
	defer os.RemoveAll(dir)
	data, err := os.ReadFile(filepath.Join(base, "model.safetensors"))
	if err != nil {
		fmt.Println(err)
		return
	}
	list := filepath.Join(dir, "SHA256SUMS") // as sha256sum writes it
	line := fmt.Sprintf("%x  model.safetensors\n", sha256.Sum256(data))
	if err := os.WriteFile(list, []byte(line), 0o644); err != nil {
		fmt.Println(err)
		return
	}

	report, err := diff.Verify(context.Background(), base, &diff.VerifyOptions{Sums: list})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.Files, "file,", len(report.Differences), "differences")
	// Output: 1 file, 0 differences
}

// Check a run first, and then run it.
func ExamplePlan_Run() {
	dir, base, _ := files()
	defer os.RemoveAll(dir)
	ctx := context.Background()

	plan, err := diff.PlanConvert(ctx, base, filepath.Join(dir, "out"), &diff.Options{Format: weights.FormatTorch})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer plan.Close()
	if s := plan.Summary(); len(s.Warnings) > 0 {
		fmt.Println(s.Warnings)
		return
	}
	report, err := plan.Run(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(report.Tensors, "tensors in", report.Files[0].Name)
	// Output: 21 tensors in consolidated.00.pth
}

// Read what an output was made from.
func ExampleReadManifest() {
	dir, base, delta := files()
	defer os.RemoveAll(dir)
	ctx, out := context.Background(), filepath.Join(dir, "koala")
	if _, err := diff.Recover(ctx, base, delta, out, nil); err != nil {
		fmt.Println(err)
		return
	}

	m, err := diff.ReadManifest(ctx, filepath.Join(out, diff.ManifestName))
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, in := range m.Inputs {
		fmt.Println(in.Name, in.Files[0].Name)
	}
	// Output:
	// base model.safetensors
	// diff diff
}
