package backend

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Kinds of Error, for errors.Is.
var (
	// ErrOptions: the options, or the request, cannot be used.
	ErrOptions = errors.New("unusable options")
	// ErrUnreachable: no connection could be made.
	ErrUnreachable = errors.New("no connection to the server")
	// ErrRedirect: the server sent the request elsewhere.
	ErrRedirect = errors.New("redirect refused")
	// ErrRefused: the server refused the request, for one that it cannot do
	// or for want of a key.
	ErrRefused = errors.New("the server refused the request")
	// ErrOverloaded: the server is busy, or loads its model.
	ErrOverloaded = errors.New("the server is busy")
	// ErrContext: the prompt is longer than the server's context.
	ErrContext = errors.New("the prompt is longer than the server's context")
	// ErrModel: the server does not have the model, or answered for another.
	ErrModel = errors.New("wrong model")
	// ErrServer: the server failed.
	ErrServer = errors.New("the server failed")
	// ErrBroken: the reply ended without its end mark, or is not of the form
	// that is due.
	ErrBroken = errors.New("broken stream")
	// ErrTimeout: the first text, or the next, took too long.
	ErrTimeout = errors.New("the server takes too long")
)

// Error says what went wrong with a request.
type Error struct {
	Kind   error  // one of the kinds
	Where  string // the URL, "" before there is one
	Status int    // of HTTP, 0 when there was no answer
	// Words are what the server said, or what is wrong: 300 bytes at most,
	// without control characters, keys left out.
	Words string
	// Prompt and Context are numbers of tokens, with ErrContext. What the
	// server does not tell is the client's count, or 0.
	Prompt, Context int
	Cause           error // nil where the words say all

	retry bool // nothing can have been generated
	after string
}

var errorCures = map[error]string{
	ErrOptions:     "change it",
	ErrUnreachable: "check the URL and that the server runs",
	ErrRedirect:    "give the URL that it leads to, if you trust it",
	ErrRefused:     "check the key, the URL's path and the sampling",
	ErrOverloaded:  "try again later",
	ErrContext:     "lower the budget of the chat, or start the server with a longer context",
	ErrModel:       "name a model that the server has",
	ErrServer:      "see the server's log",
	ErrBroken:      "ask again; if it stays so, check that the server is of this kind",
	ErrTimeout:     "raise the timeouts, or see whether the server hangs",
}

// Error reads "what: where: what to do".
func (e *Error) Error() string {
	text := e.Kind.Error()
	if e.Kind == ErrContext && e.Prompt > 0 && e.Context > 0 {
		text += fmt.Sprintf(" (%d tokens of %d)", e.Prompt, e.Context)
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
	return text + ": " + errorCures[e.Kind]
}

// Unwrap gives the kind and the cause.
func (e *Error) Unwrap() []error {
	if e.Cause == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Cause}
}

func optionError(format string, args ...any) error {
	return &Error{Kind: ErrOptions, Words: fmt.Sprintf(format, args...)}
}

// broken is an error about the form of a stream; where is filled in later.
func broken(format string, args ...any) *Error {
	return &Error{Kind: ErrBroken, Words: fmt.Sprintf(format, args...)}
}

// maxWords bounds what is kept of a server's words, in bytes.
const maxWords = 300

// clean makes a stranger's text fit for a log: without the key, also where
// characters that are left out stood in it, in one line and short.
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
