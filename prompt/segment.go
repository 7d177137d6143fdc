package prompt

// Kind is what a segment is.
type Kind uint8

// The kinds.
const (
	Query Kind = iota // a user's turn with the marks around it
	Reply             // a reply, alone
	End               // the token that ends a reply
)

// String is the kind's name: query, reply, end.
func (k Kind) String() string {
	switch k {
	case Query:
		return "query"
	case Reply:
		return "reply"
	}
	return "end"
}

// Segment is what is encoded on its own, as EasyLM's TextProcessor does with
// the fields of a training example. Its tokens are those of its text, in which
// nothing is special; End has no text and is the EOS token.
//
// The loss of training counts the tokens of Reply and End and no others.
type Segment struct {
	Kind    Kind
	Turn    int    // of the conversation
	Content string // of the turn, which is from a stranger; "" for End

	before [4]string
	after  string
}

// Loss is whether the segment counts in the loss of training.
func (s *Segment) Loss() bool { return s.Kind != Query }

// Control is whether the segment is a token and no text.
func (s *Segment) Control() bool { return s.Kind == End }

// AppendText appends the text that is encoded, "" for End. Bytes that are not
// UTF-8 are left as they are: tokenizers read U+FFFD for each.
func (s *Segment) AppendText(dst []byte) []byte {
	for _, b := range s.before {
		dst = append(dst, b...)
	}
	dst = append(dst, s.Content...)
	if s.after != "" {
		dst = append(append(dst, ' '), s.after...)
	}
	return dst
}

// Text is AppendText to nothing.
func (s *Segment) Text() string { return string(s.AppendText(nil)) }

// Bare is the segment without the dialect's header: a query as it stands in the
// middle of a conversation.
func (s *Segment) Bare() Segment {
	bare := *s
	bare.before[0], bare.before[1] = "", ""
	return bare
}

// AppendSegments appends the segments of a conversation: for each exchange a
// Query, and if it was answered a Reply and an End. The spaces around replies
// in which dialects differ are in none of them. An error is a *TurnError, and
// dst is as it was. Control text is allowed: it is only text.
func (d *Dialect) AppendSegments(dst []Segment, c Conversation, o *Options) ([]Segment, error) {
	if o == nil {
		o = &Options{}
	}
	if err := d.check(c, o, false); err != nil {
		return dst, err
	}
	for i := range c {
		t := &c[i]
		if t.Role == Assistant {
			dst = append(dst, Segment{Kind: Reply, Turn: i, Content: t.Content}, Segment{Kind: End, Turn: i})
			continue
		}
		dst = append(dst, d.query(i, t.Content, d.Markers.reply(c.answer(i, o)), i == 0))
	}
	return dst, nil
}

// query is the segment of a user's turn.
func (d *Dialect) query(turn int, content, marker string, first bool) Segment {
	s := Segment{Kind: Query, Turn: turn, Content: content, after: marker}
	if first && d.Header != "" {
		s.before[0], s.before[1] = d.Header, " "
	}
	if d.Markers.User != "" {
		s.before[2], s.before[3] = d.Markers.User, " "
	}
	return s
}
