package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/koala-go/sdk/koala"
	"github.com/koala-go/sdk/prompt"
)

type promptCmd struct {
	File    string `arg:"" optional:"" default:"-" help:"The conversation in JSON (default: standard input)."`
	Dialect string `enum:"fastchat,easylm,eval,beaver,easylm-context" default:"fastchat" help:"How to write it: ${enum} (default ${default})."`
	Next    string `enum:"helpful,unhelpful" default:"helpful" help:"The reply to ask for: ${enum} (default ${default})."`

	IDs     bool   `name:"ids" help:"Print a JSON array of ids, put together as in the training."`
	BOS     bool   `name:"bos" help:"Begin the ids with BOS."`
	Explain bool   `help:"Print each part of the ids: its text, ids, loss mask and why."`
	Budget  int    `placeholder:"N" help:"Leave out the oldest exchanges until N tokens are enough."`
	Cut     string `enum:"never,start,end" default:"never" help:"Where to cut the last turn if it alone is over the budget: ${enum} (default ${default})."`

	Check        bool `help:"Refuse content that looks like a marker; without it stderr tells of it."`
	AllowControl bool `help:"Allow <s>, </s>, <unk> and NUL in the content of a text."`

	Import   bool   `help:"Read OpenAI's messages, ShareGPT's records and EasyLM's requests too."`
	System   string `enum:"refuse,fold,drop" default:"refuse" help:"With --import, system messages: ${enum} (default ${default})."`
	Tool     string `enum:"refuse,fold,drop" default:"refuse" help:"With --import, messages of tools: ${enum} (default ${default})."`
	Empty    string `enum:"refuse,drop,keep" default:"refuse" help:"With --import, empty messages: ${enum} (default ${default})."`
	Repeated string `enum:"refuse,fold" default:"refuse" help:"With --import, messages of one role in a row: ${enum} (default ${default})."`

	Template string `enum:",jinja,ollama" default:"" help:"Print a template instead: jinja (Hugging Face, llama.cpp) or ollama (a Modelfile)."`
	JSON     bool   `name:"json" help:"Print one JSON document."`
	Quiet    bool   `help:"Nothing on stderr but errors."`
	modelFlag
}

func (c *promptCmd) Help() string {
	return `A conversation is an array, or {"messages":[...]}, of
{"role":"user"|"assistant","content":"...","quality":"helpful"|"unhelpful"}. It starts with a
user turn and alternates. When it ends with a user turn, the prompt ends with the marker that
--next names. The text is printed without a newline at its end.

Example:
  echo '[{"role":"user","content":"Hello!"}]' | koala prompt --ids`
}

func (c *promptCmd) Run(a *app) error {
	switch c.Template {
	case "jinja":
		_, err := io.WriteString(a.stdout, prompt.ChatTemplate)
		return err
	case "ollama":
		_, err := io.WriteString(a.stdout, prompt.OllamaModelfile("./koala.gguf"))
		return err
	}
	o, err := c.options(a.ctx)
	if err != nil {
		return err
	}
	conversation, err := c.read(a)
	if err != nil {
		return err
	}
	out := promptOutput{Dialect: o.Dialect.Name}
	out.findings(o.Dialect, conversation, c.IDs || c.Explain)
	c.warn(a, &out)
	if c.Budget > 0 {
		var w koala.Window
		if conversation, w, err = koala.Fit(conversation, o); err != nil {
			return err
		}
		out.Window = &w
		c.report(a, w)
	}
	return c.print(a.stdout, conversation, o, &out)
}

// report tells on stderr what the budget left out.
func (c *promptCmd) report(a *app, w koala.Window) {
	if w.Dropped > 0 && !c.Quiet {
		fmt.Fprintf(a.stderr, "koala prompt: the %d oldest turns were left out, %d tokens\n", w.Dropped, w.DroppedTokens)
	}
	if w.CutBytes > 0 && !c.Quiet {
		fmt.Fprintf(a.stderr, "koala prompt: %d bytes were cut off the last turn\n", w.CutBytes)
	}
}

// options are the flags for the library.
func (c *promptCmd) options(ctx context.Context) (*koala.Options, error) {
	t, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	d, err := prompt.DialectNamed(c.Dialect)
	if err != nil {
		return nil, err
	}
	next, err := prompt.ParseQuality(c.Next)
	if err != nil {
		return nil, err
	}
	if c.Budget < 0 {
		return nil, fmt.Errorf("budget of %d tokens: --budget: give a positive number", c.Budget)
	}
	return &koala.Options{
		Dialect: d, Tokenizer: t, BOS: c.BOS, Budget: c.Budget,
		Overflow: map[string]koala.Overflow{"start": koala.KeepEnd, "end": koala.KeepStart}[c.Cut],
		Render:   prompt.Options{Next: next, AllowControl: c.AllowControl, RejectForged: c.Check},
	}, nil
}

// policies are the names of prompt.Policy.
var policies = map[string]prompt.Policy{"refuse": prompt.Refuse, "fold": prompt.Fold, "drop": prompt.Drop, "keep": prompt.Keep}

// read reads the conversation.
func (c *promptCmd) read(a *app) (prompt.Conversation, error) {
	in, err := openInput(a, c.File)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	data, err := io.ReadAll(in)
	if err != nil {
		return nil, err
	}
	if !c.Import {
		conversation, err := koala.ParseConversation(data)
		return conversation, helped(err)
	}
	conversation, notes, err := koala.ImportConversation(data, &prompt.Import{
		System: policies[c.System], Tool: policies[c.Tool], Empty: policies[c.Empty], Repeated: policies[c.Repeated],
	})
	for _, n := range notes {
		if !c.Quiet {
			fmt.Fprintf(a.stderr, "koala prompt: message %d (%s): %s\n", n.Message, n.Role, n.Policy)
		}
	}
	return conversation, helped(err)
}

// helped says what to do about JSON that is not a conversation's.
func helped(err error) error {
	if errors.Is(err, koala.ErrMalformed) {
		return fmt.Errorf("%w: koala prompt --help shows the form", err)
	}
	return err
}

// promptOutput is what --json prints.
type promptOutput struct {
	Dialect  string          `json:"dialect"`
	Text     *string         `json:"text,omitempty"`
	IDs      []koala.Token   `json:"ids,omitempty"`
	Loss     []bool          `json:"loss,omitempty"`
	Parts    []koala.Part    `json:"parts,omitempty"`
	Window   *koala.Window   `json:"window,omitempty"` // with --budget
	Findings []promptFinding `json:"findings"`
}

type promptFinding struct {
	Kind   string `json:"kind"`
	Turn   int    `json:"turn"`
	Offset int    `json:"offset"`
	Length int    `json:"length"`
	Mark   string `json:"mark"`
	Exact  bool   `json:"exact"`
}

// findings looks for what a stranger may have forged. Among ids only marks
// matter.
func (out *promptOutput) findings(d *prompt.Dialect, c prompt.Conversation, ids bool) {
	out.Findings = []promptFinding{}
	for _, f := range d.Inspect(c) {
		if !ids || f.Kind == prompt.LooksLikeMark {
			out.Findings = append(out.Findings, promptFinding{f.Kind.String(), f.Turn, f.Offset, f.Length, f.Mark, f.Exact})
		}
	}
}

// maxWarnings is how many findings are printed one by one.
const maxWarnings = 10

// warn tells of findings on stderr.
func (c *promptCmd) warn(a *app, out *promptOutput) {
	if c.Quiet || c.Check {
		return
	}
	for i, f := range out.Findings {
		if i == maxWarnings {
			fmt.Fprintf(a.stderr, "koala prompt: and %d more\n", len(out.Findings)-i)
			return
		}
		fmt.Fprintf(a.stderr, "koala prompt: content looks like %q: turn %d, byte %d: --check refuses it\n", f.Mark, f.Turn, f.Offset)
	}
}

// print prints what was asked for.
func (c *promptCmd) print(w io.Writer, conversation prompt.Conversation, o *koala.Options, out *promptOutput) (err error) {
	switch {
	case c.Explain:
		out.Parts, err = koala.Explain(conversation, o)
	case c.IDs:
		out.IDs, out.Loss, err = koala.AppendMasked(nil, nil, conversation, o)
	default:
		var text string
		text, err = o.Dialect.Text(conversation, &o.Render)
		out.Text = &text
	}
	switch {
	case err != nil:
		return err
	case c.JSON:
		return printJSON(w, out)
	case c.Explain:
		return printParts(w, out.Parts)
	case c.IDs:
		_, err = w.Write(append(appendList(nil, out.IDs, appendID), '\n'))
	default:
		_, err = io.WriteString(w, *out.Text)
	}
	return err
}

// printParts prints a table for people.
func printParts(w io.Writer, parts []koala.Part) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "turn\tpart\tloss\tids\ttext\twhy")
	for _, p := range parts {
		turn, loss := fmt.Sprint(p.Turn), "no"
		if p.Turn < 0 {
			turn = "-"
		}
		if p.Loss {
			loss = "yes"
		}
		ids := strings.Trim(fmt.Sprint(p.IDs), "[]")
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%q\t%s\n", turn, p.Kind, loss, ids, p.Text, p.Why)
	}
	return t.Flush()
}
