package koala

import (
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/koala-go/sdk/prompt"
)

// Chat is a conversation that goes on: its history, and how its prompts are
// made. The zero Chat is empty and has no options. It is safe for concurrent
// use, and any number of chats may be used at once. A Chat must not be copied.
//
// It is saved by json.Marshal and loaded by json.Unmarshal.
type Chat struct {
	mu sync.Mutex
	m  settings
	h  history
}

// New makes an empty chat. The error is a *prompt.TurnError for a dialect or a
// tokenizer that cannot be used, or when the dialect has no marker for the reply
// that Render asks for.
func New(o *Options) (*Chat, error) {
	m := o.resolve()
	if err := check(&m); err != nil {
		return nil, err
	}
	return &Chat{m: m, h: history{headTurn: -1}}, nil
}

// check tries options on an empty query.
func check(m *settings) error {
	if err := m.check(); err != nil {
		return err
	}
	_, err := m.Dialect.AppendSegments(nil, prompt.Conversation{{}}, &m.Render)
	return err
}

// lock locks the chat and makes the zero one usable.
func (c *Chat) lock() {
	c.mu.Lock()
	if c.m.Tokenizer == nil {
		c.m = c.m.resolve()
		c.h.headTurn = -1
	}
}

// User adds what the user said. The content is checked as Options.Render says.
// The error is a *prompt.TurnError: of the kind prompt.ErrOrder when a reply is
// due; the chat is as it was.
func (c *Chat) User(content string) error {
	return c.Add(prompt.Turn{Role: prompt.User, Content: content})
}

// Add adds a turn, as User does; a reply that was made elsewhere too.
func (c *Chat) Add(t prompt.Turn) error {
	c.lock()
	defer c.mu.Unlock()
	return c.add(t)
}

func (c *Chat) add(t prompt.Turn) error {
	n := len(c.h.turns)
	if t.Role != prompt.Role(n%2) {
		return append(c.h.turns[:n:n], t).Check()
	}
	if c.m.Render.InvalidUTF8 == prompt.ReplaceUTF8 {
		t.Content = valid(t.Content)
	}
	return c.h.push(&c.m, t)
}

// valid has U+FFFD for each byte that is not UTF-8.
func valid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string([]rune(s))
}

// Undo takes the last turn away: a reply, to ask for another one, or a query.
// It says whether there was one.
func (c *Chat) Undo() bool {
	c.lock()
	defer c.mu.Unlock()
	if len(c.h.turns) == 0 {
		return false
	}
	c.h.pop()
	return true
}

// Reset forgets all turns.
func (c *Chat) Reset() {
	c.lock()
	defer c.mu.Unlock()
	c.h = history{headTurn: -1}
}

// Conversation is a copy of the whole history.
func (c *Chat) Conversation() prompt.Conversation {
	c.lock()
	defer c.mu.Unlock()
	return slices.Clone(c.h.turns)
}

// SetNext says what the next reply shall be. The error is a *prompt.TurnError
// of the kind prompt.ErrMarker when the dialect has no marker for it.
func (c *Chat) SetNext(q prompt.Quality) error {
	c.lock()
	defer c.mu.Unlock()
	m := c.m
	m.Render.Next = q
	if err := check(&m); err != nil {
		return err
	}
	c.m.Render.Next = q
	return nil
}

// Sampling is what the next request asks for.
func (c *Chat) Sampling() Sampling {
	c.lock()
	defer c.mu.Unlock()
	return c.m.sampling()
}

// SetSampling says what the next requests shall ask for.
func (c *Chat) SetSampling(s Sampling) {
	c.lock()
	defer c.mu.Unlock()
	c.m.Sampling = &s
}

// AppendIDs appends the tokens of the next request, within the budget. It
// encodes only turns that are new. Errors are those of Fit.
func (c *Chat) AppendIDs(dst []Token) ([]Token, Window, error) {
	c.lock()
	defer c.mu.Unlock()
	kept, from, w, err := c.h.fit(&c.m)
	if err != nil {
		return dst, w, err
	}
	return kept.appendIDs(dst, &c.m, from), w, nil
}

// AppendText appends the text of the next request, for servers that take only
// text; the budget is kept as if it were ids. Errors are those of Fit, and
// prompt.ErrControl for content that such a server would misread.
func (c *Chat) AppendText(dst []byte) ([]byte, Window, error) {
	c.lock()
	defer c.mu.Unlock()
	kept, from, w, err := c.h.fit(&c.m)
	if err != nil {
		return dst, w, err
	}
	dst, err = c.m.Dialect.AppendText(dst, kept.turns[from:], &c.m.Render)
	return dst, w, shifted(err, w.Dropped)
}

// Request is what a server needs for the reply that is due. The error is that
// of Fit, or of the kind prompt.ErrOrder when none is due.
func (c *Chat) Request() (*Request, error) {
	c.lock()
	defer c.mu.Unlock()
	if n := len(c.h.turns); n > 0 && !c.h.turns.Open() {
		return nil, &prompt.TurnError{Turn: n, Offset: -1, Err: prompt.ErrOrder}
	}
	kept, from, w, err := c.h.fit(&c.m)
	if err != nil {
		return nil, err
	}
	s := c.m.sampling()
	r := &Request{
		IDs:          kept.appendIDs(make([]Token, 0, w.Tokens), &c.m, from),
		Conversation: slices.Clone(kept.turns[from:]),
		Window:       w,
		Dialect:      c.m.Dialect, Render: c.m.Render, Sampling: s,
		StopIDs: []Token{c.m.Tokenizer.EOS()},
	}
	if user := c.m.Dialect.Markers.User; user != "" {
		r.Stops = append(r.Stops, user)
	}
	r.Stops = append(r.Stops, s.Stops...)
	return r, nil
}

// undo takes the last turn away if there are so many.
func (c *Chat) undo(turns int) {
	c.lock()
	defer c.mu.Unlock()
	if len(c.h.turns) == turns {
		c.h.pop()
	}
}
