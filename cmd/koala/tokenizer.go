package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/strictjson"
	"github.com/koala-go/sdk/internal/vfs"
	"github.com/koala-go/sdk/tokenizer"
)

// tokenizerCmd is the verbs about tokens.
type tokenizerCmd struct {
	Encode  encodeCmd           `cmd:"" help:"Turn text into tokens."`
	Decode  decodeCmd           `cmd:"" help:"Turn tokens into text."`
	Count   countCmd            `cmd:"" help:"Count the tokens of texts."`
	Inspect tokenizerInspectCmd `cmd:"" help:"Show what a tokenizer is."`
	Export  tokenizerExportCmd  `cmd:"" help:"Write a tokenizer for SentencePiece or Hugging Face."`
}

// modelFlag chooses the tokenizer.
type modelFlag struct {
	Model string `placeholder:"FILE" help:"A tokenizer.model, tokenizer.json or GGUF file (default: LLaMA's vocabulary)."`
}

func (f *modelFlag) open() (*tokenizer.Tokenizer, error) {
	if f.Model == "" {
		return tokenizer.Default(), nil
	}
	return tokenizer.Open(f.Model)
}

// openInput opens a file, or standard input for "-".
func openInput(a *app, path string) (io.ReadCloser, error) {
	if path == "-" {
		return io.NopCloser(a.stdin), nil
	}
	return os.Open(path)
}

type decodeCmd struct {
	File string `arg:"" optional:"" default:"-" help:"One JSON array of ids a line (default: standard input)."`
	modelFlag
}

func (c *decodeCmd) Help() string {
	return `Prints one JSON string a line.

Example:
  echo '[15043, 3186]' | koala tokenizer decode`
}

func (c *decodeCmd) Run(a *app) error {
	t, err := c.open()
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

// parseIDs reads a JSON array of whole numbers.
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
		return nil, fmt.Errorf("%w: give one JSON array of ids a line", err)
	}
	return ids, nil
}

// printText prints a JSON string and a newline.
func printText(w *bufio.Writer, text []byte) {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	_ = e.Encode(string(text)) // the writer keeps its error for Flush
}

// readLine reads a line of any length without its newline. The error is io.EOF
// when there is none.
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

type tokenizerInspectCmd struct {
	modelFlag
	JSON bool `name:"json" help:"Print one JSON document."`
}

func (c *tokenizerInspectCmd) Help() string {
	return `Example:
  koala tokenizer inspect --model tokenizer.model`
}

// inspectedTokenizer describes a tokenizer.
type inspectedTokenizer struct {
	Kind       tokenizer.Kind             `json:"kind"`
	Size       int                        `json:"size"`
	Special    map[string]tokenizer.Token `json:"special"` // -1 for none
	Properties tokenizer.Properties       `json:"properties"`
}

func (c *tokenizerInspectCmd) Run(a *app) error {
	t, err := c.open()
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

type tokenizerExportCmd struct {
	modelFlag
	Format string `enum:"spm,hf" required:"" help:"Format to write: ${enum}."`
	Out    string `required:"" placeholder:"FILE" help:"Where to write; - for standard output."`
}

func (c *tokenizerExportCmd) Help() string {
	return `spm is a SentencePiece tokenizer.model, hf a tokenizer.json of Hugging Face's tokenizers.

Example:
  koala tokenizer export --format hf --out tokenizer.json`
}

func (c *tokenizerExportCmd) Run(a *app) error {
	t, err := c.open()
	if err != nil {
		return err
	}
	if c.Out == "-" {
		return t.Export(a.stdout, tokenizer.Format(c.Format))
	}
	return writeFile(c.Out, func(w io.Writer) error { return t.Export(w, tokenizer.Format(c.Format)) })
}

// writeFile puts a small file in its place in one step, over what stood there.
func writeFile(path string, write func(io.Writer) error) error {
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return err
	}
	stage, err := vfs.NewStage(vfs.OS, path)
	if err != nil {
		return err
	}
	const name = "file"
	f, err := stage.Create(name, int64(b.Len()))
	if err == nil {
		_, err = f.WriteAt(b.Bytes(), 0)
	}
	if err != nil {
		return errors.Join(err, stage.Discard())
	}
	return stage.Publish(name, true)
}
