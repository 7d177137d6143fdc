package prompt

import (
	"io"
	"strings"
)

// Parsed is what a text says.
type Parsed struct {
	Conversation Conversation // its contents are parts of the text
	Next         Quality      // of the reply that is due, if one is
	Dialect      *Dialect     // in which the text is
}

// Parse reads a text in one of Dialects: the first of them in which the whole
// text can be read. That is FastChat before EasyLM where all replies begin with
// a space, which a reply has not. A text that none can read gives the error of
// the dialect that came farthest.
func Parse(text string) (*Parsed, error) {
	var farthest *TurnError
	for _, d := range Dialects() {
		p, err := d.parse(text)
		if err == nil {
			return p, nil
		}
		if farthest == nil || err.Offset > farthest.Offset {
			farthest = err
		}
	}
	return nil, farthest
}

// Parse reads a text in this dialect. What it gives renders to the same text.
// What was rendered without AllowControl is read back as it was, or refused
// as ErrAmbiguous where a content holds a reply marker between spaces, so that
// the text stands for other conversations too.
//
// The error is a *TurnError with the byte of the text, and with the turn that
// could not be read, counted from 0. Its kind is ErrSyntax, ErrAmbiguous,
// ErrUTF8, ErrEmpty, ErrDialect or, for a text that ends too early,
// io.ErrUnexpectedEOF.
func (d *Dialect) Parse(text string) (*Parsed, error) {
	if err := d.Check(); err != nil {
		return nil, err
	}
	p, err := d.parse(text)
	if err != nil {
		return nil, err
	}
	return p, nil
}

func (d *Dialect) parse(text string) (*Parsed, *TurnError) {
	switch at := badByte(text); {
	case text == "":
		return nil, &TurnError{-1, 0, reason(io.ErrUnexpectedEOF, "the text is empty")}
	case at >= 0:
		return nil, &TurnError{-1, at, reason(ErrUTF8, "text is not UTF-8")}
	}
	p := parser{d: d, text: text, out: &Parsed{Dialect: d}}
	if d.Header != "" {
		if err := p.expect(d.Header + " "); err != nil {
			err.Turn = -1
			return nil, err
		}
	}
	for {
		if done, err := p.exchange(); done || err != nil {
			return p.out, err
		}
	}
}

// parser reads a text from pos on.
type parser struct {
	d    *Dialect
	text string
	pos  int
	out  *Parsed
}

func (p *parser) fail(at int, kind error, format string, args ...any) *TurnError {
	return &TurnError{len(p.out.Conversation), at, reason(kind, format, args...)}
}

// expect reads a mark.
func (p *parser) expect(mark string) *TurnError {
	rest := p.text[p.pos:]
	if strings.HasPrefix(rest, mark) {
		p.pos += len(mark)
		return nil
	}
	same := 0
	for same < len(rest) && rest[same] == mark[same] {
		same++
	}
	if same == len(rest) {
		return p.fail(len(p.text), io.ErrUnexpectedEOF, "the text ends where %q is due", mark)
	}
	return p.fail(p.pos+same, ErrSyntax, "no %s where %q is due", p.d.Name, mark)
}

// exchange reads a query, and its reply if there is one; done is whether the
// text ends with it.
func (p *parser) exchange() (done bool, err *TurnError) {
	if p.d.Markers.User != "" {
		if err := p.expect(p.d.Markers.User + " "); err != nil {
			return false, err
		}
	}
	length := strings.Index(p.text[p.pos:], p.d.End)
	if length < 0 {
		return true, p.open(p.text[p.pos:])
	}
	if err := p.closed(p.text[p.pos : p.pos+length]); err != nil {
		return false, err
	}
	if p.pos += length + len(p.d.End); p.pos == len(p.text) {
		return true, nil
	}
	if p.d.AfterReply != "" {
		err = p.expect(p.d.AfterReply)
	}
	return false, err
}

// separator is a place where a query may end.
type separator struct {
	at, length int
	quality    Quality
}

// closed reads a query and its whole reply.
func (p *parser) closed(body string) *TurnError {
	found := p.separators(body)
	switch len(found) {
	case 0:
		return p.fail(p.pos, ErrSyntax, "no reply marker of %s before the end of the reply", p.d.Name)
	case 1:
		s := found[0]
		p.out.Conversation = append(p.out.Conversation,
			Turn{Role: User, Content: body[:s.at]},
			Turn{Role: Assistant, Quality: s.quality, Content: body[s.at+s.length:]})
		return nil
	}
	return p.fail(p.pos+max(found[0].at, found[1].at), ErrAmbiguous, "a second reply marker: either may be content")
}

// separators are places where a query may end, two at most.
func (p *parser) separators(body string) (found []separator) {
	for q := range Unhelpful + 1 {
		marker := p.d.Markers.reply(q)
		if marker == "" {
			continue
		}
		mark := " " + marker + p.d.BeforeReply
		for from := 0; len(found) < 2; {
			i := strings.Index(body[from:], mark)
			if i < 0 {
				break
			}
			found = append(found, separator{from + i, len(mark), q})
			from += i + 1
		}
	}
	return found
}

// open reads a query to which a reply is due, at the end of the text.
func (p *parser) open(body string) *TurnError {
	var found []Quality
	for q := range Unhelpful + 1 {
		if marker := p.d.Markers.reply(q); marker != "" && strings.HasSuffix(body, " "+marker) {
			found = append(found, q)
		}
	}
	switch len(found) {
	case 0:
		return p.unfinished(body)
	case 1:
		content := body[:len(body)-len(p.d.Markers.reply(found[0]))-1]
		p.out.Conversation = append(p.out.Conversation, Turn{Role: User, Content: content})
		p.out.Next = found[0]
		return nil
	}
	return p.fail(len(p.text), ErrAmbiguous, "the text ends with either reply marker")
}

// unfinished says what is missing at the end of the text.
func (p *parser) unfinished(body string) *TurnError {
	if len(p.separators(body)) > 0 {
		e := p.fail(len(p.text), io.ErrUnexpectedEOF, "a reply without %q at its end", p.d.End)
		e.Turn++
		return e
	}
	return p.fail(len(p.text), io.ErrUnexpectedEOF, "a query without a reply marker behind it")
}
