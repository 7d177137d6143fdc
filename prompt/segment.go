package prompt

// Kind is the kind of a segment.
type Kind uint8

// The kinds.
const (
	Query Kind = iota // a query with the marks around it
	Reply             // a reply without marks
	End               // the end-of-sequence token after a reply
)

// String returns the name of the kind: query, reply, end.
func (k Kind) String() string {
	switch k {
	case Query:
		return "query"
	case Reply:
		return "reply"
	}
	return "end"
}

// Segment is a part of a conversation that is encoded on its own, as EasyLM's
// TextProcessor does with the fields of a training example. Its tokens are those of its
// text, without special tokens. A segment of kind End has no text: it is the
// end-of-sequence token.
//
// The loss of the training counts the tokens of Reply and End, but not of Query.
type Segment struct {
	Kind    Kind   // what the segment is
	Turn    int    // the index of the turn
	Content string // the untrusted content of the turn; "" for End

	before [4]string // the header, a space, the user's marker, a space
	after  string    // the marker of the reply, which has a space before it
}

// Loss reports whether the loss of the training counts the segment.
func (s *Segment) Loss() bool { return s.Kind != Query }

// Control reports whether the segment is a token and not text.
func (s *Segment) Control() bool { return s.Kind == End }

// AppendText appends the text of the segment to dst. The segment End has no text.
// Bytes that are not UTF-8 stay: tokenizers read U+FFFD for each of them.
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

// Text returns the text of the segment. See AppendText.
func (s *Segment) Text() string { return string(s.AppendText(nil)) }

// Bare returns the segment without the header of the dialect: the form of a query that
// is not the first turn.
func (s *Segment) Bare() Segment {
	bare := *s
	bare.before[0], bare.before[1] = "", ""
	return bare
}

// AppendSegments appends the segments of a conversation to dst: for each exchange a
// Query, and a Reply and an End if there is a reply. The segments do not contain the
// spaces around replies in which dialects differ. They may contain control text, which
// encodes to ordinary tokens. If AppendSegments returns an error, a *TurnError or an
// *OptionError, dst is unchanged.
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
		dst = append(dst, d.query(i, t.Content, d.Markers.reply(c.replyQuality(i, o)), i == 0))
	}
	return dst, nil
}

// query returns the segment of a user's turn.
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
