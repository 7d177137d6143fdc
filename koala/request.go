package koala

import "github.com/koala-go/sdk/prompt"

// Request is what a Completer needs to reply to a conversation. Its values are
// copies: the chat may change while the request is in use.
type Request struct {
	// IDs are the tokens of the prompt, for servers that take ids.
	IDs []Token
	// Conversation has the turns that IDs encodes: the last turns of the chat
	// that fit into the budget.
	Conversation prompt.Conversation
	// Window says which part of the chat Conversation is.
	Window Window

	Dialect  *prompt.Dialect // the dialect of the prompt
	Render   prompt.Options  // how Text renders the prompt
	Sampling Sampling        // how to choose tokens
	Stops    []string        // stop sequences: the user's marker and those of Sampling
	StopIDs  []Token         // tokens that end a reply: the end-of-sequence token
}

// Text returns the prompt for servers that take only text. The error is a
// *prompt.TurnError, whose Turn counts in Conversation. Its kind is
// prompt.ErrControl for content that such a server would read as control
// tokens.
func (r *Request) Text() (string, error) {
	return r.Dialect.Text(r.Conversation, &r.Render)
}

// Window says which part of a conversation is sent.
type Window struct {
	Dropped       int `json:"dropped"`        // the number of oldest turns left out, which is even
	DroppedTokens int `json:"dropped_tokens"` // the number of tokens of these turns, without the header
	Tokens        int `json:"tokens"`         // the number of tokens sent, BOS included
	CutBytes      int `json:"cut_bytes"`      // the number of bytes cut off the last turn: see Options.Overflow
}

// Sampling says how a model chooses tokens.
type Sampling struct {
	// Temperature divides the logits. Zero chooses the most probable token.
	Temperature float64 `json:"temperature"`
	// TopK is the number of most probable tokens to choose from. Zero means no
	// limit.
	TopK int `json:"top_k"`
	// TopP limits the choice to the most probable tokens whose probabilities
	// add up to TopP. One means no limit.
	TopP float64 `json:"top_p"`
	// MaxTokens is the maximum length of a reply in tokens. It must be
	// positive.
	MaxTokens int `json:"max_tokens"`
	// Seed is the seed of the random numbers. Nil means another one for each
	// reply.
	Seed *int64 `json:"seed,omitempty"`
	// Stops are stop sequences in addition to those of the dialect.
	Stops []string `json:"stops,omitempty"`
}

// DefaultSampling returns the parameters with which EasyLM served Koala:
// temperature 1, top-k 50, no top-p, 1024 tokens.
func DefaultSampling() Sampling {
	return Sampling{Temperature: 1, TopK: 50, TopP: 1, MaxTokens: 1024}
}

// Finish says why a server ended a reply.
type Finish uint8

// The reasons. Ollama, EasyLM and most servers with OpenAI's interface do not
// distinguish EndToken from StopText.
const (
	Unfinished Finish = iota // the reply did not end: there was an error
	EndToken                 // the model made the end-of-sequence token
	StopText                 // the reply reached one of the request's stop sequences
	Limit                    // the reply reached MaxTokens, or the end of the context
	Stopped                  // EndToken or StopText: the server does not say which
)

// String returns the name of the reason.
func (f Finish) String() string {
	return [...]string{"unfinished", "end token", "stop text", "limit", "stopped"}[min(f, Stopped)]
}

// Report says why a server ended a reply, and what the reply cost. Fields that
// the server does not report are zero.
type Report struct {
	Finish       Finish // why the reply ended
	Reason       string // the same in the server's word, such as "stop" or "length"
	Truncated    bool   // the server cut the prompt, or dropped tokens of the context during the reply
	Warning      string // what else the server said or did that the caller should know
	Stop         string // the stop sequence that ended it, if Finish is StopText
	PromptTokens int    // the number of tokens of the prompt, as the server counted them
	ReplyTokens  int    // the number of tokens of the reply; most servers count the end-of-sequence token
	Model        string // the server's name of the model
	Replaced     int    // the number of bytes and surrogates of the stream that became U+FFFD
	Tries        int    // the number of requests sent
}
