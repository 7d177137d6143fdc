package koala

import (
	"github.com/koala-go/sdk/prompt"
)

// Request is what a server needs to go on with a conversation.
type Request struct {
	// IDs are the tokens of the prompt, for servers that take ids.
	IDs []Token
	// Conversation is what they say: the last turns of the chat, as the
	// budget allows.
	Conversation prompt.Conversation
	Window       Window

	Dialect  *prompt.Dialect
	Render   prompt.Options
	Sampling Sampling
	Stops    []string // texts that end a reply: the user's marker, and those of Sampling
	StopIDs  []Token  // EOS
}

// Text is the prompt for servers that take only text. The error is a
// *prompt.TurnError, of the kind prompt.ErrControl for content that such a
// server would misread; its turn counts in Conversation.
func (r *Request) Text() (string, error) {
	return r.Dialect.Text(r.Conversation, &r.Render)
}

// Window says which part of a conversation is sent.
type Window struct {
	Dropped       int `json:"dropped"`        // oldest turns left out: whole exchanges, an even number
	DroppedTokens int `json:"dropped_tokens"` // that they would have taken, without header
	Tokens        int `json:"tokens"`         // of what is sent, BOS included
	CutBytes      int `json:"cut_bytes"`      // of the last turn's content, where Overflow allows it
}

// Sampling is how a server chooses tokens.
type Sampling struct {
	Temperature float64  `json:"temperature"` // 0 takes the likeliest
	TopK        int      `json:"top_k"`       // 0 is no limit
	TopP        float64  `json:"top_p"`       // 1 is no limit
	MaxTokens   int      `json:"max_tokens"`  // of the reply
	Seed        *int64   `json:"seed,omitempty"`
	Stops       []string `json:"stops,omitempty"` // besides those of the dialect
}

// DefaultSampling is how EasyLM served Koala.
func DefaultSampling() Sampling {
	return Sampling{Temperature: 1, TopK: 50, TopP: 1, MaxTokens: 1024}
}

// Finish is why a server ended a reply.
type Finish uint8

// The reasons. Ollama, EasyLM and most OpenAI-style servers do not tell EOS
// from a stop text.
const (
	Unfinished Finish = iota // the end did not come: there is an error
	EndToken                 // EOS
	StopText                 // one of the request's stops
	Limit                    // MaxTokens, or the end of the server's context
	Stopped                  // EOS or a stop, the server does not say which
)

// String is the reason's name.
func (f Finish) String() string {
	return [...]string{"unfinished", "end token", "stop text", "limit", "stopped"}[min(f, Stopped)]
}

// Report says why a server ended a reply and what it cost. What the server does
// not tell is zero.
type Report struct {
	Finish       Finish
	Stop         string // the stop text, with StopText
	PromptTokens int    // of the prompt, as the server counted them
	ReplyTokens  int    // made by the server; most count EOS too
	Model        string // as the server calls it
	// Replaced is how many bytes of the stream were no UTF-8. Each became
	// U+FFFD.
	Replaced int
	Tries    int // requests sent
}
