package koala

import (
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/koala-go/sdk/prompt"
)

// Chat is a conversation that continues: its history and the options of its
// prompts. The zero Chat is empty and has the default options. A Chat is safe for
// concurrent use and must not be copied. It answers one query at a time: a second
// one gets ErrBusy.
//
// Save it with json.Marshal and load it with Load.
type Chat struct {
	mu   sync.Mutex
	s    settings
	h    history
	busy bool // Ask or Answer has not returned
}

// New returns an empty chat. The error is of the kind ErrOptions.
func New(o *Options) (*Chat, error) {
	s := o.resolve()
	if err := checkAll(&s); err != nil {
		return nil, err
	}
	return &Chat{s: s, h: history{headTurn: -1}}, nil
}

// checkAll checks all options, those of package prompt by rendering an empty
// query.
func checkAll(s *settings) error {
	if err := s.check(); err != nil {
		return err
	}
	_, err := s.Dialect.AppendSegments(nil, prompt.Conversation{{}}, &s.Render)
	return err
}

// lock locks the chat and initializes a zero Chat.
func (c *Chat) lock() {
	c.mu.Lock()
	if c.s.Tokenizer == nil {
		c.s = c.s.resolve()
		c.h.headTurn = -1
	}
}

// User adds a query. Options.Render says which content is refused. The error is
// a *prompt.TurnError; its kind is prompt.ErrOrder if the last query has no reply
// yet. If User returns an error, the chat is unchanged.
func (c *Chat) User(content string) error {
	return c.Add(prompt.Turn{Role: prompt.User, Content: content})
}

// Add adds a turn: a query as User does, or a reply that was made elsewhere.
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
	if c.s.Render.InvalidUTF8 == prompt.ReplaceUTF8 {
		t.Content = replaceInvalid(t.Content)
	}
	return c.h.push(&c.s, t)
}

// replaceInvalid returns text with U+FFFD for each byte that is not valid UTF-8.
func replaceInvalid(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	return string([]rune(text))
}

// Undo removes the last turn, a query or a reply. It reports whether there was
// one.
func (c *Chat) Undo() bool {
	c.lock()
	defer c.mu.Unlock()
	if len(c.h.turns) == 0 {
		return false
	}
	c.h.pop()
	return true
}

// Reset removes all turns. The options stay.
func (c *Chat) Reset() {
	c.lock()
	defer c.mu.Unlock()
	c.h = history{headTurn: -1}
}

// Conversation returns a copy of the whole history.
func (c *Chat) Conversation() prompt.Conversation {
	c.lock()
	defer c.mu.Unlock()
	return slices.Clone(c.h.turns)
}

// SetNext sets the quality that the next requests ask for. The error is of the
// kinds ErrOptions and prompt.ErrMarker if the dialect has no marker for q.
func (c *Chat) SetNext(q prompt.Quality) error {
	c.lock()
	defer c.mu.Unlock()
	s := c.s
	s.Render.Next = q
	if err := checkAll(&s); err != nil {
		return err
	}
	c.s.Render.Next = q
	return nil
}

// Sampling returns the sampling parameters of the next request.
func (c *Chat) Sampling() Sampling {
	c.lock()
	defer c.mu.Unlock()
	return c.s.sampling()
}

// SetSampling sets the sampling parameters of the next requests. The Completer
// checks them.
func (c *Chat) SetSampling(s Sampling) {
	c.lock()
	defer c.mu.Unlock()
	c.s.Sampling = &s
}

// AppendIDs appends the tokens of the next request, which are within the budget,
// to dst. It encodes only turns that are new. The errors are those of Fit.
func (c *Chat) AppendIDs(dst []Token) ([]Token, Window, error) {
	c.lock()
	defer c.mu.Unlock()
	kept, from, w, err := c.h.fit(&c.s)
	if err != nil {
		return dst, w, err
	}
	return kept.appendIDs(dst, &c.s, from), w, nil
}

// AppendText appends the text of the next request, for servers that take only
// text, to dst. The budget counts the tokens of AppendIDs. The errors are those
// of Fit, and prompt.ErrControl for content that such a server would read as
// control tokens.
func (c *Chat) AppendText(dst []byte) ([]byte, Window, error) {
	c.lock()
	defer c.mu.Unlock()
	kept, from, w, err := c.h.fit(&c.s)
	if err != nil {
		return dst, w, err
	}
	dst, err = c.s.Dialect.AppendText(dst, kept.turns[from:], &c.s.Render)
	return dst, w, shiftTurn(err, w.Dropped)
}

// Request returns the request for the reply to the last query. The errors are
// those of Fit, and prompt.ErrOrder if the last query has a reply.
func (c *Chat) Request() (*Request, error) {
	c.lock()
	defer c.mu.Unlock()
	if n := len(c.h.turns); n > 0 && !c.h.turns.Open() {
		return nil, &prompt.TurnError{Turn: n, Offset: -1, Err: prompt.ErrOrder}
	}
	kept, from, w, err := c.h.fit(&c.s)
	if err != nil {
		return nil, err
	}
	s := c.s.sampling()
	r := &Request{
		IDs:          kept.appendIDs(make([]Token, 0, w.Tokens), &c.s, from),
		Conversation: slices.Clone(kept.turns[from:]),
		Window:       w,
		Dialect:      c.s.Dialect, Render: c.s.Render, Sampling: s,
		StopIDs: []Token{c.s.Tokenizer.EOS()},
	}
	if user := c.s.Dialect.Markers.User; user != "" {
		r.Stops = append(r.Stops, user)
	}
	r.Stops = append(r.Stops, s.Stops...)
	return r, nil
}

// undo removes the last turn if there are exactly that many: another goroutine
// may have changed the chat.
func (c *Chat) undo(turns int) {
	c.lock()
	defer c.mu.Unlock()
	if len(c.h.turns) == turns {
		c.h.pop()
	}
}
