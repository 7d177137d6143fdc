package backend

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/koala-go/sdk/koala"
)

// Kinds of Error, for errors.Is. Two more are in package koala: ErrOptions for
// options or a request that cannot be used, and ErrContext for a prompt that is
// longer than the server's context.
var (
	// ErrUnreachable reports that no connection could be made.
	ErrUnreachable = errors.New("no connection to the server")
	// ErrRedirect reports that the server redirected the request elsewhere.
	ErrRedirect = errors.New("redirect refused")
	// ErrRefused reports that the server refused the request, because it
	// cannot serve it or because the key is missing or wrong.
	ErrRefused = errors.New("the server refused the request")
	// ErrOverloaded reports that the server is busy or is loading its model.
	ErrOverloaded = errors.New("the server is busy")
	// ErrModel reports that the server does not have the model.
	ErrModel = errors.New("wrong model")
	// ErrServer reports that the server failed.
	ErrServer = errors.New("the server failed")
	// ErrBroken reports a reply that ended without its end mark or that is not
	// of the expected form.
	ErrBroken = errors.New("broken stream")
	// ErrAborted reports that the server ended the reply for a reason other
	// than the model's end, a stop sequence or a limit. The reason is in Words.
	ErrAborted = errors.New("the server ended the reply early")
	// ErrTimeout reports that the first text or the next one took too long.
	ErrTimeout = errors.New("the server takes too long")
)

// Error says what went wrong with a request.
type Error struct {
	// Kind is one of the errors above, koala.ErrOptions or koala.ErrContext.
	Kind error
	// Where is the URL of the request, or "" if none was sent.
	Where string
	// Status is the HTTP status, or 0 if there was no response.
	Status int
	// Words are the server's words or the details: 300 bytes at most, without
	// control characters and without the key.
	Words string
	// Context has the numbers of tokens, if Kind is koala.ErrContext. Numbers
	// that the server does not report are the client's. It is nil for other
	// kinds.
	Context *koala.ContextError
	// Cause is the error below this one, or nil.
	Cause error

	retry      bool   // nothing can have been generated
	retryAfter string // of the response's header
}

// remedies say what to do about errors of each kind.
var remedies = map[error]string{
	koala.ErrOptions: "change it",
	koala.ErrContext: "lower the budget of the chat, or start the server with a longer context",
	ErrUnreachable:   "check the URL and that the server runs",
	ErrRedirect:      "use the URL that it leads to, if you trust it",
	ErrRefused:       "check the key, the URL's path and the sampling",
	ErrOverloaded:    "try again later",
	ErrModel:         "name a model that the server has",
	ErrServer:        "see the server's log",
	ErrBroken:        "ask again; if it happens again, check that the server is of this kind",
	ErrAborted:       "ask again; if it happens again, see the server's log",
	ErrTimeout:       "raise the timeouts, or see whether the server hangs",
}

// Error returns "what: where: what to do".
func (e *Error) Error() string {
	text := e.Kind.Error()
	if c := e.Context; c != nil && c.Prompt > 0 && c.Context > 0 {
		text += fmt.Sprintf(" (%d tokens of %d)", c.Prompt, c.Context)
	}
	if e.Words != "" {
		text += ": " + e.Words
	}
	if e.Where != "" {
		text += ": " + e.Where
	}
	if e.Status != 0 {
		text += fmt.Sprintf(" (status %d)", e.Status)
	}
	return text + ": " + remedies[e.Kind]
}

// Unwrap returns Kind, and Context and Cause if they are not nil.
func (e *Error) Unwrap() []error {
	all := []error{e.Kind}
	if e.Context != nil {
		all = append(all, e.Context)
	}
	if e.Cause != nil {
		all = append(all, e.Cause)
	}
	return all
}

func optionError(format string, args ...any) error {
	return &Error{Kind: koala.ErrOptions, Words: fmt.Sprintf(format, args...)}
}

// broken returns an error about the form of a reply. Client.complete adds the
// URL.
func broken(format string, args ...any) *Error {
	return &Error{Kind: ErrBroken, Words: fmt.Sprintf(format, args...)}
}

// maxWords bounds Error.Words in bytes.
const maxWords = 300

// clean makes a text from the network fit for a log: one short line of
// printable characters without the key. It removes the key after the other
// characters, because the key could be interrupted by some of them.
func clean(text string, key Secret) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if r != utf8.RuneError && !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, text)
	if key != "" {
		text = strings.ReplaceAll(text, string(key), hidden)
	}
	text = strings.Join(strings.Fields(text), " ")
	if len(text) <= maxWords {
		return text
	}
	end := maxWords - len("…")
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}
