package backend

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/koala-go/sdk/koala"
)

// maxErrorBody bounds the part of an error response that is read, in bytes.
const maxErrorBody = 64 << 10

// errorResponse returns the error of a response whose status is not 200.
func errorResponse(response *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(response.Body, maxErrorBody)) // a part of the text is better than none
	e := parseError(text)
	e.Status = response.StatusCode
	if e.Kind == nil {
		e.Kind = kindOf(e)
	}
	if e.Kind == ErrOverloaded {
		e.retry, e.retryAfter = true, response.Header.Get("Retry-After")
	}
	return e
}

// errorEvent returns the error of an event in a stream.
func errorEvent(event []byte) error {
	e := parseError(event)
	if e.Kind == nil {
		e.Kind = ErrBroken
	}
	return e
}

// serverError has the members of the errors of all servers:
//
//	{"error": {"message", "type", "param", "n_prompt_tokens", "n_ctx"}}   llama.cpp, vLLM
//	{"message", "type"}                                                   llama.cpp, for an empty body
//	{"error": "text"}                                                     Ollama
//	{"detail": "text" or a list}                                          EasyLM, vLLM
//	{"object": "error", "message", "code"}                                older vLLM, FastChat, SGLang
//	{"text", "error_code"}                                                FastChat's workers
type serverError struct {
	Error   json.RawMessage `json:"error"`
	Detail  json.RawMessage `json:"detail"`
	Message json.RawMessage `json:"message"`
	Text    json.RawMessage `json:"text"`
	Code    json.RawMessage `json:"code"`
	Type    json.RawMessage `json:"type"`
	Param   json.RawMessage `json:"param"`
	Prompt  json.RawMessage `json:"n_prompt_tokens"`
	Context json.RawMessage `json:"n_ctx"`
}

// isServerError reports whether an event has the form of an error. A reply has
// one of the members choices, content, response and output_text.
func isServerError(event []byte) bool {
	if !bytes.Contains(event, []byte(`"error`)) && !bytes.Contains(event, []byte(`"detail"`)) && !bytes.Contains(event, []byte(`"message"`)) {
		return false // the usual case, without decoding the event
	}
	var e struct {
		serverError
		Object    string          `json:"object"`
		ErrorCode json.RawMessage `json:"error_code"`
		Choices   json.RawMessage `json:"choices"`
		Content   json.RawMessage `json:"content"`
		Response  json.RawMessage `json:"response"`
		Output    json.RawMessage `json:"output_text"`
	}
	if json.Unmarshal(event, &e) != nil {
		return false
	}
	switch {
	case has(e.Error), e.Object == "error", has(e.ErrorCode) && string(e.ErrorCode) != "0":
		return true
	case has(e.Choices), has(e.Content), has(e.Response), has(e.Output):
		return false
	}
	return has(e.Detail) || has(e.Message)
}

// has reports whether a member is there and is not null.
func has(v json.RawMessage) bool { return len(v) > 0 && string(v) != "null" }

// parseError returns an error with the server's words. Its kind is nil unless
// the words say that the prompt is longer than the context.
func parseError(text []byte) *Error {
	e := &Error{Words: string(text)}
	var s, inner serverError
	if json.Unmarshal(text, &s) != nil {
		return e
	}
	if json.Unmarshal(s.Error, &inner) == nil {
		s = inner
	}
	for _, part := range []json.RawMessage{s.Message, s.Error, s.Detail, s.Text} {
		if has(part) {
			e.Words = plainText(part)
			break
		}
	}
	recognizeContext(e, &s)
	return e
}

// plainText returns the text of a JSON string, and the JSON of any other value.
func plainText(v json.RawMessage) string {
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

// contextPhrases are what servers say about a prompt that is longer than the
// context, where they do not say it by a type or a code.
var contextPhrases = regexp.MustCompile(`(?i)` + strings.Join([]string{
	`max_tokens must be at least 1, got 0`,                          // vLLM
	`input length exceeds the context length`,                       // Ollama
	`exceeds? the available context size`,                           // llama.cpp before exceed_context_size_error
	`inputs. tokens \+ .max_new_tokens. must be`,                    // text-generation-inference
	`.inputs. must have less than \d+ tokens`,                       // text-generation-inference
	`greater than the context length`,                               // LM Studio
	`(longer|larger) than the (model's )?(maximum )?context length`, // SGLang, LM Studio
	`exceeds the (model's )?(maximum )?context (length|window)`,     // SGLang and others
}, "|"))

// recognizeContext recognizes the error for a prompt that is longer than the
// context. If the prompt just fills the context, vLLM complains about
// max_tokens, which this client never sets below 1.
func recognizeContext(e *Error, s *serverError) {
	var c koala.ContextError
	switch {
	case plainText(s.Type) == "exceed_context_size_error":
		c.Prompt, c.Context = number(string(s.Prompt)), number(string(s.Context))
	case vllmContext.MatchString(e.Words):
		c.Context = number(vllmContext.FindStringSubmatch(e.Words)[1])
		if m := vllmPrompt.FindStringSubmatch(e.Words); m != nil {
			c.Prompt = number(m[1])
		}
	case plainText(s.Code) == "context_length_exceeded", contextPhrases.MatchString(e.Words):
	default:
		return
	}
	e.Kind, e.Context = koala.ErrContext, &c
}

// number returns the value of a decimal number, or 0 for anything else.
func number(digits string) int {
	n, err := strconv.Atoi(digits)
	if err != nil {
		return 0
	}
	return n
}

// kindOf returns the kind of an error by its status.
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
	e.Words = fmt.Sprintf("status %d, want 200: %s", e.Status, e.Words)
	return ErrBroken
}

// pause returns how long to wait before a retry: what the response's Retry-After
// says, in seconds or as a date (RFC 9110, section 10.2.3), up to maxPause. Or
// else it is between half of backoff and all of it, by chance, so that clients
// that failed together do not come back together.
func (e *Error) pause(backoff time.Duration) time.Duration {
	wait := time.Duration(number(e.retryAfter)) * time.Second
	if at, err := http.ParseTime(e.retryAfter); err == nil {
		wait = time.Until(at)
	}
	if wait > 0 && wait <= maxPause {
		return wait
	}
	return backoff - time.Duration(rand.Int64N(int64(backoff)/2+1))
}
