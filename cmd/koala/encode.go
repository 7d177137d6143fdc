package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/koala-go/sdk/internal/parallel"
	"github.com/koala-go/sdk/internal/strictjson"
	"github.com/koala-go/sdk/tokenizer"
)

// Values of --in.
const (
	inputText  = "text"
	inputLines = "lines"
	inputJSONL = "jsonl"
)

// Values of --out.
const (
	outputIDs     = "ids"
	outputPieces  = "pieces"
	outputCount   = "count"
	outputOffsets = "offsets"
	outputNone    = "none"
)

// encodeFlags are the flags that encode and count share.
type encodeFlags struct {
	File     string `arg:"" optional:"" default:"-" help:"File with the text (default: standard input)."`
	In       string `enum:"${text_inputs}" default:"text" help:"Format of the input: ${enum} (default ${default})."`
	BOS      bool   `name:"bos" help:"Put the beginning-of-sequence token before each text."`
	EOS      bool   `name:"eos" help:"Put the end-of-sequence token after each text."`
	Specials string `enum:"${special_modes}" default:"none" help:"Treatment of special tokens in a text, such as <s>: ${enum} (default ${default}, which makes them ordinary text)."`
	Strict   bool   `help:"Reject text that is not UTF-8. Without this flag each invalid byte is read as U+FFFD."`
	Workers  int    `placeholder:"N" help:"Number of goroutines that encode (default: one per processor)."`
	Stats    bool   `help:"Print the numbers of texts, bytes and tokens, and the seconds spent encoding, on standard error."`
	modelFlag
}

// encodeCmd is the verb tokenizer encode.
type encodeCmd struct {
	encodeFlags
	Out string `enum:"${token_outputs}" default:"ids" help:"What to print for each text: ${enum} (default ${default})."`
}

func (c *encodeCmd) Help() string {
	return `Prints one JSON value per text, each on a line. With --in text the whole input is one text. With
lines each line is a text, without its newline. With jsonl each line is a JSON string. Offsets
are [begin, end) in bytes of the text.

Example:
  echo '"Hello"' | koala tokenizer encode --in jsonl --out pieces`
}

func (c *encodeCmd) Run(a *app) error { return c.run(a, c.Out) }

// countCmd is the verb tokenizer count.
type countCmd struct{ encodeFlags }

func (c *countCmd) Help() string {
	return `Does the same as koala tokenizer encode --out count.

Example:
  koala tokenizer count --in lines prompts.txt`
}

func (c *countCmd) Run(a *app) error { return c.run(a, outputCount) }

// blockBytes is the size in bytes of the text that is read, encoded and printed
// at a time.
const blockBytes = 8 << 20

// encoding is one run of encode.
type encoding struct {
	*encodeFlags
	t      *tokenizer.Tokenizer
	opts   *tokenizer.Options
	output string // the value of --out
	out    *bufio.Writer
	parts  []encodedPart // one for each worker, used again for each block
	line   int           // number of lines read
	stats  struct {
		Texts   int     `json:"texts"`
		Bytes   int     `json:"bytes"`
		Tokens  int     `json:"tokens"`
		Seconds float64 `json:"seconds"`
	}
}

// encodedPart is the tokens of a worker's share of a block.
type encodedPart struct {
	ids   []tokenizer.Token
	spans []tokenizer.Span
	ends  []int // the end of each text's tokens in ids, or in the sequence of all tokens if they are not kept
	n     int   // number of tokens
}

// run encodes the input and prints what output asks for.
func (c *encodeFlags) run(a *app, output string) error {
	t, err := c.open(a.ctx)
	if err != nil {
		return err
	}
	mode, err := tokenizer.ParseSpecials(c.Specials)
	if err != nil {
		return err
	}
	in, err := openInput(a, c.File)
	if err != nil {
		return err
	}
	defer in.Close()
	e := &encoding{
		encodeFlags: c, t: t, opts: &tokenizer.Options{BOS: c.BOS, EOS: c.EOS, Specials: mode},
		output: output, out: bufio.NewWriterSize(a.stdout, 1<<16), parts: make([]encodedPart, parallel.Workers(c.Workers)),
	}
	err = e.all(a, in)
	if flushed := e.out.Flush(); err == nil {
		err = flushed
	}
	if err == nil && c.Stats {
		err = json.NewEncoder(a.stderr).Encode(e.stats)
	}
	return err
}

// all reads, encodes and prints the input block by block.
func (e *encoding) all(a *app, in io.Reader) error {
	if e.In == inputText {
		text, err := io.ReadAll(in)
		if err != nil {
			return err
		}
		return e.block(a.ctx, []string{string(text)})
	}
	r := bufio.NewReaderSize(in, 1<<16)
	for end := false; !end; {
		var texts []string
		for size := 0; size < blockBytes; {
			text, err := e.next(r)
			if end = err == io.EOF; end {
				break
			}
			if err != nil {
				return err
			}
			texts = append(texts, text)
			size += len(text) + 1
		}
		if err := a.ctx.Err(); err != nil {
			return err
		}
		if err := e.block(a.ctx, texts); err != nil {
			return err
		}
	}
	return nil
}

// next reads a text. The error is io.EOF if there is no text left.
func (e *encoding) next(r *bufio.Reader) (string, error) {
	line, err := readLine(r)
	if err != nil {
		return "", err
	}
	if e.line++; e.In == inputLines {
		return string(line), nil
	}
	j := strictjson.New(line, 0)
	text, err := j.String()
	if err == nil {
		err = j.End()
	}
	if err != nil {
		return "", fmt.Errorf("%w: line %d: give one JSON string per line", err, e.line)
	}
	return text, nil
}

// block encodes the texts of a block and prints the results in order. Each part
// gets a contiguous share of the texts.
func (e *encoding) block(ctx context.Context, texts []string) error {
	if err := e.check(texts); err != nil {
		return err
	}
	start := time.Now()
	share := (len(texts) + len(e.parts) - 1) / len(e.parts)
	err := parallel.For(ctx, len(e.parts), len(e.parts), func(_ context.Context, i int) error {
		e.encode(&e.parts[i], texts[min(i*share, len(texts)):min((i+1)*share, len(texts))])
		return nil
	})
	if err != nil {
		return err
	}
	e.stats.Seconds += time.Since(start).Seconds()
	e.stats.Texts += len(texts)
	for _, text := range texts {
		e.stats.Bytes += len(text)
	}
	for i := range e.parts {
		e.stats.Tokens += e.parts[i].n
		e.write(&e.parts[i])
	}
	return nil
}

// check returns an error for the first text that is not UTF-8, if --strict is
// set.
func (e *encoding) check(texts []string) error {
	for i, text := range texts {
		if !e.Strict {
			break
		}
		if err := tokenizer.CheckText(text); err != nil {
			return fmt.Errorf("text %d: %w", e.stats.Texts+i+1, err)
		}
	}
	return nil
}

// encode encodes a share of the texts.
func (e *encoding) encode(p *encodedPart, texts []string) {
	p.ids, p.spans, p.ends, p.n = p.ids[:0], p.spans[:0], p.ends[:0], 0
	for _, text := range texts {
		switch e.output {
		case outputOffsets:
			p.ids, p.spans = e.t.AppendEncodeSpans(p.ids, p.spans, text, e.opts)
			p.ends = append(p.ends, len(p.ids))
		case outputNone, outputCount: // the tokens are counted and not kept
			p.ids = e.t.AppendEncode(p.ids[:0], text, e.opts)
			p.n += len(p.ids)
			p.ends = append(p.ends, p.n)
		default:
			p.ids = e.t.AppendEncode(p.ids, text, e.opts)
			p.ends = append(p.ends, len(p.ids))
		}
	}
	if len(p.ends) > 0 {
		p.n = p.ends[len(p.ends)-1]
	}
}

// write prints the results of a part.
func (e *encoding) write(p *encodedPart) {
	begin := 0
	var line []byte
	for _, end := range p.ends {
		line = line[:0]
		switch e.output {
		case outputNone:
			return
		case outputCount:
			line = strconv.AppendInt(line, int64(end-begin), 10)
		case outputOffsets:
			line = appendList(line, p.spans[begin:end], appendSpan)
		case outputPieces:
			line = appendList(line, p.ids[begin:end], e.appendPiece)
		default:
			line = appendList(line, p.ids[begin:end], appendID)
		}
		line = append(line, '\n')
		_, _ = e.out.Write(line) // the buffered writer keeps its error for Flush
		begin = end
	}
}

// appendList appends a JSON array whose elements item appends.
func appendList[T any](line []byte, items []T, item func([]byte, T) []byte) []byte {
	line = append(line, '[')
	for i, x := range items {
		if i > 0 {
			line = append(line, ',')
		}
		line = item(line, x)
	}
	return append(line, ']')
}

func appendID(line []byte, id tokenizer.Token) []byte {
	return strconv.AppendInt(line, int64(id), 10)
}

func appendSpan(line []byte, s tokenizer.Span) []byte {
	return fmt.Appendf(line, "[%d,%d]", s.Begin, s.End)
}

func (e *encoding) appendPiece(line []byte, id tokenizer.Token) []byte {
	var b bytes.Buffer
	j := json.NewEncoder(&b)
	j.SetEscapeHTML(false)
	_ = j.Encode(e.t.Piece(id)) // encoding a string does not fail
	return append(line, bytes.TrimSpace(b.Bytes())...)
}
