package koala

import (
	"sort"

	"github.com/koala-go/sdk/prompt"
	"github.com/koala-go/sdk/tokenizer"
)

// history is a conversation and the tokens of its turns, each encoded once.
//
// The tokens of a turn do not depend on other turns, with two exceptions. A query
// ends with the marker of the reply that it asks for, so it is encoded again if
// the reply gets another quality. The first query that is sent has the header in
// front, so its tokens with the header are kept apart.
type history struct {
	turns prompt.Conversation
	ids   []Token          // of all turns, without header and BOS
	ends  []int            // the end of each turn in ids
	next  []prompt.Quality // the quality that each query was encoded with

	head     []Token // of query headTurn with the header
	headTurn int     // -1 if head is not set
}

// start returns the index in ids at which a turn starts.
func (h *history) start(turn int) int {
	if turn == 0 {
		return 0
	}
	return h.ends[turn-1]
}

// push adds a turn and encodes it. The caller has checked that its role is in
// order.
func (h *history) push(s *settings, t prompt.Turn) error {
	h.turns = append(h.turns, t)
	err := h.encodeLast(s)
	if err != nil {
		h.pop()
	}
	return err
}

// pop removes the last turn.
func (h *history) pop() {
	n := len(h.turns) - 1
	h.turns = h.turns[:n]
	if len(h.ends) > n {
		h.ids, h.ends = h.ids[:h.start(n)], h.ends[:n]
	}
	h.next = h.next[:min(len(h.next), (n+1)/2)]
}

// encodeLast encodes the last turn. It encodes the query before a reply again if
// the query was encoded for another quality.
func (h *history) encodeLast(s *settings) error {
	last := len(h.turns) - 1
	query := last &^ 1 // queries have even indexes
	sc := getScratch()
	defer putScratch(sc)
	var err error
	sc.segments, err = s.Dialect.AppendSegments(sc.segments[:0], h.turns[query:], &s.Render)
	if err != nil {
		return shiftTurn(err, query)
	}
	next := s.Render.Next
	if last > query {
		next = h.turns[last].Quality
	}
	if len(h.ends) <= query || h.next[query/2] != next {
		bare := sc.segments[0].Bare()
		h.ids = sc.encode(h.ids[:h.start(query)], s, &bare)
		h.ends = append(h.ends[:query], len(h.ids))
		h.next = append(h.next[:query/2], next)
		if h.headTurn >= query {
			h.headTurn = -1 // head has the old marker
		}
	}
	for i := range sc.segments[1:] {
		h.ids = sc.encode(h.ids, s, &sc.segments[i+1])
	}
	if last > query {
		h.ends = append(h.ends, len(h.ids))
	}
	return nil
}

// shiftTurn adds n to the turn of an error about the turns from n on.
func shiftTurn(err error, n int) error {
	if e, ok := err.(*prompt.TurnError); ok && e.Turn >= 0 {
		e.Turn += n
	}
	return err
}

// withHeader returns the tokens of a query with the header before it.
func (h *history) withHeader(s *settings, turn int) []Token {
	if h.headTurn == turn {
		return h.head
	}
	// push has checked the content, so this cannot fail.
	render := prompt.Options{Next: h.next[turn/2], InvalidUTF8: prompt.ReplaceUTF8}
	sc := getScratch()
	defer putScratch(sc)
	sc.segments, _ = s.Dialect.AppendSegments(sc.segments[:0], h.turns[turn:turn+1], &render)
	h.head = sc.encode(h.head[:0], s, &sc.segments[0])
	h.headTurn = turn
	return h.head
}

// window returns the longest window that fits into the budget. If not even the
// last exchange fits, it returns the window of that exchange and false.
func (h *history) window(s *settings) (w Window, fits bool) {
	bos := len(s.appendBOS(nil))
	exchanges := (len(h.turns) + 1) / 2
	// tokens returns the number of tokens from exchange k on, without those of
	// its query.
	tokens := func(k int) int {
		return bos + len(h.ids) - h.ends[2*k]
	}
	// Each query must be encoded again with the header, which is expensive. The
	// search leaves the query out, so it gives a lower bound for k that is close
	// to the answer.
	k := 0
	if s.Budget > 0 {
		k = sort.Search(exchanges-1, func(k int) bool { return tokens(k) <= s.Budget })
	}
	for ; ; k++ {
		w = Window{Dropped: 2 * k, DroppedTokens: h.start(2 * k), Tokens: tokens(k) + len(h.withHeader(s, 2*k))}
		if s.Budget <= 0 || w.Tokens <= s.Budget {
			return w, true
		}
		if k == exchanges-1 {
			return w, false
		}
	}
}

// appendIDs appends the tokens from a query on to dst.
func (h *history) appendIDs(dst []Token, s *settings, from int) []Token {
	dst = s.appendBOS(dst)
	dst = append(dst, h.withHeader(s, from)...)
	return append(dst, h.ids[h.ends[from]:]...)
}

// prepare encodes the last query again if it has no reply and Render.Next has
// changed.
func (h *history) prepare(s *settings) error {
	last := len(h.turns) - 1
	if last < 0 {
		return h.turns.Check()
	}
	if last%2 == 0 && h.next[last/2] != s.Render.Next {
		return h.encodeLast(s)
	}
	return nil
}

// cut shortens the last turn until the last exchange fits into the budget. It
// returns a history of that exchange alone. w is the window of the exchange
// before the cut.
func (h *history) cut(s *settings, w Window) (*history, Window, error) {
	last := len(h.turns) - 1
	overBudget := &prompt.TurnError{Turn: last, Offset: -1, Err: &BudgetError{s.Budget, w.Tokens}}
	if s.Overflow == RefuseLong {
		return nil, w, overBudget
	}
	side := tokenizer.KeepStart
	if s.Overflow == KeepEnd {
		side = tokenizer.KeepEnd
	}
	content := h.turns[last].Content
	// The shortened text may encode to more tokens than were kept of it, so the
	// first cut may not suffice. Each one removes at least one token.
	for keep := s.Tokenizer.Count(content, nil); keep > 0; {
		keep -= max(w.Tokens-s.Budget, 1)
		short := s.Tokenizer.Truncate(content, max(keep, 0), side, nil)
		exchange, err := h.lastExchange(s, short)
		if err != nil {
			return nil, w, err
		}
		var fits bool
		if w, fits = exchange.window(s); fits {
			w.Dropped, w.DroppedTokens = last&^1, h.start(last&^1)
			w.CutBytes = len(content) - len(short)
			return exchange, w, nil
		}
	}
	return nil, w, overBudget
}

// lastExchange returns a history of the last exchange with other content in its
// last turn.
func (h *history) lastExchange(s *settings, content string) (*history, error) {
	exchange := &history{headTurn: -1}
	last := len(h.turns) - 1
	for i := last &^ 1; i <= last; i++ {
		t := h.turns[i]
		if i == last {
			t.Content = content
		}
		if err := exchange.push(s, t); err != nil {
			return nil, shiftTurn(err, last&^1)
		}
	}
	return exchange, nil
}

// Fit returns the part of a conversation that is sent within Options.Budget: its
// last turns, of which the last one is cut if Options.Overflow permits it. A Chat
// does the same without encoding all turns again.
//
// The error is of the kind ErrOptions or a *prompt.TurnError, which wraps a
// *BudgetError if the last exchange is too long.
func Fit(c prompt.Conversation, o *Options) (prompt.Conversation, Window, error) {
	s := o.resolve()
	if err := checkAll(&s); err != nil {
		return nil, Window{}, err
	}
	if err := c.Check(); err != nil {
		return nil, Window{}, err
	}
	h := &history{headTurn: -1}
	for _, t := range c {
		if err := h.push(&s, t); err != nil {
			return nil, Window{}, err
		}
	}
	kept, from, w, err := h.fit(&s)
	if err != nil {
		return nil, w, err
	}
	return kept.turns[from:], w, nil
}

// fit returns the history to send and its first turn to send. The history is h
// unless the last turn was cut.
func (h *history) fit(s *settings) (kept *history, from int, w Window, err error) {
	if err := h.prepare(s); err != nil {
		return nil, 0, w, err
	}
	w, fits := h.window(s)
	if fits {
		return h, w.Dropped, w, nil
	}
	kept, w, err = h.cut(s, w)
	return kept, 0, w, err
}
