package prompt

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// AppendText appends the text of a conversation to dst. It does not allocate if dst has
// enough capacity. If it returns an error, a *TurnError or an *OptionError, dst is
// unchanged.
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

// Text returns the text of a conversation. See AppendText.
func (d *Dialect) Text(c Conversation, o *Options) (string, error) {
	text, err := d.AppendText(nil, c, o)
	return string(text), err
}

// appendTurn appends a turn of a conversation that has been checked.
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
	return append(dst, d.Markers.reply(c.replyQuality(i, o))...)
}

// replyQuality returns the quality of the reply to query i: that of the reply, or the
// one that the prompt asks for.
func (c Conversation) replyQuality(i int, o *Options) Quality {
	if i+1 < len(c) {
		return c[i+1].Quality
	}
	return o.Next
}

// size returns an upper bound for the length of the text, if all of it is UTF-8.
func (d *Dialect) size(c Conversation) int {
	marks := len(d.Markers.User) + max(len(d.Markers.Helpful), len(d.Markers.Unhelpful)) + 2
	marks += len(d.BeforeReply) + len(d.End) + len(d.AfterReply)
	n := len(d.Header) + 1
	for i := range c {
		n += len(c[i].Content) + marks
	}
	return n
}

// appendContent appends content and replaces bytes that are not UTF-8, if the options
// say so.
func appendContent(dst []byte, content string, o *Options) []byte {
	if o.InvalidUTF8 == RefuseUTF8 || validUTF8(content) {
		return append(dst, content...)
	}
	for _, r := range content {
		dst = utf8.AppendRune(dst, r) // r is U+FFFD for each invalid byte
	}
	return dst
}

// check checks everything that rendering relies on. control is true to refuse
// control text.
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

// checkTurn checks the content of a turn, and the marker of the reply to it. It returns
// the offset of the error in the content.
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
			return at, reason(ErrControl, "content contains %q, which a server does not read as text", text)
		}
	}
	if o.RejectForged {
		if f, found := d.finder().forged(content); found {
			return f.Offset, reason(ErrForged, "content contains text that looks like %q", f.Mark)
		}
	}
	if i+1 < len(c) && c[i].Role == User {
		return -1, d.checkMarker(c[i+1].Quality)
	}
	return -1, nil
}

// badByte returns the offset of the first byte that is not UTF-8, or -1.
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

// nul may end a text in a server that is written in C.
const nul = "\x00"

// control returns the first control text at or after an offset and its offset, or -1:
// a special piece of LLaMA's vocabulary, NUL, or the dialect's own End.
func (d *Dialect) control(content string, from int) (at int, text string) {
	at = -1
	content = content[from:]
	takeFirst := func(i int, found string) {
		if i >= 0 && (at < 0 || from+i < at) {
			at, text = from+i, found
		}
	}
	takeFirst(strings.IndexByte(content, 0), nul)
	if strings.IndexByte(content, '<') >= 0 {
		takeFirst(strings.Index(content, "<unk>"), "<unk>")
		takeFirst(sentenceMark(content))
	}
	if d.End != EndText {
		takeFirst(strings.Index(content, d.End), d.End)
	}
	return at, text
}

// sentenceMark returns the first <s> or </s> and its offset. It looks for the end of
// the mark, which is rarer in texts than the beginning.
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
