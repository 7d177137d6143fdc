package backend

import (
	"github.com/koala-go/sdk/koala"
	"github.com/koala-go/sdk/prompt"
)

// easyLM is the protocol of EasyLM's /generate, and easyLMChat that of its
// /chat. The temperature is the only parameter that they take.
var (
	easyLM     = protocol{path: "/generate", body: easyLMBody, take: easyLMTake}
	easyLMChat = protocol{path: "/chat", body: easyLMChatBody, take: easyLMChatTake}
)

type easyLMRequest struct {
	Prefix      []any   `json:"prefix_text"`
	Temperature float64 `json:"temperature"`
}

func easyLMBody(o *Options, r *koala.Request) (any, error) {
	input, err := promptOf(o, r)
	return easyLMRequest{[]any{input}, r.Sampling.Temperature}, err
}

func easyLMTake(event []byte, rep *koala.Report) (streamText, bool, error) {
	var e struct {
		Text []streamText `json:"output_text"`
	}
	if err := unmarshalEvent(event, &e); err != nil {
		return "", false, err
	}
	if len(e.Text) != 1 {
		return "", false, broken("%d replies, want 1", len(e.Text))
	}
	rep.Finish = koala.Stopped
	return e.Text[0], true, nil
}

type easyLMChatRequest struct {
	Prompt      string  `json:"prompt"`
	Context     string  `json:"context"`
	Temperature float64 `json:"temperature"`
}

// easyLMChatBody sends the last query and the turns before it. The server adds
// the header and the markers.
func easyLMChatBody(_ *Options, r *koala.Request) (any, error) {
	if r.Render.Next != prompt.Helpful || !r.Conversation.Open() {
		return nil, optionError("EasyLM's /chat makes only helpful replies to a query, use /generate")
	}
	query, history, err := r.Conversation.EasyLM(&r.Render)
	return easyLMChatRequest{query, history, r.Sampling.Temperature}, err
}

func easyLMChatTake(event []byte, rep *koala.Report) (streamText, bool, error) {
	var e struct {
		Response *streamText `json:"response"`
		Context  *string     `json:"context"`
	}
	if err := unmarshalEvent(event, &e); err != nil {
		return "", false, err
	}
	if e.Response == nil || e.Context == nil {
		return "", false, broken("a reply without response and context")
	}
	rep.Finish = koala.Stopped
	return *e.Response, true, nil
}
