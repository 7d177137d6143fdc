// Command bench measures the tokenizer and its Go peers on one goroutine. It prints
// a JSON object of processor seconds, whose keys are "MEASUREMENT CORPUS". run.py
// runs it together with the Python peers and prints the table.
//
//	bench -model tokenizer.model NAME=FILE…
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	eliben "github.com/eliben/go-sentencepiece"
	sugarme "github.com/sugarme/tokenizer"
	"github.com/sugarme/tokenizer/pretrained"

	"github.com/koala-go/sdk/tokenizer"
)

var seconds = map[string]float64{}

func main() {
	peers := flag.Bool("peers", false, "measure the Go peers too, which takes long")
	flag.Parse()
	for _, arg := range flag.Args() {
		name, path, _ := strings.Cut(arg, "=")
		text, err := os.ReadFile(path)
		check(err)
		koala(name, strings.Split(string(text), "\n"), string(text))
		if *peers {
			goPeers(name, strings.Split(string(text), "\n"))
		}
	}
	check(json.NewEncoder(os.Stdout).Encode(seconds))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// timed records the processor time of f.
func timed(what, corpus string, f func()) {
	start := cpuTime()
	f()
	seconds[what+" "+corpus] = (cpuTime() - start).Seconds()
}

// clocked records the elapsed time of f.
func clocked(what, corpus string, f func()) {
	start := time.Now()
	f()
	seconds[what+" "+corpus] = time.Since(start).Seconds()
}

// fresh returns a tokenizer with empty caches.
func fresh() *tokenizer.Tokenizer {
	var b bytes.Buffer
	check(tokenizer.Default().Export(&b, tokenizer.FormatSPM))
	t, err := tokenizer.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
	check(err)
	runtime.GC() // so that garbage of the load is not collected during a measurement
	return t
}

func koala(corpus string, lines []string, whole string) {
	t := fresh()
	ids := make([]tokenizer.Token, 0, len(whole))
	pass := func() {
		for _, line := range lines {
			ids = t.AppendEncode(ids[:0], line, nil)
		}
	}
	timed("cold", corpus, pass)
	timed("warm", corpus, pass)
	ids = t.AppendEncode(ids[:0], whole, nil) // page faults happen here
	timed("document", corpus, func() { ids = t.AppendEncode(ids[:0], whole, nil) })
	timed("lines", corpus, func() { // into one slice, like the document
		ids = ids[:0]
		for _, line := range lines {
			ids = t.AppendEncode(ids, line, nil)
		}
	})
	many := lines
	for len(many) < 200000 {
		many = append(many, lines...)
	}
	clocked("workers 1", corpus, func() { t.EncodeBatch(many, nil, 1) })
	clocked("workers 2", corpus, func() { t.EncodeBatch(many, nil, 2) })
	rows := t.EncodeBatch(lines, nil, 0)
	out := make([]byte, 0, len(whole))
	decode := func() {
		for _, row := range rows {
			var err error
			out, err = t.AppendDecode(out[:0], row)
			check(err)
		}
	}
	decode()
	timed("decode", corpus, decode)
}

// goPeers measures the Go peers on the first 20 kB, because they are slow.
func goPeers(corpus string, lines []string) {
	n := 0
	for i, line := range lines {
		if n += len(line); n > 20000 {
			lines = lines[:i]
			break
		}
	}
	folder, err := os.MkdirTemp("", "bench")
	check(err)
	defer os.RemoveAll(folder)
	for name, format := range map[string]tokenizer.Format{"tokenizer.model": tokenizer.FormatSPM, "tokenizer.json": tokenizer.FormatHF} {
		f, err := os.Create(filepath.Join(folder, name))
		check(err)
		check(tokenizer.Default().Export(f, format))
		check(f.Close())
	}
	if _, err := eliben.NewProcessorFromPath(filepath.Join(folder, "tokenizer.model")); err != nil {
		fmt.Fprintln(os.Stderr, "eliben/go-sentencepiece refuses the model:", err)
	}
	peer, err := pretrained.FromFile(filepath.Join(folder, "tokenizer.json"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "sugarme/tokenizer refuses the model:", err)
		return
	}
	differs := 0
	timed("sugarme", corpus, func() {
		for _, line := range lines {
			e, err := peer.Encode(sugarme.NewSingleEncodeInput(sugarme.NewInputSequence(line)), false)
			if err != nil || len(e.Ids) != tokenizer.Default().Count(line, nil) {
				differs++
			}
		}
	})
	seconds["sugarme bytes "+corpus] = float64(n)
	fmt.Fprintf(os.Stderr, "sugarme/tokenizer differs on %d of %d lines of %s\n", differs, len(lines), corpus)
}
