package backend

import "github.com/koala-go/sdk/koala"

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
	Model    string      `json:"model"`
	Response *streamText `json:"response"`
	Done     *bool       `json:"done"`
	Reason   string      `json:"done_reason"`
	Prompt   count       `json:"prompt_eval_count"`
	Reply    count       `json:"eval_count"`
}

// ollamaFinish has the reasons of a reply's end. Before version 0.1.37, Ollama
// did not send one. For any other reason, such as load, there is no reply.
var ollamaFinish = map[string]koala.Finish{"": koala.Stopped, "stop": koala.Stopped, "length": koala.Limit}

func ollamaTake(event []byte, rep *koala.Report) (streamText, bool, error) {
	var e ollamaEvent
	if err := unmarshalEvent(event, &e); err != nil {
		return "", false, err
	}
	if e.Done == nil || e.Response == nil && !*e.Done {
		return "", false, broken("an event without response and done")
	}
	rep.Model = e.Model
	var text streamText
	if e.Response != nil {
		text = *e.Response
	}
	if !*e.Done {
		return text, false, nil
	}
	rep.PromptTokens, rep.ReplyTokens, rep.Reason = int(e.Prompt), int(e.Reply), e.Reason
	finish, known := ollamaFinish[e.Reason]
	if !known {
		return "", true, aborted(e.Reason)
	}
	rep.Finish = finish
	return text, true, nil
}
