package weights_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/weights"
)

// checkpoint makes a tiny model's EasyLM stream for the examples to read. With
// a real one, its path is all you need.
func checkpoint() (path string, remove func()) {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	path = filepath.Join(dir, "tiny.stream")
	o := &modeltest.Options{Format: weights.FormatEasyLM, DType: dtype.F16, Values: modeltest.Tiny.Base}
	if err := modeltest.Tiny.Write(path, o); err != nil {
		log.Fatal(err)
	}
	return path, func() { os.RemoveAll(dir) }
}

// Open a checkpoint and see what it is. Only headers are read.
func ExampleOpen() {
	path, remove := checkpoint()
	defer remove()

	c, err := weights.Open(path, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	if err := c.Complete(); err != nil { // is it one whole LLaMA model?
		log.Fatal(err)
	}

	fmt.Println(c.Format, "in the layout of", c.Layout)
	fmt.Println(c.Config.Layers, "layers,", c.Config.Parameters(), "parameters")
	for _, p := range c.Params()[:3] {
		t := c.Tensor(p)
		fmt.Println(p, "is", t.Name, t.DType, t.Shape)
	}
	// Output:
	// easylm in the layout of easylm
	// 2 layers, 117056 parameters
	// embed is transformer/wte/embedding F16 [128 64]
	// layer 0 q is transformer/h/0/attention/wq/kernel F16 [64 64]
	// layer 0 k is transformer/h/0/attention/wk/kernel F16 [64 64]
}

// Read a weight's numbers as the file has them.
func ExampleTensor_Float32s() {
	path, remove := checkpoint()
	defer remove()
	c, err := weights.Open(path, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	norm := c.Tensor(weights.Param{Role: weights.Norm})
	values := make([]float32, 4)
	if err := norm.Float32s(values, 0); err != nil { // from element 0 on
		log.Fatal(err)
	}
	fmt.Println(norm.Name, values)
	// Output:
	// transformer/ln_f/kernel [1.0488281 1.015625 1.1035156 1.0546875]
}

// Read a weight as another layout would store it: here a matrix of an EasyLM
// stream, [in, out], as Hugging Face's, [out, in], in blocks of rows.
func ExampleCheckpoint_View() {
	path, remove := checkpoint()
	defer remove()
	c, err := weights.Open(path, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	gate := weights.Param{Layer: 1, Role: weights.Gate}
	v, err := c.View(gate, weights.HuggingFace)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(c.Tensor(gate).Name, c.Tensor(gate).Shape)
	fmt.Println(weights.HuggingFace.Name(gate), v.Shape)

	const block = 100 // rows
	buf := make([]byte, block*v.RowBytes())
	for first := int64(0); first < v.Rows(); first += block {
		n := min(block, v.Rows()-first)
		if err := v.ReadRows(buf[:n*v.RowBytes()], first, n, nil); err != nil {
			log.Fatal(err)
		}
		fmt.Println("rows", first, "to", first+n-1)
	}
	// Output:
	// transformer/h/1/feed_forward/w1/kernel [64 176]
	// model.layers.1.mlp.gate_proj.weight [176 64]
	// rows 0 to 99
	// rows 100 to 175
}

// Write a checkpoint: say what it shall be, plan it, fill it in, commit it.
func ExampleSpec() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "model")

	spec := weights.Spec{
		Format: weights.FormatSafetensors, // a Hugging Face directory
		Config: weights.Config{Layers: 1, Dim: 8, FFN: 16, Vocab: 10, Heads: 2},
		DTypes: map[weights.Param]dtype.Type{},
	}
	for _, p := range spec.Config.Params() {
		spec.DTypes[p] = dtype.BF16
	}
	plan, err := spec.Plan()
	if err != nil {
		log.Fatal(err)
	}
	w, err := plan.Create(out, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer w.Abort() // does nothing after Commit
	for p := range spec.DTypes {
		zeros := make([]byte, plan.Place(p).Bytes())
		if err := w.WriteAt(p, zeros, 0); err != nil {
			log.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil { // the directory appears, whole
		log.Fatal(err)
	}

	for _, f := range plan.Files {
		fmt.Println(f.Name)
	}
	// Output:
	// model.safetensors
	// config.json
	// generation_config.json
}

// What a few of the weights tell of where they come from.
func ExampleCheckpoint_Evidence() {
	path, remove := checkpoint()
	defer remove()
	c, err := weights.Open(path, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	e, err := c.Evidence()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(e.Suggests())
	// Output: a model whose weights are not bf16 numbers: a base, or a fine-tune in fp16 or fp32
}

// A base gets rows for the tokens that a fine-tune added.
func ExampleCheckpoint_ResizeVocab() {
	path, remove := checkpoint()
	defer remove()
	c, err := weights.Open(path, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	if err := c.ResizeVocab(c.Config.Vocab + 1); err != nil {
		log.Fatal(err)
	}
	fmt.Println(c.Tensor(weights.Param{Role: weights.Embed}).Shape, c.Tensor(weights.Param{Role: weights.Output}).Shape)
	// Output: [129 64] [64 129]
}
