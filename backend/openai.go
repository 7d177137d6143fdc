package backend

import (
	"encoding/json"

	"github.com/koala-go/sdk/koala"
)

// openAI is the protocol of OpenAI's completions with vLLM's additions.
var openAI = protocol{path: "/v1/completions", events: newSSE, body: openAIBody, take: openAITake}

type openAIRequest struct {
	Model       string        `json:"model,omitempty"`
	Prompt      any           `json:"prompt"`
	Stream      bool          `json:"stream"`
	Options     streamOptions `json:"stream_options"`
	MaxTokens   int           `json:"max_tokens"`
	Temperature float64       `json:"temperature"`
	TopP        float64       `json:"top_p"`
	TopK        int           `json:"top_k,omitempty"`
	Seed        *int64        `json:"seed,omitempty"`
	Stop        []string      `json:"stop,omitempty"`
	StopIDs     []koala.Token `json:"stop_token_ids,omitempty"`
}

type streamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

func openAIBody(o *Options, r *koala.Request) (any, error) {
	input, err := promptOf(o, r)
	s := &r.Sampling
	q := openAIRequest{o.Model, input, true, streamOptions{true}, s.MaxTokens, s.Temperature, s.TopP, s.TopK, s.Seed, r.Stops, nil}
	if !o.Text {
		q.StopIDs = r.StopIDs
	}
	return q, err
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

func openAITake(event []byte, rep *koala.Report) (string, bool, error) {
	if string(event) == "[DONE]" {
		if rep.Finish == koala.Unfinished {
			return "", false, broken("[DONE] before a finish_reason")
		}
		return "", true, nil
	}
	var e openAIEvent
	if err := unmarshalEvent(event, &e, &e.Error); err != nil {
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
	if len(*e.Choices) == 0 { // the event with the usage
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

// openAIFinish returns why the reply ended, and the stop sequence that ended
// it. vLLM's stop_reason is null after the end-of-sequence token, and a text or
// an id after a stop; other servers send no stop_reason.
func openAIFinish(reason string, stopReason json.RawMessage) (koala.Finish, string) {
	var text string
	switch {
	case reason == "length":
		return koala.Limit, ""
	case len(stopReason) == 0:
		return koala.Stopped, ""
	case json.Unmarshal(stopReason, &text) == nil && text != "":
		return koala.StopText, text
	}
	return koala.EndToken, ""
}
