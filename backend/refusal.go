package backend

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// maxRefusal bounds what is read of an answer that is an error, in bytes.
const maxRefusal = 64 << 10

// refusal is the error of an answer that is none.
func refusal(answer *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(answer.Body, maxRefusal)) // what came is all there is to tell
	e := said(text)
	e.Status = answer.StatusCode
	if e.Kind == nil {
		e.Kind = kindOf(e)
	}
	if e.Kind == ErrOverloaded {
		e.retry, e.after = true, answer.Header.Get("Retry-After")
	}
	return e
}

// midStream is the error of an event that is one.
func midStream(event []byte) error {
	e := said(event)
	if e.Kind == nil {
		e.Kind = ErrBroken
	}
	return e
}

// words are the errors of all servers:
//
//	{"error": {"message", "type", "param", "n_prompt_tokens", "n_ctx"}}   llama.cpp, vLLM
//	{"message", "type"}                                                   llama.cpp, for an empty body
//	{"error": "text"}                                                     Ollama
//	{"detail": "text" or a list}                                          EasyLM, vLLM
type words struct {
	Error   json.RawMessage `json:"error"`
	Detail  json.RawMessage `json:"detail"`
	Message json.RawMessage `json:"message"`
	Type    json.RawMessage `json:"type"`
	Param   json.RawMessage `json:"param"`
	Prompt  json.RawMessage `json:"n_prompt_tokens"`
	Context json.RawMessage `json:"n_ctx"`
}

// said makes an error of the server's words; its kind is nil unless they say
// that the context is too short.
func said(text []byte) *Error {
	e := &Error{Words: string(text)}
	var w, inner words
	if json.Unmarshal(text, &w) != nil {
		return e
	}
	if json.Unmarshal(w.Error, &inner) == nil {
		w = inner
	}
	for _, part := range []json.RawMessage{w.Message, w.Error, w.Detail} {
		if len(part) > 0 && string(part) != "null" {
			e.Words = plain(part)
			break
		}
	}
	tooLong(e, &w)
	return e
}

// plain is a JSON string's text, or any other value's JSON.
func plain(v json.RawMessage) string {
	var text string
	if json.Unmarshal(v, &text) == nil {
		return text
	}
	return string(v)
}

var (
	vllmContext = regexp.MustCompile(`maximum context length is (\d+) tokens`)
	vllmPrompt  = regexp.MustCompile(`prompt contains (?:at least )?(\d+) input tokens`)
)

// tooLong recognizes a prompt over the context. vLLM's words for one that just
// fills it are about max_tokens, which this client never sets below 1.
func tooLong(e *Error, w *words) {
	said := e.Words
	switch {
	case plain(w.Type) == "exceed_context_size_error":
		e.Prompt, e.Context = number(string(w.Prompt)), number(string(w.Context))
	case vllmContext.MatchString(said):
		e.Context = number(vllmContext.FindStringSubmatch(said)[1])
		if m := vllmPrompt.FindStringSubmatch(said); m != nil {
			e.Prompt = number(m[1])
		}
	case strings.Contains(said, "max_tokens must be at least 1, got 0"):
	case strings.Contains(said, "input length exceeds the context length"):
	default:
		return
	}
	e.Kind = ErrContext
}

func number(digits string) int {
	n, err := strconv.Atoi(digits)
	if err != nil {
		return 0
	}
	return n
}

// kindOf is the kind of an error by its status.
func kindOf(e *Error) error {
	switch {
	case e.Status == http.StatusServiceUnavailable || e.Status == http.StatusTooManyRequests:
		return ErrOverloaded
	case e.Status == http.StatusNotFound && strings.Contains(strings.ToLower(e.Words), "model"):
		return ErrModel
	case e.Status >= 500:
		return ErrServer
	case e.Status >= 400:
		return ErrRefused
	case e.Status >= 300:
		return ErrRedirect
	}
	e.Words = fmt.Sprintf("status %d where 200 is due: %s", e.Status, e.Words)
	return ErrBroken
}

// pause is how long to wait: what the server asks for, in whole seconds, or
// what is given.
func (e *Error) pause(given time.Duration) time.Duration {
	if s := number(e.after); s > 0 && s <= int(maxPause/time.Second) {
		return time.Duration(s) * time.Second
	}
	return given
}
