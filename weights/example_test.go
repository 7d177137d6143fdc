package weights_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/source"
	"github.com/koala-go/sdk/weights"
)

// checkpoint writes the EasyLM stream of a tiny model for the examples to read.
// To open a real one, give its path.
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

// Open a checkpoint and describe it. Only headers are read.
func ExampleOpen() {
	path, remove := checkpoint()
	defer remove()

	c, err := weights.Open(context.Background(), path, nil)
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

// Open a checkpoint whose bytes are in memory. To open one of several files,
// put them into a source.Map, or use another Source such as source.FromFS, and
// open them by name.
func ExampleNewReader() {
	path, remove := checkpoint()
	defer remove()
	data, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}

	c, err := weights.NewReader(bytes.NewReader(data), int64(len(data)), &weights.OpenOptions{Heads: 4})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fmt.Println(c.Format, len(c.Tensors), "tensors")

	files := source.Map{"models/tiny.stream": bytes.NewReader(data)}
	named, err := weights.Open(context.Background(), "models/tiny.stream", &weights.OpenOptions{Source: files, Heads: 4})
	if err != nil {
		log.Fatal(err)
	}
	defer named.Close()
	fmt.Println(named.Path, named.Config.Layers, "layers")
	// Output:
	// easylm 21 tensors
	// models/tiny.stream 2 layers
}

// rangeReader reads a file of a web server by range requests.
type rangeReader struct {
	url  string
	size int64
}

func (r *rangeReader) Size() int64 { return r.size }

func (r *rangeReader) ReadAt(p []byte, off int64) (int, error) {
	if off >= r.size {
		return 0, io.EOF
	}
	request, err := http.NewRequest(http.MethodGet, r.url, nil)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", off, off+int64(len(p))-1))
	reply, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer reply.Body.Close()
	if reply.StatusCode != http.StatusPartialContent {
		return 0, fmt.Errorf("reading a range of %s: %s", r.url, reply.Status)
	}
	n, err := io.ReadFull(reply.Body, p)
	if err == io.ErrUnexpectedEOF { // the file ends within the range
		err = io.EOF
	}
	return n, err
}

// Open a checkpoint on a web server. Only the headers are fetched, and then the
// tensors that are read.
func ExampleNewReader_http() {
	path, remove := checkpoint()
	defer remove()
	server := httptest.NewServer(http.FileServer(http.Dir(filepath.Dir(path))))
	defer server.Close()
	url := server.URL + "/" + filepath.Base(path)

	head, err := http.Head(url)
	if err != nil {
		log.Fatal(err)
	}
	head.Body.Close()
	remote := &rangeReader{url, head.ContentLength}
	c, err := weights.NewReader(remote, remote.Size(), &weights.OpenOptions{Name: path, Heads: 4})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	norm := make([]float32, 2)
	if err := c.Tensor(weights.Param{Role: weights.Norm}).Float32s(norm, 0); err != nil {
		log.Fatal(err)
	}
	fmt.Println(c.Format, c.Config.Layers, "layers, norm", norm)
	// Output:
	// easylm 2 layers, norm [1.0488281 1.015625]
}

// Read the numbers of a weight as the file stores them.
func ExampleTensor_Float32s() {
	path, remove := checkpoint()
	defer remove()
	c, err := weights.Open(context.Background(), path, nil)
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

// Read a weight as another layout stores it, in blocks of rows: here a matrix
// of an EasyLM stream, [in, out], as Hugging Face's [out, in].
func ExampleCheckpoint_View() {
	path, remove := checkpoint()
	defer remove()
	c, err := weights.Open(context.Background(), path, nil)
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

// Write a checkpoint: specify it, plan it, write the weights, commit it.
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
	w, err := plan.Create(context.Background(), out, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer w.Abort() // does nothing after Commit
	for p := range spec.DTypes {
		zeros := make([]byte, plan.Placement(p).Bytes())
		if err := w.WriteAt(p, zeros, 0); err != nil {
			log.Fatal(err)
		}
	}
	if err := w.Commit(); err != nil { // the whole directory appears
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

// Guess the origin of a checkpoint from a few of its weights.
func ExampleCheckpoint_Provenance() {
	path, remove := checkpoint()
	defer remove()
	c, err := weights.Open(context.Background(), path, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	e, err := c.Provenance()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(e.Describe())
	// Output: a model whose weights are not bf16 numbers: a base, or a fine-tune in fp16 or fp32
}

// Add rows to a base for the tokens that a fine-tune added.
func ExampleCheckpoint_ResizeVocab() {
	path, remove := checkpoint()
	defer remove()
	c, err := weights.Open(context.Background(), path, nil)
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
