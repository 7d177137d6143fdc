// Command decode measures the forward pass on a model in memory. bench/decode.py
// runs it together with llama.cpp on the same file.
//
//	decode write OUT bf16|fp16    writes a model of 1.26 G random weights
//	decode run MODEL              reads lines "PROMPT REPLY", two numbers of tokens,
//	                              and prints the seconds that each takes
package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/forward"
	"github.com/koala-go/sdk/internal/half"
	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/weights"
)

func main() {
	var err error
	switch {
	case len(os.Args) == 4 && os.Args[1] == "write":
		err = write(os.Args[2], map[string]dtype.Type{"bf16": dtype.BF16, "fp16": dtype.F16}[os.Args[3]])
	case len(os.Args) == 3 && os.Args[1] == "run":
		err = run(os.Args[2])
	default:
		err = fmt.Errorf("usage: decode write OUT bf16|fp16, or decode run MODEL")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "decode:", err)
		os.Exit(1)
	}
}

// write writes a GGUF file with LLaMA's vocabulary.
func write(path string, dt dtype.Type) error {
	s := modeltest.GGUFSpec("random", weights.Config{Layers: 22, Dim: 2048, FFN: 5632, Heads: 32, NormEps: 1e-6, Context: 2048}, dt)
	plan, err := s.Plan()
	if err != nil {
		return err
	}
	w, err := plan.Create(context.Background(), path, nil)
	if err != nil {
		return err
	}
	for i, p := range plan.Order() {
		if err := w.WriteAt(p, random(plan.Placement(p), s.DTypes[p], uint64(i)), 0); err != nil {
			return err
		}
	}
	if _, err := w.Finish(); err != nil {
		return err
	}
	return w.Commit()
}

// random returns the bytes of a tensor. Norms are ones; matrices are xorshift
// numbers between -0.04 and 0.04.
func random(at weights.Placement, t dtype.Type, seed uint64) []byte {
	n := int64(1)
	for _, side := range at.Shape {
		n *= side
	}
	b := make([]byte, n*t.Size())
	if t == dtype.F32 {
		for i := range n {
			binary.LittleEndian.PutUint32(b[4*i:], math.Float32bits(1))
		}
		return b
	}
	x := seed<<32 + 1
	for i := range n {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		value := 0.04 * (float32(uint16(x))/0x8000 - 1)
		bits := half.ToBF16(value)
		if t == dtype.F16 {
			bits = half.ToF16(value)
		}
		binary.LittleEndian.PutUint16(b[2*i:], bits)
	}
	return b
}

func run(path string) error {
	ctx := context.Background()
	c, err := weights.Open(context.Background(), path, nil)
	if err != nil {
		return err
	}
	m, err := forward.Load(ctx, c, &forward.Options{Fast: true})
	if err != nil {
		return err
	}
	fmt.Println("ready", half.Kernel())
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var promptTokens, replyTokens int
		if _, err := fmt.Sscan(lines.Text(), &promptTokens, &replyTokens); err != nil {
			return err
		}
		first, rest, err := measure(ctx, m, promptTokens, replyTokens)
		if err != nil {
			return err
		}
		fmt.Println(first.Seconds(), rest.Seconds())
	}
	return nil
}

// measure returns the time for a prompt and the time for a greedy reply.
func measure(ctx context.Context, m *forward.Model, promptTokens, replyTokens int) (first, rest time.Duration, err error) {
	ids := make([]int32, promptTokens)
	for i := range ids {
		ids[i] = int32(100 + 37*i%30000)
	}
	s := m.NewSession()
	start := time.Now()
	logits, err := s.Append(ctx, ids)
	first = time.Since(start)
	start = time.Now()
	for i := 0; i < replyTokens && err == nil; i++ {
		best := int32(0)
		for id, l := range logits {
			if l > logits[best] {
				best = int32(id)
			}
		}
		logits, err = s.Append(ctx, []int32{best})
	}
	return first, time.Since(start), err
}
