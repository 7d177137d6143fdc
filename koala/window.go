package koala

import (
	"sort"

	"github.com/koala-go/sdk/prompt"
	"github.com/koala-go/sdk/tokenizer"
)

// history is a conversation and the tokens of its turns, each encoded once.
type history struct {
	turns prompt.Conversation
	ids   []Token // of all turns, without header and BOS
	ends  []int   // of each turn's ids
	asked []prompt.Quality

	// The first query of a window has the header before it: head is the
	// tokens of turn headTurn with it, of none when that is -1.
	head     []Token
	headTurn int
}

// begin is where the ids of a turn begin.
func (h *history) begin(turn int) int {
	if turn == 0 {
		return 0
	}
	return h.ends[turn-1]
}

// push adds a turn, which must be in its order, and encodes it.
func (h *history) push(m *settings, t prompt.Turn) error {
	h.turns = append(h.turns, t)
	err := h.encodeLast(m)
	if err != nil {
		h.pop()
	}
	return err
}

// pop takes the last turn away.
func (h *history) pop() {
	n := len(h.turns) - 1
	h.turns = h.turns[:n]
	if len(h.ends) > n {
		h.ids, h.ends = h.ids[:h.begin(n)], h.ends[:n]
	}
	h.asked = h.asked[:min(len(h.asked), (n+1)/2)]
}

// encodeLast encodes the last turn, and the query before it again if that was
// asked with another marker.
func (h *history) encodeLast(m *settings) error {
	last := len(h.turns) - 1
	first := last &^ 1
	sc := getScratch()
	defer putScratch(sc)
	var err error
	sc.segments, err = m.Dialect.AppendSegments(sc.segments[:0], h.turns[first:], &m.Render)
	if err != nil {
		return shifted(err, first)
	}
	asked := m.Render.Next
	if last > first {
		asked = h.turns[last].Quality
	}
	if len(h.ends) <= first || h.asked[first/2] != asked {
		bare := sc.segments[0].Bare()
		h.ids = sc.encode(h.ids[:h.begin(first)], m, &bare)
		h.ends = append(h.ends[:first], len(h.ids))
		h.asked = append(h.asked[:first/2], asked)
		if h.headTurn >= first {
			h.headTurn = -1 // of a query that is no more
		}
	}
	for i := range sc.segments[1:] {
		h.ids = sc.encode(h.ids, m, &sc.segments[i+1])
	}
	if last > first {
		h.ends = append(h.ends, len(h.ids))
	}
	return nil
}

// shifted counts the turn of an error from the conversation's beginning.
func shifted(err error, by int) error {
	if e, ok := err.(*prompt.TurnError); ok && e.Turn >= 0 {
		e.Turn += by
	}
	return err
}

// headed is the tokens of a query with the header before it.
func (h *history) headed(m *settings, turn int) []Token {
	if h.headTurn == turn {
		return h.head
	}
	render := prompt.Options{Next: h.asked[turn/2], InvalidUTF8: prompt.ReplaceUTF8} // checked when it was added
	sc := getScratch()
	defer putScratch(sc)
	sc.segments, _ = m.Dialect.AppendSegments(sc.segments[:0], h.turns[turn:turn+1], &render)
	h.head = sc.encode(h.head[:0], m, &sc.segments[0])
	h.headTurn = turn
	return h.head
}

// window chooses what is sent: as many of the last exchanges as fit. When not
// even the last one does, fits is false.
func (h *history) window(m *settings) (w Window, fits bool) {
	bos := len(m.appendBOS(nil))
	exchanges := (len(h.turns) + 1) / 2
	room := func(k int) int { // without the first query
		return bos + len(h.ids) - h.ends[2*k]
	}
	k := 0
	if m.Budget > 0 {
		k = sort.Search(exchanges-1, func(k int) bool { return room(k) <= m.Budget })
	}
	for ; ; k++ {
		w = Window{Dropped: 2 * k, DroppedTokens: h.begin(2 * k), Tokens: room(k) + len(h.headed(m, 2*k))}
		if m.Budget <= 0 || w.Tokens <= m.Budget {
			return w, true
		}
		if k == exchanges-1 {
			return w, false
		}
	}
}

// appendIDs appends the tokens of the turns from a query on.
func (h *history) appendIDs(dst []Token, m *settings, from int) []Token {
	dst = m.appendBOS(dst)
	dst = append(dst, h.headed(m, from)...)
	return append(dst, h.ids[h.ends[from]:]...)
}

// ready encodes a query to which a reply is due again if it was asked with
// another marker than that of the next reply.
func (h *history) ready(m *settings) error {
	last := len(h.turns) - 1
	if last < 0 {
		return h.turns.Check()
	}
	if last%2 == 0 && h.asked[last/2] != m.Render.Next {
		return h.encodeLast(m)
	}
	return nil
}

// cut shortens the last turn so that the last exchange fits, and makes a
// history of that exchange alone.
func (h *history) cut(m *settings, w Window) (*history, Window, error) {
	last := len(h.turns) - 1
	over := &prompt.TurnError{Turn: last, Offset: -1, Err: &BudgetError{m.Budget, w.Tokens}}
	if m.Overflow == RefuseLong {
		return nil, w, over
	}
	side := tokenizer.KeepStart
	if m.Overflow == KeepEnd {
		side = tokenizer.KeepEnd
	}
	content := h.turns[last].Content
	for keep := m.Tokenizer.Count(content, nil); keep > 0; {
		keep -= max(w.Tokens-m.Budget, 1)
		short := m.Tokenizer.Truncate(content, max(keep, 0), side, nil)
		one, err := h.shortened(m, short)
		if err != nil {
			return nil, w, err
		}
		var fits bool
		if w, fits = one.window(m); fits {
			w.Dropped, w.DroppedTokens = last&^1, h.begin(last&^1)
			w.CutBytes = len(content) - len(short)
			return one, w, nil
		}
	}
	return nil, w, over
}

// shortened is a history of the last exchange with other content in its last
// turn.
func (h *history) shortened(m *settings, content string) (*history, error) {
	one := &history{headTurn: -1}
	last := len(h.turns) - 1
	for i := last &^ 1; i <= last; i++ {
		t := h.turns[i]
		if i == last {
			t.Content = content
		}
		if err := one.push(m, t); err != nil {
			return nil, shifted(err, last&^1)
		}
	}
	return one, nil
}

// Fit chooses what of a conversation is sent within the options' budget: the
// last turns, whole unless the last one had to be cut, and a report.
// An error is a *prompt.TurnError, with a *BudgetError in it where the last
// exchange is too long. A Chat does the same without encoding all turns again.
func Fit(c prompt.Conversation, o *Options) (prompt.Conversation, Window, error) {
	m := o.resolve()
	if err := m.check(); err != nil {
		return nil, Window{}, err
	}
	if err := m.Dialect.Check(); err != nil {
		return nil, Window{}, err
	}
	if err := c.Check(); err != nil {
		return nil, Window{}, err
	}
	h := &history{headTurn: -1}
	for _, t := range c {
		if err := h.push(&m, t); err != nil {
			return nil, Window{}, err
		}
	}
	kept, from, w, err := h.fit(&m)
	if err != nil {
		return nil, w, err
	}
	return kept.turns[from:], w, nil
}

// fit says what is sent: the turns of a history from one on. The history is h
// itself unless the last turn had to be cut.
func (h *history) fit(m *settings) (kept *history, from int, w Window, err error) {
	if err := h.ready(m); err != nil {
		return nil, 0, w, err
	}
	w, fits := h.window(m)
	if fits {
		return h, w.Dropped, w, nil
	}
	kept, w, err = h.cut(m, w)
	return kept, 0, w, err
}
