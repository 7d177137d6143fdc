package backend

import (
	"encoding/json"

	"github.com/koala-go/sdk/koala"
)

// ollama is the protocol of Ollama's /api/generate in raw mode.
var ollama = protocol{
	path: "/api/generate", events: newNDJSON, body: ollamaBody, take: ollamaTake,
	noEndHint: "Ollama also ends the stream so when a model repeats one piece of text",
}

// ollamaRequest sets Truncate and Shift to false: otherwise Ollama silently
// cuts long prompts and drops the oldest tokens of long replies.
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

func ollamaBody(o *Options, r *koala.Request) (any, error) {
	input, err := promptOf(o, r)
	return ollamaRequest{o.Model, input, true, true, false, false, ollamaOptions{r.Sampling.MaxTokens, o.Context, samplersOf(r)}}, err
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

func ollamaTake(event []byte, rep *koala.Report) (string, bool, error) {
	var e ollamaEvent
	if err := unmarshalEvent(event, &e, &e.Error); err != nil {
		return "", false, err
	}
	if e.Response == nil || e.Done == nil {
		return "", false, broken("an event without response and done")
	}
	rep.Model = e.Model
	if *e.Done {
		rep.PromptTokens, rep.ReplyTokens, rep.Finish = e.Prompt, e.Reply, koala.Stopped
		if e.Reason == "length" {
			rep.Finish = koala.Limit
		}
	}
	return *e.Response, *e.Done, nil
}
