// Command sparse writes a pair of checkpoints of any size that take no room on the
// disk: a base DIR/base (fp16, Hugging Face's layout) and a diff DIR/diff.stream
// (bf16, EasyLM stream). All weights are zero, and the files are sparse.
//
//	go -C bench run ./sparse DIR LAYERS WIDTH FEED-FORWARD HEADS
package main

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/weights"
)

func main() {
	m := modeltest.Model{Vocab: 32000}
	if len(os.Args) != 6 {
		log.Fatal("sparse: give DIR LAYERS WIDTH FEED-FORWARD HEADS")
	}
	for i, n := range []*int{&m.Layers, &m.Dim, &m.FFN, &m.Heads} {
		if _, err := fmt.Sscan(os.Args[i+2], n); err != nil {
			log.Fatalf("sparse: %s: %v", os.Args[i+2], err)
		}
	}
	for name, o := range map[string]*modeltest.Options{
		"base":        {Format: weights.FormatSafetensors, DType: dtype.F16},
		"diff.stream": {Format: weights.FormatEasyLM, DType: dtype.BF16},
	} {
		if err := m.Write(filepath.Join(os.Args[1], name), o); err != nil {
			log.Fatal(err)
		}
	}
}
