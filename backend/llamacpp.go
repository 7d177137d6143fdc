package backend

import (
	"encoding/json"

	"github.com/koala-go/sdk/koala"
)

// llamaCPP is the protocol of llama.cpp's /completion.
var llamaCPP = protocol{path: "/completion", events: newSSE, body: llamaBody, take: llamaTake}

type llamaRequest struct {
	Prompt   any  `json:"prompt"`
	Stream   bool `json:"stream"`
	NPredict int  `json:"n_predict"`
	samplers
}

func llamaBody(o *Options, r *koala.Request) (any, error) {
	input, err := promptOf(o, r)
	return llamaRequest{input, true, r.Sampling.MaxTokens, samplersOf(r)}, err
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

var llamaFinish = map[string]koala.Finish{"eos": koala.EndToken, "word": koala.StopText, "limit": koala.Limit}

func llamaTake(event []byte, rep *koala.Report) (string, bool, error) {
	var e llamaEvent
	if err := unmarshalEvent(event, &e, &e.Error); err != nil {
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
	rep.Model, rep.Finish = e.Model, koala.Stopped
	if f, known := llamaFinish[e.StopType]; known {
		rep.Finish = f
	}
	rep.Stop = e.Word
	return *e.Content, true, nil
}
