package prompt

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// AppendText appends the text of a conversation. It allocates nothing when dst
// has room. An error is a *TurnError, and dst is as it was.
func (d *Dialect) AppendText(dst []byte, c Conversation, o *Options) ([]byte, error) {
	if o == nil {
		o = &Options{}
	}
	if err := d.check(c, o, !o.AllowControl); err != nil {
		return dst, err
	}
	dst = slices.Grow(dst, d.size(c))
	if d.Header != "" {
		dst = append(append(dst, d.Header...), ' ')
	}
	for i := range c {
		dst = d.appendTurn(dst, c, i, o)
	}
	return dst, nil
}

// Text is AppendText to nothing.
func (d *Dialect) Text(c Conversation, o *Options) (string, error) {
	text, err := d.AppendText(nil, c, o)
	return string(text), err
}

// appendTurn appends one turn of a conversation that was checked.
func (d *Dialect) appendTurn(dst []byte, c Conversation, i int, o *Options) []byte {
	t := &c[i]
	if t.Role == Assistant {
		dst = append(dst, d.BeforeReply...)
		return append(appendContent(dst, t.Content, o), d.End...)
	}
	if i > 0 {
		dst = append(dst, d.AfterReply...)
	}
	if d.Markers.User != "" {
		dst = append(append(dst, d.Markers.User...), ' ')
	}
	dst = append(appendContent(dst, t.Content, o), ' ')
	return append(dst, d.Markers.reply(c.answer(i, o))...)
}

// answer is the quality of the reply to a user's turn.
func (c Conversation) answer(i int, o *Options) Quality {
	if i+1 < len(c) {
		return c[i+1].Quality
	}
	return o.Next
}

// size is the length of a conversation's text, if all of it is UTF-8.
func (d *Dialect) size(c Conversation) int {
	marks := len(d.Markers.User) + max(len(d.Markers.Helpful), len(d.Markers.Unhelpful)) + 2
	marks += len(d.BeforeReply) + len(d.End) + len(d.AfterReply)
	n := len(d.Header) + 1
	for i := range c {
		n += len(c[i].Content) + marks
	}
	return n
}

// appendContent appends content; what is not UTF-8 was allowed by the caller.
func appendContent(dst []byte, content string, o *Options) []byte {
	if o.InvalidUTF8 == RefuseUTF8 || validUTF8(content) {
		return append(dst, content...)
	}
	for _, r := range content {
		dst = utf8.AppendRune(dst, r) // RuneError for each bad byte
	}
	return dst
}

// check checks all that rendering relies on.
func (d *Dialect) check(c Conversation, o *Options, control bool) error {
	if err := d.Check(); err != nil {
		return err
	}
	if err := o.check(); err != nil {
		return err
	}
	if err := c.Check(); err != nil {
		return err
	}
	for i := range c {
		at, err := d.checkTurn(c, i, o, control)
		if err != nil {
			return &TurnError{Turn: i, Offset: at, Err: err}
		}
	}
	if c.Open() {
		if err := d.checkMarker(o.Next); err != nil {
			return &OptionError{Option: "Next", Err: err}
		}
	}
	return nil
}

// checkTurn checks a turn's marker and content. The offset is in the content.
func (d *Dialect) checkTurn(c Conversation, i int, o *Options, control bool) (int, error) {
	content := c[i].Content
	if o.tooLong(content) {
		return -1, reason(ErrTooLong, "content of %d bytes", len(content))
	}
	if o.InvalidUTF8 == RefuseUTF8 {
		if at := badByte(content); at >= 0 {
			return at, ErrUTF8
		}
	}
	if control {
		if at, text := d.control(content, 0); at >= 0 {
			return at, reason(ErrControl, "content holds %q, which a server does not read as text", text)
		}
	}
	if o.RejectForged {
		if f, found := d.finder().forged(content); found {
			return f.Offset, reason(ErrForged, "content holds what looks like %q", f.Mark)
		}
	}
	if i+1 < len(c) && c[i].Role == User {
		return -1, d.checkMarker(c[i+1].Quality)
	}
	return -1, nil
}

// badByte is the place of the first byte that is not UTF-8.
func badByte(s string) int {
	if validUTF8(s) {
		return -1
	}
	for i, r := range s {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(s[i:]); size == 1 {
				return i
			}
		}
	}
	return -1
}

// nul is where servers written in C may end a text.
const nul = "\x00"

// control finds the first control text at or after a place: a special piece of
// LLaMA's vocabulary, NUL, or the dialect's own End. The place is -1 when there
// is none.
func (d *Dialect) control(content string, from int) (at int, text string) {
	at = -1
	content = content[from:]
	first := func(i int, what string) {
		if i >= 0 && (at < 0 || from+i < at) {
			at, text = from+i, what
		}
	}
	first(strings.IndexByte(content, 0), nul)
	if strings.IndexByte(content, '<') >= 0 {
		first(strings.Index(content, "<unk>"), "<unk>")
		first(sentenceMark(content))
	}
	if d.End != EndText {
		first(strings.Index(content, d.End), d.End)
	}
	return at, text
}

// sentenceMark finds the first <s> or </s>: by its end, which is rarer than <.
func sentenceMark(content string) (int, string) {
	for end := 0; ; {
		n := strings.Index(content[end:], "s>")
		if n < 0 {
			return -1, ""
		}
		end += n + len("s>")
		for _, mark := range [...]string{"<s>", "</s>"} {
			if strings.HasSuffix(content[:end], mark) {
				return end - len(mark), mark
			}
		}
	}
}
