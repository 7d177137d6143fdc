package koala

import (
	"sync"

	"github.com/koala-go/sdk/prompt"
)

// AppendIDs appends the tokens of a conversation, segment by segment, whatever
// the Budget is. It allocates nothing when dst has room. An error is a
// *prompt.TurnError, and dst is as it was.
//
// Content makes no control token and no token named after a byte that it
// spells: <s> and <0x0A> are text. With a vocabulary of your own that cannot
// express all bytes, content may make its unknown token.
func AppendIDs(dst []Token, c prompt.Conversation, o *Options) ([]Token, error) {
	m := o.resolve()
	sc := getScratch()
	defer putScratch(sc)
	if err := sc.split(&m, c); err != nil {
		return dst, err
	}
	dst = m.appendBOS(dst)
	for i := range sc.segments {
		dst = sc.encode(dst, &m, &sc.segments[i])
	}
	return dst, nil
}

// AppendMasked is AppendIDs with the loss mask of training beside the ids:
// true for the tokens of replies and their ends, false for BOS and queries.
func AppendMasked(ids []Token, mask []bool, c prompt.Conversation, o *Options) ([]Token, []bool, error) {
	m := o.resolve()
	sc := getScratch()
	defer putScratch(sc)
	if err := sc.split(&m, c); err != nil {
		return ids, mask, err
	}
	begin := len(ids)
	ids = m.appendBOS(ids)
	mask = fill(mask, len(ids)-begin, false)
	for i := range sc.segments {
		begin = len(ids)
		ids = sc.encode(ids, &m, &sc.segments[i])
		mask = fill(mask, len(ids)-begin, sc.segments[i].Loss())
	}
	return ids, mask, nil
}

func fill(mask []bool, n int, value bool) []bool {
	for range n {
		mask = append(mask, value)
	}
	return mask
}

func (m *settings) appendBOS(dst []Token) []Token {
	if m.BOS {
		dst = append(dst, m.Tokenizer.BOS())
	}
	return dst
}

// scratch is the space that making ids needs.
type scratch struct {
	segments []prompt.Segment
	text     []byte
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// maxScratch is the length above which a text is not kept for the next use.
const maxScratch = 1 << 20

func getScratch() *scratch { return scratches.Get().(*scratch) }

func putScratch(sc *scratch) {
	clear(sc.segments)
	if cap(sc.text) <= maxScratch && cap(sc.segments) <= maxScratch/128 {
		scratches.Put(sc)
	}
}

// split makes the segments of a conversation.
func (sc *scratch) split(m *settings, c prompt.Conversation) error {
	err := m.check()
	if err != nil {
		return err
	}
	sc.segments, err = m.Dialect.AppendSegments(sc.segments[:0], c, &m.Render)
	return err
}

// encode appends the tokens of a segment.
func (sc *scratch) encode(dst []Token, m *settings, s *prompt.Segment) []Token {
	switch s.Kind {
	case prompt.End:
		return append(dst, m.Tokenizer.EOS())
	case prompt.Reply:
		return m.Tokenizer.AppendEncode(dst, s.Content, nil)
	}
	sc.text = s.AppendText(sc.text[:0])
	return m.Tokenizer.AppendEncode(dst, view(sc.text), nil)
}
