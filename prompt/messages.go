package prompt

import "slices"

// Message is a turn as other programs have it: OpenAI's messages, and
// ShareGPT's with From and Value for Role and Content.
type Message struct {
	Role    string
	Content string
	Quality Quality // of a reply
}

// Policy is what is done with a message that Koala has no turn for.
type Policy uint8

// The policies.
const (
	Refuse Policy = iota // an error of the kind ErrPolicy
	Fold                 // its text goes into a turn beside it
	Drop                 // it is left out
	Keep                 // it stays as it is
)

// String is the policy's name: refuse, fold, drop, keep.
func (p Policy) String() string {
	return [...]string{"refuse", "fold", "drop", "keep"}[min(p, Keep)]
}

// Import are the choices of FromMessages; nil refuses all that is not a turn.
// A policy that is not named with its field is treated as Refuse.
type Import struct {
	// System is for system and developer messages. Koala has none. Fold
	// puts them before the next user's turn, each with a newline behind it,
	// as ChatTemplate does.
	System Policy // Refuse, Fold or Drop
	// Tool is for messages of tools and functions, folded in the same way.
	Tool Policy // Refuse, Fold or Drop
	// Empty is for user's and assistant's messages without text.
	Empty Policy // Refuse, Drop or Keep
	// Repeated is for two messages of the same role in a row. Fold joins
	// them with a newline.
	Repeated Policy // Refuse or Fold
}

// check reports a policy that its field does not know.
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

// Note tells of a message that did not become a turn of its own, or of an
// empty one that did.
type Note struct {
	Message int // counted from 0
	Role    string
	Policy  Policy // what was done: Fold, Drop or Keep
}

// FromMessages makes a conversation of messages. Roles are user and human;
// assistant, gpt and chatgpt; system and developer; tool and function. Nothing
// vanishes without a Note.
//
// The error is a *TurnError with the message as its turn, of the kind
// ErrEmpty, ErrRole, ErrOrder, ErrMarker or ErrPolicy.
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
	im := importer{o: o, from: -1}
	for i := range messages {
		if err := im.add(i, &messages[i]); err != nil {
			return nil, nil, &TurnError{Turn: i, Offset: -1, Err: err}
		}
	}
	switch {
	case im.from >= 0:
		err := reason(ErrPolicy, "no user turn follows to fold the message into")
		return nil, nil, &TurnError{Turn: im.from, Offset: -1, Err: err}
	case len(im.turns) == 0:
		return nil, nil, &TurnError{Turn: -1, Offset: -1, Err: ErrEmpty}
	}
	return im.turns, im.notes, nil
}

// importer makes turns of messages.
type importer struct {
	o     *Import
	turns Conversation
	notes []Note
	folds string // text for the next user's turn
	from  int    // the first message of which it is, -1 for none
}

func (im *importer) add(i int, m *Message) error {
	switch m.Role {
	case "system", "developer":
		return im.aside(i, m, im.o.System)
	case "tool", "function":
		return im.aside(i, m, im.o.Tool)
	case "chatgpt":
		return im.turn(i, m, Assistant)
	}
	role, err := ParseRole(m.Role)
	if err != nil {
		return err
	}
	return im.turn(i, m, role)
}

// note writes down what was done.
func (im *importer) note(i int, m *Message, p Policy) {
	im.notes = append(im.notes, Note{i, m.Role, p})
}

// aside takes a message that is no turn.
func (im *importer) aside(i int, m *Message, p Policy) error {
	switch p {
	case Fold:
		im.folds += m.Content + "\n"
		if im.from < 0 {
			im.from = i
		}
	case Drop:
	default:
		return reason(ErrPolicy, "Koala has no %s turn", m.Role)
	}
	im.note(i, m, p)
	return nil
}

// turn takes a message of the user or the assistant.
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
		t.Content = im.folds + t.Content
		im.folds, im.from = "", -1
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

// Messages are the turns with the names of roles that other programs know.
func (c Conversation) Messages() []Message {
	out := make([]Message, len(c))
	for i := range c {
		out[i] = Message{c[i].Role.String(), c[i].Content, c[i].Quality}
	}
	return out
}

// FromEasyLM makes a conversation of what EasyLM's /chat takes: the user's
// prompt, and the context that the last answer came with, "" at the beginning.
// A context that does not end with a whole reply is an error of the kind
// io.ErrUnexpectedEOF or ErrSyntax, with the byte of the context.
func FromEasyLM(prompt, context string) (Conversation, error) {
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
	return append(c, Turn{Role: User, Content: prompt}), nil
}

// EasyLM is what EasyLM's /chat takes for a conversation that ends with the
// user's turn. Errors are those of AppendText, and ErrOrder where no reply is
// due.
func (c Conversation) EasyLM(o *Options) (prompt, context string, err error) {
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
