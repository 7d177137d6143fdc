package prompt

import (
	"fmt"
	"strconv"
)

// Role is the author of a turn.
type Role uint8

// The roles.
const (
	User Role = iota
	Assistant
)

// String returns the name of the role in JSON: user, assistant.
func (r Role) String() string {
	switch r {
	case User:
		return "user"
	case Assistant:
		return "assistant"
	}
	return "role " + strconv.Itoa(int(r))
}

// ParseRole returns the role with a name: user or human, assistant or gpt. The error
// is of the kind ErrRole.
func ParseRole(name string) (Role, error) {
	switch name {
	case "user", "human":
		return User, nil
	case "assistant", "gpt":
		return Assistant, nil
	}
	return 0, reason(ErrRole, "unknown role %.40q", name)
}

// Quality is the rating of a reply. The marker before a reply tells the model which
// quality it has. Koala was trained on replies of both qualities; prompts ask for a
// helpful one by default.
type Quality uint8

// The qualities. Replies without a rating are helpful.
const (
	Helpful Quality = iota
	Unhelpful
)

// String returns the name of the quality in JSON: helpful, unhelpful.
func (q Quality) String() string {
	switch q {
	case Helpful:
		return "helpful"
	case Unhelpful:
		return "unhelpful"
	}
	return "quality " + strconv.Itoa(int(q))
}

// ParseQuality returns the quality with a name. The error is of the kind ErrMarker.
func ParseQuality(name string) (Quality, error) {
	switch name {
	case "helpful":
		return Helpful, nil
	case "unhelpful":
		return Unhelpful, nil
	}
	return 0, reason(ErrMarker, "unknown quality %.40q", name)
}

// Turn is a message of a conversation.
type Turn struct {
	Role    Role    // the author
	Quality Quality // the quality of a reply; Helpful for a user's turn
	Content string  // the text as it was written, without marks
}

// Conversation is a sequence of turns that begins with the user and alternates. If the
// last turn is the user's, it is a query that has no reply yet.
type Conversation []Turn

// Open reports whether the last turn is a query without a reply.
func (c Conversation) Open() bool {
	return len(c) > 0 && c[len(c)-1].Role == User
}

// Check checks the roles, the qualities and the order of the turns, but not their
// content. The error is a *TurnError of the kind ErrEmpty, ErrRole, ErrOrder or
// ErrMarker.
func (c Conversation) Check() error {
	if len(c) == 0 {
		return &TurnError{Turn: -1, Offset: -1, Err: ErrEmpty}
	}
	for i := range c {
		if err := c[i].check(i); err != nil {
			return &TurnError{Turn: i, Offset: -1, Err: err}
		}
	}
	return nil
}

// check checks a turn with index i.
func (t *Turn) check(i int) error {
	want := Role(i % 2)
	switch {
	case t.Role > Assistant:
		return reason(ErrRole, "unknown role %d", t.Role)
	case t.Role != want && i == 0:
		return reason(ErrOrder, "the conversation begins with a reply")
	case t.Role != want:
		return reason(ErrOrder, "two %s turns in a row", t.Role)
	case t.Quality > Unhelpful, t.Role == User && t.Quality != Helpful:
		return reason(ErrMarker, "%s turn of quality %s", t.Role, t.Quality)
	}
	return nil
}

// String returns the number of turns, for logs: the contents may be private.
func (c Conversation) String() string { return fmt.Sprintf("conversation of %d turns", len(c)) }
