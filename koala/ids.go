package koala

import (
	"sync"

	"github.com/koala-go/sdk/prompt"
)

// AppendIDs appends the tokens of a conversation, segment by segment, to dst. It
// ignores Options.Budget. It does not allocate if dst has enough capacity. If it
// returns an error, a *prompt.TurnError or one of the kind ErrOptions, dst is
// unchanged.
//
// Content never encodes to a control token, nor to a byte token because it spells
// the name of one: <s> and <0x0A> are text. With a custom vocabulary that cannot
// express all bytes, content may encode to its unknown token.
func AppendIDs(dst []Token, c prompt.Conversation, o *Options) ([]Token, error) {
	s := o.resolve()
	sc := getScratch()
	defer putScratch(sc)
	if err := sc.split(&s, c); err != nil {
		return dst, err
	}
	dst = s.appendBOS(dst)
	for i := range sc.segments {
		dst = sc.encode(dst, &s, &sc.segments[i])
	}
	return dst, nil
}

// AppendMasked is like AppendIDs and also appends the loss mask of the training,
// one value for each token: true for the tokens of replies and their ends, false
// for BOS and queries.
func AppendMasked(ids []Token, mask []bool, c prompt.Conversation, o *Options) ([]Token, []bool, error) {
	s := o.resolve()
	sc := getScratch()
	defer putScratch(sc)
	if err := sc.split(&s, c); err != nil {
		return ids, mask, err
	}
	start := len(ids)
	ids = s.appendBOS(ids)
	mask = appendRepeated(mask, len(ids)-start, false)
	for i := range sc.segments {
		start = len(ids)
		ids = sc.encode(ids, &s, &sc.segments[i])
		mask = appendRepeated(mask, len(ids)-start, sc.segments[i].Loss())
	}
	return ids, mask, nil
}

func appendRepeated(mask []bool, n int, value bool) []bool {
	for range n {
		mask = append(mask, value)
	}
	return mask
}

func (s *settings) appendBOS(dst []Token) []Token {
	if s.BOS {
		dst = append(dst, s.Tokenizer.BOS())
	}
	return dst
}

// scratch is memory for encoding that is used again.
type scratch struct {
	segments []prompt.Segment
	text     []byte
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// maxScratch bounds the text, in bytes, that a scratch keeps for its next use.
const maxScratch = 1 << 20

func getScratch() *scratch { return scratches.Get().(*scratch) }

// putScratch returns sc to the pool. It clears the segments so that they do not
// keep the content of conversations alive.
func putScratch(sc *scratch) {
	clear(sc.segments)
	if cap(sc.text) <= maxScratch && cap(sc.segments) <= maxScratch/128 {
		scratches.Put(sc)
	}
}

// split sets sc.segments to the segments of a conversation.
func (sc *scratch) split(s *settings, c prompt.Conversation) error {
	err := s.check()
	if err != nil {
		return err
	}
	sc.segments, err = s.Dialect.AppendSegments(sc.segments[:0], c, &s.Render)
	return err
}

// encode appends the tokens of a segment to dst.
func (sc *scratch) encode(dst []Token, s *settings, segment *prompt.Segment) []Token {
	switch segment.Kind {
	case prompt.End:
		return append(dst, s.Tokenizer.EOS())
	case prompt.Reply:
		return s.Tokenizer.AppendEncode(dst, segment.Content, nil)
	}
	sc.text = segment.AppendText(sc.text[:0])
	return s.Tokenizer.AppendEncode(dst, unsafeString(sc.text), nil)
}
