package backend

import (
	"bytes"
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
	Model   string `json:"model"`
	Choices []struct {
		Index      int             `json:"index"`
		Text       *streamText     `json:"text"`
		Finish     string          `json:"finish_reason"`
		StopReason json.RawMessage `json:"stop_reason"`
		Message    json.RawMessage `json:"message"` // of a chat completion
		Delta      json.RawMessage `json:"delta"`   // of a chat completion that streams
	} `json:"choices"`
	Usage *struct {
		Prompt count `json:"prompt_tokens"`
		Reply  count `json:"completion_tokens"`
	} `json:"usage"`
}

func openAITake(event []byte, rep *koala.Report) (streamText, bool, error) {
	if string(bytes.TrimSpace(event)) == "[DONE]" {
		if rep.Finish == koala.Unfinished {
			return "", false, broken("[DONE] before a finish_reason")
		}
		return "", true, nil
	}
	var e openAIEvent
	if err := unmarshalEvent(event, &e); err != nil {
		return "", false, err
	}
	if e.Model != "" {
		rep.Model = e.Model
	}
	if e.Usage != nil {
		rep.PromptTokens, rep.ReplyTokens = int(e.Usage.Prompt), int(e.Usage.Reply)
	}
	if len(e.Choices) == 0 { // the event with the usage, or one that is optional
		if e.Usage == nil && rep.Finish == koala.Unfinished {
			return "", false, broken("an event without choices")
		}
		return "", false, nil
	}
	c := e.Choices[0]
	if has(c.Message) || has(c.Delta) {
		return "", false, broken("an event of a chat completion, want a completion")
	}
	if len(e.Choices) > 1 || c.Index != 0 || c.Text == nil && c.Finish == "" && rep.Finish == koala.Unfinished {
		return "", false, broken("an event of several replies, or without text")
	}
	var text streamText
	if c.Text != nil {
		text = *c.Text
	}
	if c.Finish == "" || rep.Finish != koala.Unfinished {
		return text, false, nil
	}
	rep.Reason = c.Finish
	if err := openAIFinish(c.Finish, c.StopReason, rep); err != nil {
		return "", false, err
	}
	return text, false, nil
}

// openAIFinish stores why the reply ended, and the stop sequence that ended it.
// The reasons are those of OpenAI, vLLM, SGLang and text-generation-inference;
// a server aborts a reply for any other reason. vLLM's stop_reason is null after
// the end-of-sequence token, and a text or an id after a stop; other servers send
// no stop_reason.
func openAIFinish(reason string, stopReason json.RawMessage, rep *koala.Report) error {
	switch reason {
	case "length", "max_tokens":
		rep.Finish = koala.Limit
	case "eos", "eos_token":
		rep.Finish = koala.EndToken
	case "stop_sequence":
		rep.Finish = koala.StopText
	case "stop":
		rep.Finish = koala.EndToken
		if len(stopReason) == 0 {
			rep.Finish = koala.Stopped
		} else if json.Unmarshal(stopReason, &rep.Stop) == nil && rep.Stop != "" {
			rep.Finish = koala.StopText
		}
	default:
		return aborted(reason)
	}
	return nil
}
