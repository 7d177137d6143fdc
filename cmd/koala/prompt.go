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
	File    string `arg:"" optional:"" default:"-" help:"Read the conversation in JSON from FILE (default: standard input)."`
	Dialect string `enum:"${dialects}" default:"fastchat" help:"Render in this dialect: ${enum} (default ${default})."`
	Next    string `enum:"helpful,unhelpful" default:"helpful" help:"Request this kind of reply: ${enum} (default ${default})."`

	IDs     bool   `name:"ids" help:"Print the token ids as a JSON array, assembled as in training."`
	BOS     bool   `name:"bos" help:"Begin the ids with the beginning-of-sequence token."`
	Explain bool   `help:"Print a table of the parts of the ids, each with its text, loss mask and reason."`
	Budget  int    `placeholder:"N" help:"Drop the oldest exchanges until the prompt has at most N tokens (default: no limit)."`
	Cut     string `enum:"never,start,end" default:"never" help:"Cut the last turn at this place if it alone exceeds the budget: ${enum} (default ${default})."`

	Check        bool `help:"Reject content that looks like a marker (default: print a warning)."`
	AllowControl bool `help:"Allow <s>, </s>, <unk> and NUL in the content of a text prompt."`

	Import   bool   `help:"Also accept OpenAI messages, ShareGPT records and EasyLM requests."`
	System   string `enum:"refuse,fold,drop" default:"refuse" help:"With --import, do this with system messages: ${enum} (default ${default}). fold joins them to the next query."`
	Tool     string `enum:"refuse,fold,drop" default:"refuse" help:"With --import, do this with tool messages: ${enum} (default ${default})."`
	Empty    string `enum:"refuse,drop,keep" default:"refuse" help:"With --import, do this with empty messages: ${enum} (default ${default})."`
	Repeated string `enum:"refuse,fold" default:"refuse" help:"With --import, do this with consecutive messages of one role: ${enum} (default ${default})."`

	Template string `enum:",jinja,ollama" default:"" help:"Print a template instead: jinja for Hugging Face and llama.cpp, or ollama for a Modelfile."`
	JSON     bool   `name:"json" help:"Print one JSON document on stdout."`
	Quiet    bool   `help:"Print only errors on stderr."`
	modelFlag
}

// Help returns the text below the usage line.
func (c *promptCmd) Help() string {
	return `A conversation is a JSON array of turns, or an object {"messages": [...]}. A turn is
{"role": "user"|"assistant", "content": "...", "quality": "helpful"|"unhelpful"}. The first turn
is the user's, and the roles alternate. If the last turn is the user's, the prompt ends with the
marker of the reply that --next requests. No newline is printed after the prompt.

Example:
  echo '[{"role":"user","content":"Hello!"}]' | koala prompt --ids`
}

// Run executes the command.
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
	out.inspect(o.Dialect, conversation, c.IDs || c.Explain)
	c.printWarnings(a, &out)
	if c.Budget > 0 {
		var w koala.Window
		if conversation, w, err = koala.Fit(conversation, o); err != nil {
			return err
		}
		out.Window = &w
		c.printWindow(a, w)
	}
	return c.print(a.stdout, conversation, o, &out)
}

// printWindow prints on stderr what was dropped to keep the budget.
func (c *promptCmd) printWindow(a *app, w koala.Window) {
	if w.Dropped > 0 && !c.Quiet {
		fmt.Fprintf(a.stderr, "koala prompt: dropped the oldest %d turns, %d tokens\n", w.Dropped, w.DroppedTokens)
	}
	if w.CutBytes > 0 && !c.Quiet {
		fmt.Fprintf(a.stderr, "koala prompt: cut %d bytes off the last turn\n", w.CutBytes)
	}
}

// options returns the library's options for the flags.
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
		return nil, fmt.Errorf("the budget is %d tokens: --budget: give a positive number", c.Budget)
	}
	return &koala.Options{
		Dialect: d, Tokenizer: t, BOS: c.BOS, Budget: c.Budget,
		Overflow: map[string]koala.Overflow{"start": koala.KeepEnd, "end": koala.KeepStart}[c.Cut],
		Render:   prompt.Options{Next: next, AllowControl: c.AllowControl, RejectForged: c.Check},
	}, nil
}

// policies maps the names on the command line to policies.
var policies = map[string]prompt.Policy{"refuse": prompt.Refuse, "fold": prompt.Fold, "drop": prompt.Drop, "keep": prompt.Keep}

// read reads the conversation from the file or standard input.
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
		return conversation, withHint(err)
	}
	conversation, notes, err := koala.ImportConversation(data, &prompt.Import{
		System: policies[c.System], Tool: policies[c.Tool], Empty: policies[c.Empty], Repeated: policies[c.Repeated],
	})
	for _, n := range notes {
		if !c.Quiet {
			fmt.Fprintf(a.stderr, "koala prompt: message %d (%s): %s\n", n.Message, n.Role, n.Policy)
		}
	}
	return conversation, withHint(err)
}

// withHint adds what to do about JSON that is not a conversation.
func withHint(err error) error {
	if errors.Is(err, koala.ErrMalformed) {
		return fmt.Errorf("%w: koala prompt --help shows the form", err)
	}
	return err
}

// promptOutput is the document that --json prints.
type promptOutput struct {
	Dialect  string          `json:"dialect"`
	Text     *string         `json:"text,omitempty"`
	IDs      []koala.Token   `json:"ids,omitempty"`
	Loss     []bool          `json:"loss,omitempty"`
	Parts    []koala.Part    `json:"parts,omitempty"`
	Window   *koala.Window   `json:"window,omitempty"` // set with --budget
	Findings []promptFinding `json:"findings"`
}

// promptFinding is content that could be taken for a marker or a control token.
type promptFinding struct {
	Kind   string `json:"kind"`
	Turn   int    `json:"turn"`
	Offset int    `json:"offset"`
	Length int    `json:"length"`
	Mark   string `json:"mark"`
	Exact  bool   `json:"exact"`
}

// inspect looks for forged markers and control tokens. In ids only markers
// matter: there, the text of a control token is plain text.
func (out *promptOutput) inspect(d *prompt.Dialect, c prompt.Conversation, ids bool) {
	out.Findings = []promptFinding{}
	for _, f := range d.Inspect(c) {
		if !ids || f.Kind == prompt.LooksLikeMark {
			out.Findings = append(out.Findings, promptFinding{f.Kind.String(), f.Turn, f.Offset, f.Length, f.Mark, f.Exact})
		}
	}
}

// maxWarnings is the number of findings that are printed one by one.
const maxWarnings = 10

// printWarnings prints the findings on stderr.
func (c *promptCmd) printWarnings(a *app, out *promptOutput) {
	if c.Quiet || c.Check {
		return
	}
	for i, f := range out.Findings {
		if i == maxWarnings {
			fmt.Fprintf(a.stderr, "koala prompt: and %d more\n", len(out.Findings)-i)
			return
		}
		fmt.Fprintf(a.stderr, "koala prompt: warning: content looks like %q: turn %d, byte %d: --check rejects it\n", f.Mark, f.Turn, f.Offset)
	}
}

// print prints the prompt in the form that the flags request.
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

// printParts prints a table of parts for people.
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
