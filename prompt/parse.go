package prompt

import (
	"io"
	"strings"
)

// Parsed is the content of a text.
type Parsed struct {
	Conversation Conversation // the turns; their contents share memory with the text
	Next         Quality      // the quality that the text asks for, if Conversation is open
	Dialect      *Dialect     // the dialect of the text
}

// Parse reads a text in the first of Dialects in which the whole text can be read. This
// is FastChat rather than EasyLM if every reply marker has a space after it, because
// replies do not begin with a space. If no dialect fits, the error is that of the
// dialect that could read most of the text.
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

// Parse reads a text in dialect d. The result renders to the same text. If a
// conversation was rendered without AllowControl, Parse returns it unchanged, or
// ErrAmbiguous if a content contains a reply marker between spaces, because the text
// could then also be another conversation.
//
// The error is a *TurnError with the offset in the text and the index of the turn that
// could not be read. Its kind is ErrSyntax, ErrAmbiguous, ErrUTF8, ErrEmpty or, for a
// text that ends too early, io.ErrUnexpectedEOF. If the dialect cannot be used, the
// error is that of Check.
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

// parser reads a text.
type parser struct {
	d    *Dialect
	text string
	pos  int // the offset of the part that has not been read
	out  *Parsed
}

func (p *parser) fail(at int, kind error, format string, args ...any) *TurnError {
	return &TurnError{len(p.out.Conversation), at, reason(kind, format, args...)}
}

// expect reads a mark of the dialect.
func (p *parser) expect(mark string) *TurnError {
	rest := p.text[p.pos:]
	if strings.HasPrefix(rest, mark) {
		p.pos += len(mark)
		return nil
	}
	common := 0
	for common < len(rest) && rest[common] == mark[common] {
		common++
	}
	if common == len(rest) {
		return p.fail(len(p.text), io.ErrUnexpectedEOF, "the text ends before %q", mark)
	}
	return p.fail(p.pos+common, ErrSyntax, "not a text of dialect %s, which has %q here", p.d.Name, mark)
}

// exchange reads a query and its reply, if there is one. done reports whether they end
// the text.
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
	if err := p.answered(p.text[p.pos : p.pos+length]); err != nil {
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

// separator is a reply marker with the spaces around it: the place where a query may
// end.
type separator struct {
	at, length int // in bytes
	quality    Quality
}

// answered reads a query and its whole reply.
func (p *parser) answered(body string) *TurnError {
	found := p.separators(body)
	switch len(found) {
	case 0:
		return p.fail(p.pos, ErrSyntax, "no reply marker of dialect %s before the end of the reply", p.d.Name)
	case 1:
		s := found[0]
		p.out.Conversation = append(p.out.Conversation,
			Turn{Role: User, Content: body[:s.at]},
			Turn{Role: Assistant, Quality: s.quality, Content: body[s.at+s.length:]})
		return nil
	}
	return p.fail(p.pos+max(found[0].at, found[1].at), ErrAmbiguous, "a second reply marker, and either may be content")
}

// separators returns the places where a query may end, two at most.
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

// open reads a query without a reply at the end of the text.
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
	return p.fail(len(p.text), ErrAmbiguous, "the text ends with both reply markers")
}

// unfinished returns the error about what is missing at the end of the text.
func (p *parser) unfinished(body string) *TurnError {
	if len(p.separators(body)) > 0 {
		e := p.fail(len(p.text), io.ErrUnexpectedEOF, "a reply without %q after it", p.d.End)
		e.Turn++
		return e
	}
	return p.fail(len(p.text), io.ErrUnexpectedEOF, "a query without a reply marker after it")
}
