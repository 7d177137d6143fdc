package backend

import (
	"encoding/json"
	"errors"
	"io"

	"github.com/koala-go/sdk/prompt"
)

// protocol is how a kind of server is asked and how it replies.
type protocol struct {
	path   string
	events func(*lines) events // nil: the reply is one JSON document
	// body is the JSON of a request; its prompt is ids or text.
	body func(o *Options, r *Request, prompt any) any
	// take reads an event: the text that it adds, and whether it is the
	// stream's end mark. What it says of the reply goes into the report. The
	// error is errSaid when the event is the server's error, or an *Error.
	take func(event []byte, rep *Report) (text string, end bool, err error)
}

// errSaid says that an event is an error in the server's words.
var errSaid = errors.New("the event is an error")

var protocols = map[Kind]*protocol{
	LlamaCPP:   {"/completion", newSSE, llamaBody, llamaTake},
	OpenAI:     {"/v1/completions", newSSE, openAIBody, openAITake},
	Ollama:     {"/api/generate", newNDJSON, ollamaBody, ollamaTake},
	EasyLM:     {"/generate", nil, easyLMBody, easyLMTake},
	EasyLMChat: {"/chat", nil, easyLMChatBody, easyLMChatTake},
}

func newSSE(l *lines) events    { return &sse{lines: l} }
func newNDJSON(l *lines) events { return ndjson{l} }

// object reads an event into the parts that matter. All of them are optional
// for JSON; take checks what must be there.
func object(event []byte, to any, said *json.RawMessage) error {
	if err := json.Unmarshal(event, to); err != nil {
		return &Error{Kind: ErrBroken, Words: "an event is not JSON of the form that is due: " + string(event[:min(len(event), maxWords)]), Cause: err}
	}
	if len(*said) > 0 && string(*said) != "null" {
		return errSaid
	}
	return nil
}

// samplers are what llama.cpp and Ollama, which is built on it, are told in the
// same words. Their defaults that Sampling does not have are turned off.
type samplers struct {
	Temperature   float64  `json:"temperature"`
	TopK          int      `json:"top_k"`
	TopP          float64  `json:"top_p"`
	MinP          float64  `json:"min_p"`
	RepeatPenalty float64  `json:"repeat_penalty"`
	Seed          *int64   `json:"seed,omitempty"`
	Stop          []string `json:"stop,omitempty"`
}

func samplersOf(r *Request) samplers {
	s := &r.Sampling
	return samplers{s.Temperature, s.TopK, s.TopP, 0, 1, s.Seed, r.Stops}
}

// llama.cpp, /completion.

type llamaRequest struct {
	Prompt   any  `json:"prompt"`
	Stream   bool `json:"stream"`
	NPredict int  `json:"n_predict"`
	samplers
}

func llamaBody(_ *Options, r *Request, prompt any) any {
	return llamaRequest{prompt, true, r.Sampling.MaxTokens, samplersOf(r)}
}

type llamaEvent struct {
	Error     json.RawMessage `json:"error"`
	Index     int             `json:"index"`
	Content   *string         `json:"content"`
	Stop      *bool           `json:"stop"`
	StopType  string          `json:"stop_type"`
	Word      string          `json:"stopping_word"`
	Evaluated int             `json:"tokens_evaluated"`
	Predicted int             `json:"tokens_predicted"`
	Model     string          `json:"model"`
}

var llamaFinish = map[string]Finish{"eos": EndToken, "word": StopText, "limit": Limit}

func llamaTake(event []byte, rep *Report) (string, bool, error) {
	var e llamaEvent
	if err := object(event, &e, &e.Error); err != nil {
		return "", false, err
	}
	if e.Content == nil || e.Stop == nil {
		return "", false, broken("an event without content and stop")
	}
	if e.Index != 0 {
		return "", false, broken("an event of several replies")
	}
	rep.PromptTokens, rep.ReplyTokens = e.Evaluated, e.Predicted
	if !*e.Stop {
		return *e.Content, false, nil
	}
	rep.Model, rep.Finish = e.Model, Stopped
	if f, known := llamaFinish[e.StopType]; known {
		rep.Finish = f
	}
	rep.Stop = e.Word
	return *e.Content, true, nil
}

// OpenAI's completions, with vLLM's additions.

type openAIRequest struct {
	Model       string   `json:"model,omitempty"`
	Prompt      any      `json:"prompt"`
	Stream      bool     `json:"stream"`
	Options     any      `json:"stream_options"`
	MaxTokens   int      `json:"max_tokens"`
	Temperature float64  `json:"temperature"`
	TopP        float64  `json:"top_p"`
	TopK        int      `json:"top_k,omitempty"`
	Seed        *int64   `json:"seed,omitempty"`
	Stop        []string `json:"stop,omitempty"`
	StopIDs     any      `json:"stop_token_ids,omitempty"`
}

func openAIBody(o *Options, r *Request, prompt any) any {
	s := &r.Sampling
	q := openAIRequest{o.Model, prompt, true, map[string]bool{"include_usage": true}, s.MaxTokens, s.Temperature, s.TopP, s.TopK, s.Seed, r.Stops, nil}
	if !o.Text && len(r.StopIDs) > 0 {
		q.StopIDs = r.StopIDs
	}
	return q
}

type openAIEvent struct {
	Error   json.RawMessage `json:"error"`
	Model   string          `json:"model"`
	Choices *[]struct {
		Index      int             `json:"index"`
		Text       *string         `json:"text"`
		Finish     *string         `json:"finish_reason"`
		StopReason json.RawMessage `json:"stop_reason"`
	} `json:"choices"`
	Usage *struct {
		Prompt int `json:"prompt_tokens"`
		Reply  int `json:"completion_tokens"`
	} `json:"usage"`
}

func openAITake(event []byte, rep *Report) (string, bool, error) {
	if string(event) == "[DONE]" {
		if rep.Finish == Unfinished {
			return "", false, broken("[DONE] without a reply")
		}
		return "", true, nil
	}
	var e openAIEvent
	if err := object(event, &e, &e.Error); err != nil {
		return "", false, err
	}
	if e.Choices == nil {
		return "", false, broken("an event without choices")
	}
	if e.Model != "" {
		rep.Model = e.Model
	}
	if e.Usage != nil {
		rep.PromptTokens, rep.ReplyTokens = e.Usage.Prompt, e.Usage.Reply
	}
	if len(*e.Choices) == 0 {
		return "", false, nil
	}
	c := (*e.Choices)[0]
	if len(*e.Choices) > 1 || c.Index != 0 || c.Text == nil {
		return "", false, broken("an event of several replies, or without text")
	}
	if c.Finish != nil {
		rep.Finish, rep.Stop = openAIFinish(*c.Finish, c.StopReason)
	}
	return *c.Text, false, nil
}

// openAIFinish: vLLM's stop_reason is null for EOS, and a text or an id for a
// stop; other servers have none.
func openAIFinish(reason string, stop json.RawMessage) (Finish, string) {
	var text string
	switch {
	case reason == "length":
		return Limit, ""
	case len(stop) == 0:
		return Stopped, ""
	case json.Unmarshal(stop, &text) == nil && text != "":
		return StopText, text
	}
	return EndToken, ""
}

// Ollama, raw. It cuts prompts and forgets the oldest tokens in silence unless
// truncate and shift are false.

type ollamaRequest struct {
	Model    string        `json:"model"`
	Prompt   any           `json:"prompt"`
	Raw      bool          `json:"raw"`
	Stream   bool          `json:"stream"`
	Truncate bool          `json:"truncate"`
	Shift    bool          `json:"shift"`
	Options  ollamaOptions `json:"options"`
}

type ollamaOptions struct {
	NumPredict int `json:"num_predict"`
	NumCtx     int `json:"num_ctx,omitempty"`
	samplers
}

func ollamaBody(o *Options, r *Request, prompt any) any {
	return ollamaRequest{o.Model, prompt, true, true, false, false, ollamaOptions{r.Sampling.MaxTokens, o.Context, samplersOf(r)}}
}

type ollamaEvent struct {
	Error    json.RawMessage `json:"error"`
	Model    string          `json:"model"`
	Response *string         `json:"response"`
	Done     *bool           `json:"done"`
	Reason   string          `json:"done_reason"`
	Prompt   int             `json:"prompt_eval_count"`
	Reply    int             `json:"eval_count"`
}

func ollamaTake(event []byte, rep *Report) (string, bool, error) {
	var e ollamaEvent
	if err := object(event, &e, &e.Error); err != nil {
		return "", false, err
	}
	if e.Response == nil || e.Done == nil {
		return "", false, broken("an event without response and done")
	}
	rep.Model = e.Model
	if *e.Done {
		rep.PromptTokens, rep.ReplyTokens, rep.Finish = e.Prompt, e.Reply, Stopped
		if e.Reason == "length" {
			rep.Finish = Limit
		}
	}
	return *e.Response, *e.Done, nil
}

// EasyLM. A temperature is all that it can be told.

type easyLMRequest struct {
	Prefix      []string `json:"prefix_text"`
	Temperature float64  `json:"temperature"`
}

func easyLMBody(_ *Options, r *Request, prompt any) any {
	return easyLMRequest{[]string{prompt.(string)}, r.Sampling.Temperature}
}

func easyLMTake(event []byte, rep *Report) (string, bool, error) {
	var e struct {
		Error json.RawMessage `json:"error"`
		Text  []string        `json:"output_text"`
	}
	if err := object(event, &e, &e.Error); err != nil {
		return "", false, err
	}
	if len(e.Text) != 1 {
		return "", false, broken("%d replies where one is due", len(e.Text))
	}
	rep.Finish = Stopped
	return e.Text[0], true, nil
}

type easyLMChatRequest struct {
	Prompt      string  `json:"prompt"`
	Context     string  `json:"context"`
	Temperature float64 `json:"temperature"`
}

// easyLMChatBody gets the request from promptOf: the server makes the prompt.
func easyLMChatBody(_ *Options, _ *Request, prompt any) any { return prompt }

func easyLMChatTake(event []byte, rep *Report) (string, bool, error) {
	var e struct {
		Error    json.RawMessage `json:"error"`
		Response *string         `json:"response"`
		Context  *string         `json:"context"`
	}
	if err := object(event, &e, &e.Error); err != nil {
		return "", false, err
	}
	if e.Response == nil || e.Context == nil {
		return "", false, broken("a reply without response and context")
	}
	rep.Finish = Stopped
	return *e.Response, true, nil
}

// promptOf is what a server gets for a prompt: ids, or text in which nothing is
// read as a control token.
func promptOf(k Kind, o *Options, r *Request) (any, error) {
	switch {
	case k == EasyLMChat:
		return easyLMChatPrompt(r)
	case !k.TakesIDs() || o.Text:
		return r.Text()
	case len(r.IDs) == 0:
		return nil, optionError("a request without ids")
	}
	return r.IDs, nil
}

// easyLMChatPrompt is the last query and the turns before it. The server puts
// the header and the marks around them.
func easyLMChatPrompt(r *Request) (any, error) {
	last := len(r.Conversation) - 1
	if r.Render.Next != prompt.Helpful || last < 0 {
		return nil, optionError("EasyLM's /chat asks for helpful replies, to a query: use /generate")
	}
	if _, err := prompt.EasyLMContext.Text(r.Conversation, &r.Render); err != nil {
		return nil, err
	}
	q := easyLMChatRequest{Prompt: r.Conversation[last].Content, Temperature: r.Sampling.Temperature}
	if last == 0 {
		return q, nil
	}
	var err error
	q.Context, err = prompt.EasyLMContext.Text(r.Conversation[:last], &r.Render)
	return q, err
}

// whole reads a reply that is one JSON document.
func whole(body io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(body, maxWhole+1))
	if err == nil && len(data) > maxWhole {
		err = broken("a reply over %d bytes", maxWhole)
	}
	return data, err
}

// maxWhole bounds a reply that is one document, in bytes.
const maxWhole = 8 << 20
