package prompt

import "slices"

// Message is a turn of another program: one of OpenAI's messages, or one of ShareGPT,
// where Role and Content are called from and value.
type Message struct {
	Role    string  // the author: see FromMessages
	Content string  // the text
	Quality Quality // the quality of a reply
}

// Policy says what to do with a message for which Koala has no turn.
type Policy uint8

// The policies.
const (
	Refuse Policy = iota // return an error of the kind ErrPolicy
	Fold                 // add its text to a neighboring turn
	Drop                 // leave it out
	Keep                 // make it a turn
)

// String returns the name of the policy: refuse, fold, drop, keep.
func (p Policy) String() string {
	return [...]string{"refuse", "fold", "drop", "keep"}[min(p, Keep)]
}

// Import has the policies of FromMessages. Nil means Refuse for all of them.
type Import struct {
	// System is the policy for system and developer messages, which Koala does
	// not have: Refuse, Fold or Drop. Fold puts them before the next user's turn,
	// each with a newline after it, as ChatTemplate does.
	System Policy
	// Tool is the policy for messages of tools and functions: Refuse, Fold or
	// Drop. Fold is the same as for System.
	Tool Policy
	// Empty is the policy for messages of the user and the assistant without
	// text: Refuse, Drop or Keep.
	Empty Policy
	// Repeated is the policy for two messages of the same role in a row: Refuse or
	// Fold. Fold joins them with a newline.
	Repeated Policy
}

// check reports a policy that its field does not have.
func (o *Import) check() error {
	for _, f := range [...]struct {
		name   string
		policy Policy
		known  []Policy
	}{
		{"System", o.System, []Policy{Refuse, Fold, Drop}},
		{"Tool", o.Tool, []Policy{Refuse, Fold, Drop}},
		{"Empty", o.Empty, []Policy{Refuse, Drop, Keep}},
		{"Repeated", o.Repeated, []Policy{Refuse, Fold}},
	} {
		if !slices.Contains(f.known, f.policy) {
			return optionError(f.name, ErrPolicy, "policy %s: it must be one of %v", f.policy, f.known)
		}
	}
	return nil
}

// Note reports a message that did not become a turn of its own, or an empty message
// that did.
type Note struct {
	Message int    // the index of the message
	Role    string // its role
	Policy  Policy // what was done: Fold, Drop or Keep
}

// FromMessages returns the conversation of messages. The roles are user and human;
// assistant, gpt and chatgpt; system and developer; tool and function. There is a Note
// for each message that does not become a turn.
//
// The error is a *TurnError whose Turn is the index of the message, of the kind
// ErrEmpty, ErrRole, ErrOrder, ErrMarker or ErrPolicy, or an *OptionError.
func FromMessages(messages []Message, o *Import) (Conversation, []Note, error) {
	if o == nil {
		o = &Import{}
	}
	if err := o.check(); err != nil {
		return nil, nil, err
	}
	if len(messages) == 0 {
		return nil, nil, &TurnError{Turn: -1, Offset: -1, Err: ErrEmpty}
	}
	im := importer{o: o, foldedFrom: -1}
	for i := range messages {
		if err := im.add(i, &messages[i]); err != nil {
			return nil, nil, &TurnError{Turn: i, Offset: -1, Err: err}
		}
	}
	switch {
	case im.foldedFrom >= 0:
		err := reason(ErrPolicy, "no user turn follows into which the message could be folded")
		return nil, nil, &TurnError{Turn: im.foldedFrom, Offset: -1, Err: err}
	case len(im.turns) == 0:
		return nil, nil, &TurnError{Turn: -1, Offset: -1, Err: ErrEmpty}
	}
	return im.turns, im.notes, nil
}

// importer makes turns of messages.
type importer struct {
	o          *Import
	turns      Conversation
	notes      []Note
	folded     string // text for the beginning of the next user's turn
	foldedFrom int    // the index of the first message in folded, -1 if there is none
}

func (im *importer) add(i int, m *Message) error {
	switch m.Role {
	case "system", "developer":
		return im.withoutTurn(i, m, im.o.System)
	case "tool", "function":
		return im.withoutTurn(i, m, im.o.Tool)
	case "chatgpt":
		return im.turn(i, m, Assistant)
	}
	role, err := ParseRole(m.Role)
	if err != nil {
		return err
	}
	return im.turn(i, m, role)
}

// note records what was done with a message.
func (im *importer) note(i int, m *Message, p Policy) {
	im.notes = append(im.notes, Note{i, m.Role, p})
}

// withoutTurn adds a message of a role that has no turns.
func (im *importer) withoutTurn(i int, m *Message, p Policy) error {
	switch p {
	case Fold:
		im.folded += m.Content + "\n"
		if im.foldedFrom < 0 {
			im.foldedFrom = i
		}
	case Drop:
	default:
		return reason(ErrPolicy, "Koala has no %s turn", m.Role)
	}
	im.note(i, m, p)
	return nil
}

// turn adds a message of the user or the assistant.
func (im *importer) turn(i int, m *Message, role Role) error {
	if m.Content == "" {
		switch im.o.Empty {
		case Drop:
			im.note(i, m, Drop)
			return nil
		case Keep:
			im.note(i, m, Keep)
		default:
			return reason(ErrPolicy, "empty %s message", m.Role)
		}
	}
	t := Turn{Role: role, Quality: m.Quality, Content: m.Content}
	if role == User {
		t.Content = im.folded + t.Content
		im.folded, im.foldedFrom = "", -1
	}
	if last := len(im.turns) - 1; last >= 0 && im.turns[last].Role == role && im.o.Repeated == Fold && im.turns[last].Quality == m.Quality {
		im.turns[last].Content += "\n" + t.Content
		im.note(i, m, Fold)
		return nil
	}
	if err := t.check(len(im.turns)); err != nil {
		return err
	}
	im.turns = append(im.turns, t)
	return nil
}

// Messages returns the turns as messages with the roles user and assistant.
func (c Conversation) Messages() []Message {
	out := make([]Message, len(c))
	for i := range c {
		out[i] = Message{c[i].Role.String(), c[i].Content, c[i].Quality}
	}
	return out
}

// FromEasyLM returns the conversation of a request to EasyLM's /chat: a query, and the
// context that came with the last reply, which is "" at the beginning. For a context
// that does not end with a whole reply, the error is of the kind io.ErrUnexpectedEOF
// or ErrSyntax and has the offset in the context.
func FromEasyLM(query, context string) (Conversation, error) {
	var c Conversation
	if context != "" {
		p, err := EasyLMContext.parse(context)
		if err != nil {
			return nil, err
		}
		if p.Conversation.Open() {
			return nil, &TurnError{len(p.Conversation) - 1, len(context), reason(ErrSyntax, "the context ends with a query, not with a reply")}
		}
		c = p.Conversation
	}
	return append(c, Turn{Role: User, Content: query}), nil
}

// EasyLM returns the request to EasyLM's /chat for a conversation that ends with a
// query. The errors are those of AppendText, and ErrOrder if the conversation ends with
// a reply.
func (c Conversation) EasyLM(o *Options) (query, context string, err error) {
	if len(c) > 0 && !c.Open() {
		return "", "", &TurnError{Turn: len(c) - 1, Offset: -1, Err: reason(ErrOrder, "the conversation ends with a reply")}
	}
	if _, err := EasyLMContext.Text(c, o); err != nil {
		return "", "", err
	}
	last := len(c) - 1
	if last > 0 {
		context, err = EasyLMContext.Text(c[:last], o)
	}
	return c[last].Content, context, err
}
