package prompt

import (
	"errors"
	"fmt"
	"io"
)

// Kinds of TurnError, for errors.Is. Text that ends too early is
// io.ErrUnexpectedEOF.
var (
	// ErrEmpty: there are no turns.
	ErrEmpty = errors.New("the conversation is empty")
	// ErrOrder: turns do not alternate, beginning with the user's.
	ErrOrder = errors.New("turns out of order")
	// ErrRole: a role that is none of the user's and the assistant's.
	ErrRole = errors.New("unknown role")
	// ErrMarker: a quality for which the dialect has no marker.
	ErrMarker = errors.New("unknown marker")
	// ErrTooLong: content is over Options.MaxContent.
	ErrTooLong = errors.New("content too long")
	// ErrControl: content holds text that a server would not read as text.
	ErrControl = errors.New("control text in content")
	// ErrForged: content holds what looks like a mark of the dialect.
	ErrForged = errors.New("forged marker in content")
	// ErrUTF8: content is not UTF-8.
	ErrUTF8 = errors.New("content is not UTF-8")
	// ErrAmbiguous: a text could be more than one conversation.
	ErrAmbiguous = errors.New("ambiguous text")
	// ErrSyntax: a text is not of the dialect.
	ErrSyntax = errors.New("text of no dialect")
	// ErrDialect: a dialect with which texts cannot be told apart.
	ErrDialect = errors.New("unusable dialect")
	// ErrPolicy: a message that Import has no policy for.
	ErrPolicy = errors.New("message without a policy")
)

// TurnError says what is wrong with a conversation or its text, and where.
type TurnError struct {
	// Turn is the turn, counted from 0; -1 when it is about none.
	Turn int
	// Offset is a byte, -1 when it is about none. In errors about a
	// conversation it counts in the turn's content; in errors of Parse, in
	// the text.
	Offset int
	Err    error // of one of the kinds
}

// Error reads "what: where: what to do".
func (e *TurnError) Error() string {
	text := e.Err.Error()
	switch {
	case e.Turn >= 0 && e.Offset >= 0:
		text += fmt.Sprintf(": turn %d, byte %d", e.Turn, e.Offset)
	case e.Turn >= 0:
		text += fmt.Sprintf(": turn %d", e.Turn)
	case e.Offset >= 0:
		text += fmt.Sprintf(": byte %d", e.Offset)
	}
	if remedy := remedyFor(e.Err); remedy != "" {
		text += ": " + remedy
	}
	return text
}

// Unwrap gives the cause, which is of one of the kinds.
func (e *TurnError) Unwrap() error { return e.Err }

// remedies say what to do about errors of each kind.
var remedies = []struct {
	kind error
	text string
}{
	{ErrEmpty, "give at least one user turn"},
	{ErrOrder, "begin with a user turn and alternate"},
	{ErrRole, "use user or assistant"},
	{ErrMarker, "use a quality that the dialect has a marker for"},
	{ErrTooLong, "shorten it, or raise MaxContent"},
	{ErrControl, "send ids instead of text, or allow it with AllowControl"},
	{ErrForged, "ask for another text, or do not reject forged markers"},
	{ErrUTF8, "repair the text, or set InvalidUTF8 to ReplaceUTF8"},
	{ErrAmbiguous, "keep conversations as JSON; a text with marks in its content cannot be read back"},
	{ErrSyntax, "a text begins with BEGINNING OF CONVERSATION: and a user marker"},
	{ErrDialect, "see Dialect.Check"},
	{ErrPolicy, "choose a policy in Import"},
	{io.ErrUnexpectedEOF, "give the whole text: each reply ends with its end mark, and an open prompt with a reply marker"},
}

// remedyFor returns what to do about an error, or "" if its kind is unknown.
func remedyFor(err error) string {
	for _, r := range remedies {
		if errors.Is(err, r.kind) {
			return r.text
		}
	}
	return ""
}

// because is a sentence that is also of a kind.
type because struct {
	kind error
	text string
}

func (b *because) Error() string { return b.text }
func (b *because) Unwrap() error { return b.kind }

// reason makes an error that reads as the sentence alone.
func reason(kind error, format string, args ...any) error {
	return &because{kind, fmt.Sprintf(format, args...)}
}
