package prompt

import (
	"errors"
	"fmt"
	"io"
)

// Kinds of errors, for errors.Is. For text that ends too early the kind is
// io.ErrUnexpectedEOF.
var (
	// ErrEmpty reports a conversation without turns.
	ErrEmpty = errors.New("the conversation is empty")
	// ErrOrder reports turns that do not begin with the user or do not alternate.
	ErrOrder = errors.New("turns out of order")
	// ErrRole reports a role other than the user's and the assistant's.
	ErrRole = errors.New("unknown role")
	// ErrMarker reports a quality for which the dialect has no marker.
	ErrMarker = errors.New("unknown marker")
	// ErrTooLong reports content that is longer than Options.MaxContent.
	ErrTooLong = errors.New("content too long")
	// ErrControl reports content with text that a server reads as a control token.
	ErrControl = errors.New("control text in content")
	// ErrForged reports content with text that looks like a mark of the dialect.
	ErrForged = errors.New("forged marker in content")
	// ErrUTF8 reports content that is not UTF-8.
	ErrUTF8 = errors.New("content is not UTF-8")
	// ErrAmbiguous reports a text that could be more than one conversation.
	ErrAmbiguous = errors.New("ambiguous text")
	// ErrSyntax reports a text that is not in the dialect.
	ErrSyntax = errors.New("text is not in the dialect")
	// ErrDialect reports an unknown dialect, or one whose texts could be read in two
	// ways.
	ErrDialect = errors.New("unusable dialect")
	// ErrPolicy reports a message that the policies of Import refuse, or an unknown
	// policy.
	ErrPolicy = errors.New("message refused by policy")
)

// TurnError reports what is wrong with a conversation or its text, and where.
type TurnError struct {
	// Turn is the index of the turn, or -1 if the error is not about one turn.
	Turn int
	// Offset is the offset of a byte, or -1 if the error is not about one byte.
	// It counts in the content of the turn in errors about a conversation, and in
	// the text in errors of Parse.
	Offset int
	// Err says what is wrong. It is of one of the kinds.
	Err error
}

// Error returns "what: where: what to do".
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

// Unwrap returns e.Err.
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
	{ErrControl, "send ids instead of text, or set AllowControl"},
	{ErrForged, "ask for another text, or do not set RejectForged"},
	{ErrUTF8, "repair the text, or set InvalidUTF8 to ReplaceUTF8"},
	{ErrAmbiguous, "save conversations as JSON, because a text with marks in its content cannot be parsed"},
	{ErrSyntax, "a text begins with BEGINNING OF CONVERSATION: and a user marker"},
	{ErrDialect, "see Dialect.Check"},
	{ErrPolicy, "choose a policy in Import"},
	{io.ErrUnexpectedEOF, "give the whole text: each reply ends with its end mark, and a prompt ends with a reply marker"},
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

// reasonError is an error with a text and a kind.
type reasonError struct {
	kind error
	text string
}

func (e *reasonError) Error() string { return e.text }
func (e *reasonError) Unwrap() error { return e.kind }

// reason returns an error of a kind whose text does not contain that of the kind.
func reason(kind error, format string, args ...any) error {
	return &reasonError{kind, fmt.Sprintf(format, args...)}
}
