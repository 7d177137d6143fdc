package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/koala-go/sdk/internal/strictjson"
	"github.com/koala-go/sdk/tokenizer"
)

// encodeFlags are what encode and count have in common.
type encodeFlags struct {
	File     string `arg:"" optional:"" default:"-" help:"The text (default: standard input)."`
	In       string `enum:"text,lines,jsonl" default:"text" help:"How to read it: ${enum} (default ${default})."`
	BOS      bool   `name:"bos" help:"Begin each text with BOS."`
	EOS      bool   `name:"eos" help:"End each text with EOS."`
	Specials string `enum:"none,hf-legacy,hf,llama.cpp" default:"none" help:"How to read <s> and the like in text: ${enum} (default ${default})."`
	Strict   bool   `help:"Refuse text that is not UTF-8; without it each bad byte is read as U+FFFD."`
	Workers  int    `placeholder:"N" help:"Goroutines that encode (default: one a core)."`
	Stats    bool   `help:"Print texts, bytes, tokens and seconds of encoding on stderr."`
	modelFlag
}

type encodeCmd struct {
	encodeFlags
	Out string `enum:"ids,pieces,count,offsets,none" default:"ids" help:"What to print of each text: ${enum} (default ${default})."`
}

func (c *encodeCmd) Help() string {
	return `Prints one JSON value a text and line. With --in text the whole input is one text; with
lines each line is one, without its newline; with jsonl each line is a JSON string. Offsets
are [begin, end) in bytes of the text.

Example:
  echo '"Hello"' | koala tokenizer encode --in jsonl --out pieces`
}

func (c *encodeCmd) Run(a *app) error { return c.run(a, c.Out) }

type countCmd struct{ encodeFlags }

func (c *countCmd) Help() string {
	return `The same as koala tokenizer encode --out count.

Example:
  koala tokenizer count --in lines prompts.txt`
}

func (c *countCmd) Run(a *app) error { return c.run(a, "count") }

// blockBytes is how much text is read, encoded and printed at a time.
const blockBytes = 8 << 20

// encoding is one run of encode.
type encoding struct {
	*encodeFlags
	t     *tokenizer.Tokenizer
	opts  *tokenizer.Options
	print string
	out   *bufio.Writer
	parts []encodedPart // one a worker
	line  int
	stats struct {
		Texts   int     `json:"texts"`
		Bytes   int     `json:"bytes"`
		Tokens  int     `json:"tokens"`
		Seconds float64 `json:"seconds"`
	}
}

// encodedPart is what one worker makes of a block.
type encodedPart struct {
	ids   []tokenizer.Token
	spans []tokenizer.Span
	ends  []int // of each text's ids
	n     int   // tokens in all
}

func (c *encodeFlags) run(a *app, print string) error {
	t, err := c.open()
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
	if c.Workers <= 0 {
		c.Workers = runtime.GOMAXPROCS(0)
	}
	e := &encoding{
		encodeFlags: c, t: t, opts: &tokenizer.Options{BOS: c.BOS, EOS: c.EOS, Specials: mode},
		print: print, out: bufio.NewWriterSize(a.stdout, 1<<16), parts: make([]encodedPart, c.Workers),
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

// all reads, encodes and prints block by block.
func (e *encoding) all(a *app, in io.Reader) error {
	if e.In == "text" {
		text, err := io.ReadAll(in)
		if err != nil {
			return err
		}
		return e.block([]string{string(text)})
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
		if err := e.block(texts); err != nil {
			return err
		}
	}
	return nil
}

// next reads a text; the error is io.EOF when there is none.
func (e *encoding) next(r *bufio.Reader) (string, error) {
	line, err := readLine(r)
	if err != nil {
		return "", err
	}
	if e.line++; e.In == "lines" {
		return string(line), nil
	}
	j := strictjson.New(line, 0)
	text, err := j.String()
	if err == nil {
		err = j.End()
	}
	if err != nil {
		return "", fmt.Errorf("%w: line %d: give one JSON string a line", err, e.line)
	}
	return text, nil
}

// block encodes some texts and prints them.
func (e *encoding) block(texts []string) error {
	if err := e.check(texts); err != nil {
		return err
	}
	start := time.Now()
	share := (len(texts) + len(e.parts) - 1) / len(e.parts)
	var wait sync.WaitGroup
	for i := range e.parts {
		some := texts[min(i*share, len(texts)):min((i+1)*share, len(texts))]
		if len(e.parts) == 1 {
			e.encode(&e.parts[i], some)
		} else {
			wait.Go(func() { e.encode(&e.parts[i], some) })
		}
	}
	wait.Wait()
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

// check refuses what is not UTF-8 if that is asked for.
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

// encode makes one worker's part.
func (e *encoding) encode(p *encodedPart, texts []string) {
	p.ids, p.spans, p.ends, p.n = p.ids[:0], p.spans[:0], p.ends[:0], 0
	for _, text := range texts {
		switch e.print {
		case "offsets":
			p.ids, p.spans = e.t.AppendEncodeSpans(p.ids, p.spans, text, e.opts)
			p.ends = append(p.ends, len(p.ids))
		case "none", "count":
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

// write prints one worker's part.
func (e *encoding) write(p *encodedPart) {
	begin := 0
	var line []byte
	for _, end := range p.ends {
		line = line[:0]
		switch e.print {
		case "none":
			return
		case "count":
			line = strconv.AppendInt(line, int64(end-begin), 10)
		case "offsets":
			line = appendList(line, p.spans[begin:end], appendSpan)
		case "pieces":
			line = appendList(line, p.ids[begin:end], e.appendPiece)
		default:
			line = appendList(line, p.ids[begin:end], appendID)
		}
		line = append(line, '\n')
		_, _ = e.out.Write(line) // the writer keeps its error for Flush
		begin = end
	}
}

// appendList appends a JSON array.
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
	_ = j.Encode(e.t.Piece(id)) // a string cannot fail
	return append(line, bytes.TrimSpace(b.Bytes())...)
}
