package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/strictjson"
	"github.com/koala-go/sdk/internal/vfs"
	"github.com/koala-go/sdk/tokenizer"
)

// tokenizerCmd is the verb tokenizer, with its own verbs.
type tokenizerCmd struct {
	Encode  encodeCmd           `cmd:"" help:"Turn text into tokens."`
	Decode  decodeCmd           `cmd:"" help:"Turn tokens into text."`
	Count   countCmd            `cmd:"" help:"Count the tokens of texts."`
	Inspect tokenizerInspectCmd `cmd:"" help:"Show the properties of a tokenizer."`
	Export  tokenizerExportCmd  `cmd:"" help:"Write a tokenizer in the format of SentencePiece or Hugging Face."`
}

// modelFlag is the flag that chooses the tokenizer.
type modelFlag struct {
	Model string `placeholder:"FILE" help:"A tokenizer.model, tokenizer.json or GGUF file (default: LLaMA's vocabulary)."`
}

// open returns the chosen tokenizer.
func (f *modelFlag) open(ctx context.Context) (*tokenizer.Tokenizer, error) {
	if f.Model == "" {
		return tokenizer.Default(), nil
	}
	return tokenizer.Open(ctx, f.Model, nil)
}

// openInput opens a file, or standard input for "-". The file may be a device or
// FIFO, which package vfs would reject.
func openInput(a *app, path string) (io.ReadCloser, error) {
	if path == "-" {
		return io.NopCloser(a.stdin), nil
	}
	return os.Open(path)
}

// decodeCmd is the verb tokenizer decode.
type decodeCmd struct {
	File string `arg:"" optional:"" default:"-" help:"File with one JSON array of ids per line (default: standard input)."`
	modelFlag
}

func (c *decodeCmd) Help() string {
	return `Prints one JSON string per line.

Example:
  echo '[15043, 3186]' | koala tokenizer decode`
}

func (c *decodeCmd) Run(a *app) error {
	t, err := c.open(a.ctx)
	if err != nil {
		return err
	}
	in, err := openInput(a, c.File)
	if err != nil {
		return err
	}
	defer in.Close()
	out := bufio.NewWriter(a.stdout)
	r := bufio.NewReader(in)
	var ids []tokenizer.Token
	var text []byte
	for n := 1; ; n++ {
		line, err := readLine(r)
		if err == io.EOF {
			return out.Flush()
		}
		if err == nil {
			err = a.ctx.Err()
		}
		if err == nil {
			ids, err = parseIDs(ids[:0], line)
		}
		if err == nil {
			text, err = t.AppendDecode(text[:0], ids)
		}
		if err != nil {
			_ = out.Flush()
			return fmt.Errorf("line %d: %w", n, err)
		}
		printText(out, text)
	}
}

// parseIDs appends the ids of a JSON array to ids.
func parseIDs(ids []tokenizer.Token, line []byte) ([]tokenizer.Token, error) {
	j := strictjson.New(line, 0)
	err := j.Array(func() error {
		id, err := j.Uint()
		if err == nil && id > 1<<31-1 {
			err = refusal.Malformed(j.Offset(), "", "id %d is out of range", id)
		}
		ids = append(ids, tokenizer.Token(id))
		return err
	})
	if err == nil {
		err = j.End()
	}
	if err != nil {
		return nil, fmt.Errorf("%w: give one JSON array of ids per line", err)
	}
	return ids, nil
}

// printText writes a JSON string and a newline.
func printText(w *bufio.Writer, text []byte) {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(string(text)) // the buffered writer keeps its error for Flush
}

// readLine reads a line of any length and returns it without its newline. The
// error is io.EOF if there is no line left.
func readLine(r *bufio.Reader) ([]byte, error) {
	line, err := r.ReadBytes('\n')
	if len(line) == 0 || err != nil && err != io.EOF {
		return nil, err
	}
	if line[len(line)-1] == '\n' {
		line = line[:len(line)-1]
	}
	return line, nil
}

// tokenizerInspectCmd is the verb tokenizer inspect.
type tokenizerInspectCmd struct {
	modelFlag
	JSON bool `name:"json" help:"Print one JSON document."`
}

func (c *tokenizerInspectCmd) Help() string {
	return `Example:
  koala tokenizer inspect --model tokenizer.model`
}

// inspectedTokenizer is the JSON output of tokenizer inspect.
type inspectedTokenizer struct {
	Kind       tokenizer.Kind             `json:"kind"`
	Size       int                        `json:"size"`
	Special    map[string]tokenizer.Token `json:"special"` // ids by name, -1 if there is no such token
	Properties tokenizer.Properties       `json:"properties"`
}

func (c *tokenizerInspectCmd) Run(a *app) error {
	t, err := c.open(a.ctx)
	if err != nil {
		return err
	}
	x := inspectedTokenizer{
		t.Kind(), t.Len(), map[string]tokenizer.Token{"unk": t.UNK(), "bos": t.BOS(), "eos": t.EOS(), "pad": t.PAD()}, t.Properties(),
	}
	if c.JSON {
		return printJSON(a.stdout, x)
	}
	p := x.Properties
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "kind\t%s\nsize\t%d pieces\n", x.Kind, x.Size)
	fmt.Fprintf(w, "special\tunk %d, bos %d, eos %d, pad %d\n", t.UNK(), t.BOS(), t.EOS(), t.PAD())
	fmt.Fprintf(w, "rules\tbyte fallback %t, prefix %t, spaces trimmed %t\n", p.ByteFallback, p.AddPrefix, p.TrimSpaces)
	fmt.Fprintf(w, "fast paths\tdirect %t, cut at runs %t, cut between pairs %t, words %t, linear %t\n", p.Direct, p.CutAtRuns, p.CutPairs, p.Words, p.Linear)
	fmt.Fprintf(w, "tables\t%d characters, %d pairs, %d merges\n", p.Characters, p.Pairs, p.Merges)
	return w.Flush()
}

// tokenizerExportCmd is the verb tokenizer export.
type tokenizerExportCmd struct {
	modelFlag
	Format string `enum:"${tokenizer_formats}" required:"" help:"Format to write: ${enum}."`
	Out    string `required:"" placeholder:"FILE" help:"File to write; - for standard output."`
}

func (c *tokenizerExportCmd) Help() string {
	return `spm is the tokenizer.model of SentencePiece, and hf the tokenizer.json of Hugging Face's
tokenizers. An existing file is replaced.

Example:
  koala tokenizer export --format hf --out tokenizer.json`
}

func (c *tokenizerExportCmd) Run(a *app) error {
	t, err := c.open(a.ctx)
	if err != nil {
		return err
	}
	if c.Out == "-" {
		return t.Export(a.stdout, tokenizer.Format(c.Format))
	}
	return vfs.WriteFile(a.ctx, c.Out, true, func(w io.Writer) error { return t.Export(w, tokenizer.Format(c.Format)) })
}
