package backend

import "github.com/koala-go/sdk/koala"

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
	Index     int         `json:"index"`
	Content   *streamText `json:"content"`
	Stop      *bool       `json:"stop"`
	StopType  string      `json:"stop_type"`
	Word      string      `json:"stopping_word"`
	Truncated bool        `json:"truncated"`
	Evaluated count       `json:"tokens_evaluated"`
	Predicted count       `json:"tokens_predicted"`
	Model     string      `json:"model"`

	// Before stop_type, the reason was one of three flags.
	StoppedEOS   bool `json:"stopped_eos"`
	StoppedWord  bool `json:"stopped_word"`
	StoppedLimit bool `json:"stopped_limit"`
}

// reason returns why the reply ended, "" if the server does not say it.
func (e *llamaEvent) reason() string {
	switch {
	case e.StopType != "":
		return e.StopType
	case e.StoppedEOS:
		return "eos"
	case e.StoppedWord:
		return "word"
	case e.StoppedLimit:
		return "limit"
	}
	return ""
}

var llamaFinish = map[string]koala.Finish{"": koala.Stopped, "eos": koala.EndToken, "word": koala.StopText, "limit": koala.Limit}

func llamaTake(event []byte, rep *koala.Report) (streamText, bool, error) {
	var e llamaEvent
	if err := unmarshalEvent(event, &e); err != nil {
		return "", false, err
	}
	if e.Content == nil || e.Stop == nil {
		return "", false, broken("an event without content and stop")
	}
	if e.Index != 0 {
		return "", false, broken("an event of several replies")
	}
	rep.PromptTokens, rep.ReplyTokens = int(e.Evaluated), int(e.Predicted)
	if !*e.Stop {
		return *e.Content, false, nil
	}
	rep.Model, rep.Reason, rep.Stop, rep.Truncated = e.Model, e.reason(), e.Word, e.Truncated
	finish, known := llamaFinish[rep.Reason]
	if !known {
		return "", true, aborted(rep.Reason)
	}
	rep.Finish = finish
	return *e.Content, true, nil
}
