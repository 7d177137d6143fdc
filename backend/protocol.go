package backend

import (
	"encoding/json"
	"errors"
	"io"

	"github.com/koala-go/sdk/koala"
)

// protocol describes how to ask a kind of server and how to read its reply.
type protocol struct {
	path string
	// events returns the reader of a stream. It is nil if the reply is one
	// JSON document.
	events func(*lines) events
	// body returns the request, which is encoded as JSON.
	body func(o *Options, r *koala.Request) (any, error)
	// take reads an event. It returns the text that the event adds and whether
	// the event is the end mark of the stream, and stores what the event says
	// about the reply in the report. The error is errServer if the event
	// contains an error of the server, or an *Error.
	take func(event []byte, rep *koala.Report) (text streamText, end bool, err error)
	// noEndHint says what else a stream without an end mark may mean.
	noEndHint string
}

// errServer says that an event contains an error in the server's words.
var errServer = errors.New("the event is an error")

func newSSE(l *lines) events    { return &sse{lines: l} }
func newNDJSON(l *lines) events { return ndjson{l} }

// unmarshalEvent decodes an event into target, a struct of the fields that
// matter. JSON treats all fields as optional, so take has to check the required
// ones.
func unmarshalEvent(event []byte, target any) error {
	if isServerError(event) {
		return errServer
	}
	if err := json.Unmarshal(event, target); err != nil {
		return &Error{Kind: ErrBroken, Words: "an event is not JSON of the expected form: " + string(event[:min(len(event), maxWords)]), Cause: err}
	}
	return nil
}

// aborted returns the error of a reply that the server ended for a reason that
// is not in the list of its protocol.
func aborted(reason string) error {
	return &Error{Kind: ErrAborted, Words: "its reason is " + reason}
}

// promptOf returns the prompt in the form that the server takes: ids, or text
// that contains no control tokens. Options.resolve sets o.Text for kinds that
// take only text.
func promptOf(o *Options, r *koala.Request) (any, error) {
	switch {
	case o.Text:
		return r.Text()
	case len(r.IDs) == 0:
		return nil, optionError("request without ids")
	}
	return r.IDs, nil
}

// samplers are the sampling parameters of llama.cpp and of Ollama, which is
// built on it. Parameters that koala.Sampling lacks are turned off.
type samplers struct {
	Temperature   float64  `json:"temperature"`
	TopK          int      `json:"top_k"`
	TopP          float64  `json:"top_p"`
	MinP          float64  `json:"min_p"`
	RepeatPenalty float64  `json:"repeat_penalty"`
	Seed          *int64   `json:"seed,omitempty"`
	Stop          []string `json:"stop,omitempty"`
}

func samplersOf(r *koala.Request) samplers {
	s := &r.Sampling
	return samplers{s.Temperature, s.TopK, s.TopP, 0, 1, s.Seed, r.Stops}
}

// maxDocument bounds a reply that is one JSON document, and a line or an event of
// a stream, in bytes.
const maxDocument = 8 << 20

// readDocument reads a reply that is one JSON document.
func readDocument(body io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(body, maxDocument+1))
	if err == nil && len(data) > maxDocument {
		err = broken("a reply over %d bytes", maxDocument)
	}
	return data, err
}
