package prompt

import (
	"fmt"
	"strconv"
)

// Role is who speaks.
type Role uint8

// The roles.
const (
	User Role = iota
	Assistant
)

// String is the role's name in JSON: user, assistant.
func (r Role) String() string {
	switch r {
	case User:
		return "user"
	case Assistant:
		return "assistant"
	}
	return "role " + strconv.Itoa(int(r))
}

// ParseRole finds a role by its name: user or human, assistant or gpt. The
// error is of the kind ErrRole.
func ParseRole(name string) (Role, error) {
	switch name {
	case "user", "human":
		return User, nil
	case "assistant", "gpt":
		return Assistant, nil
	}
	return 0, reason(ErrRole, "unknown role %.40q", name)
}

// Quality is how good a reply is, which its marker tells the model. Koala was
// trained on replies of both kinds, and is asked for a helpful one.
type Quality uint8

// The qualities. Replies without a rating are helpful.
const (
	Helpful Quality = iota
	Unhelpful
)

// String is the quality's name in JSON: helpful, unhelpful.
func (q Quality) String() string {
	switch q {
	case Helpful:
		return "helpful"
	case Unhelpful:
		return "unhelpful"
	}
	return "quality " + strconv.Itoa(int(q))
}

// ParseQuality finds a quality by its name. The error is of the kind
// ErrMarker.
func ParseQuality(name string) (Quality, error) {
	switch name {
	case "helpful":
		return Helpful, nil
	case "unhelpful":
		return Unhelpful, nil
	}
	return 0, reason(ErrMarker, "unknown quality %.40q", name)
}

// Turn is what one side said.
type Turn struct {
	Role    Role
	Quality Quality // of an Assistant's turn
	Content string  // verbatim, without marks
}

// Conversation is a row of turns: the user's first, then in alternation. When
// the last one is the user's, a reply is due.
type Conversation []Turn

// Open is whether a reply is due.
func (c Conversation) Open() bool {
	return len(c) > 0 && c[len(c)-1].Role == User
}

// Check says what is wrong with the order of the turns. The error is a
// *TurnError of the kind ErrEmpty, ErrRole, ErrOrder or ErrMarker.
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

// check checks the turn at a place.
func (t *Turn) check(i int) error {
	due := Role(i % 2)
	switch {
	case t.Role > Assistant:
		return reason(ErrRole, "unknown role %d", t.Role)
	case t.Role != due && i == 0:
		return reason(ErrOrder, "the conversation begins with a reply")
	case t.Role != due:
		return reason(ErrOrder, "two %s turns in a row", t.Role)
	case t.Quality > Unhelpful, t.Role == User && t.Quality != Helpful:
		return reason(ErrMarker, "%s turn with %s", t.Role, t.Quality)
	}
	return nil
}

// String names the conversation's length, for logs: contents may be private.
func (c Conversation) String() string { return fmt.Sprintf("conversation of %d turns", len(c)) }
