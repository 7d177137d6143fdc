// Command ggufprobe lets check_gguf.py use the packages that read and write
// GGUF: it works on files and pipes whose other end is the Python package gguf.
//
//	ggufprobe types             prints the number, name, block and bytes of each type
//	ggufprobe write OUT         makes the file that JSON on the standard input describes
//	ggufprobe rewrite IN OUT    reads a file and writes it again
//	ggufprobe quantize          F32 numbers to blocks of Q8_0, from input to output
//	ggufprobe dequantize        the other way round
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/bounded"
	"github.com/koala-go/sdk/internal/gguf"
	"github.com/koala-go/sdk/internal/half"
	"github.com/koala-go/sdk/internal/tensor"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "ggufprobe:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 1 && args[0] == "types":
		return types()
	case len(args) == 2 && args[0] == "write":
		return write(args[1])
	case len(args) == 3 && args[0] == "rewrite":
		return rewrite(args[1], args[2])
	case len(args) == 1 && args[0] == "quantize":
		return pipe(4*half.Block8, half.Block8Bytes, half.Quantize8)
	case len(args) == 1 && args[0] == "dequantize":
		return pipe(half.Block8Bytes, 4*half.Block8, half.Dequantize8)
	}
	return errors.New("no such command")
}

// types prints [number, name, elements of a block, bytes of a block] of each.
func types() error {
	rows := [][4]any{}
	for number := range uint32(1000) {
		name := gguf.DType(number)
		if name == "" {
			continue
		}
		for n := int64(1); n <= 1024; n++ {
			if size, ok := name.Bytes([]int64{n}); ok {
				rows = append(rows, [4]any{number, name, n, size})
				break
			}
		}
	}
	return json.NewEncoder(os.Stdout).Encode(rows)
}

// pair holds one value besides the key.
type pair struct {
	Key    string
	Text   *string
	Uint   *uint32
	Float  *float32
	Truth  *bool
	Texts  []string
	Floats []float32
	Ints   []int32
}

func (p *pair) value() gguf.Value {
	switch {
	case p.Text != nil:
		return gguf.Text(*p.Text)
	case p.Uint != nil:
		return gguf.Uint(*p.Uint)
	case p.Float != nil:
		return gguf.Float(*p.Float)
	case p.Truth != nil:
		return gguf.Boolean(*p.Truth)
	case p.Texts != nil:
		return gguf.Texts(p.Texts)
	case p.Floats != nil:
		return gguf.Floats(p.Floats)
	}
	return gguf.Ints(p.Ints)
}

// description is a whole file; the data are in base64.
type description struct {
	Pairs   []pair
	Tensors []struct {
		Name  string
		DType dtype.Type
		Shape []int64
		Data  []byte
	}
}

func write(out string) error {
	var d description
	if err := json.NewDecoder(os.Stdin).Decode(&d); err != nil {
		return err
	}
	pairs := make([]gguf.Pair, len(d.Pairs))
	for i := range d.Pairs {
		pairs[i] = gguf.Pair{Key: d.Pairs[i].Key, Value: d.Pairs[i].value()}
	}
	tensors, data := make([]tensor.Tensor, len(d.Tensors)), make([][]byte, len(d.Tensors))
	for i, t := range d.Tensors {
		tensors[i], data[i] = tensor.Tensor{Name: t.Name, DType: t.DType, Shape: t.Shape}, t.Data
	}
	return save(out, pairs, tensors, data)
}

func rewrite(in, out string) error {
	file, err := os.Open(in)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	f, err := gguf.Read(file, info.Size())
	if err != nil {
		return err
	}
	data := make([][]byte, len(f.Tensors))
	for i := range f.Tensors {
		data[i] = make([]byte, f.Tensors[i].Bytes())
		if err := bounded.ReadFull(f.Tensors[i].Data, data[i], 0); err != nil {
			return err
		}
	}
	return save(out, f.Pairs(), f.Tensors, data)
}

// save lays out a file and fills in the data.
func save(out string, pairs []gguf.Pair, tensors []tensor.Tensor, data [][]byte) error {
	head, offsets, size, err := gguf.Header(pairs, tensors)
	if err != nil {
		return err
	}
	whole := append(head, make([]byte, size-int64(len(head)))...)
	for i := range data {
		if int64(len(data[i])) != tensors[i].Bytes() {
			return fmt.Errorf("tensor %q has %d bytes of data", tensors[i].Name, len(data[i]))
		}
		copy(whole[offsets[i]:], data[i])
	}
	return os.WriteFile(out, whole, 0o666)
}

// pipe turns blocks of so many bytes into others.
func pipe(from, to int, turn func(dst, src []byte)) error {
	src, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	dst := make([]byte, len(src)/from*to)
	turn(dst, src)
	_, err = os.Stdout.Write(dst)
	return err
}
