package backend

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Kind is a kind of server, by its interface.
type Kind string

// The kinds.
const (
	LlamaCPP   Kind = "llamacpp"    // llama.cpp's /completion: ids
	OpenAI     Kind = "openai"      // /v1/completions of vLLM, llama.cpp and others: ids
	Ollama     Kind = "ollama"      // Ollama's /api/generate, raw: text
	EasyLM     Kind = "easylm"      // EasyLM's /generate: text, the whole reply at once
	EasyLMChat Kind = "easylm-chat" // EasyLM's /chat: it makes the prompt itself
)

// Kinds are all kinds.
func Kinds() []Kind { return []Kind{LlamaCPP, OpenAI, Ollama, EasyLM, EasyLMChat} }

// TakesIDs is whether such servers take tokens for a prompt.
func (k Kind) TakesIDs() bool { return k == LlamaCPP || k == OpenAI }

// DefaultURL is where such a server listens on this machine, unless it is told
// otherwise: "" for an unknown kind.
func (k Kind) DefaultURL() string {
	return map[Kind]string{
		LlamaCPP: "http://localhost:8080", Ollama: "http://localhost:11434", OpenAI: "http://localhost:8000",
		EasyLM: "http://localhost:5009", EasyLMChat: "http://localhost:5009",
	}[k]
}

// Secret is a key. It prints as [secret].
type Secret string

const hidden = "[secret]"

// String hides the key.
func (Secret) String() string { return hidden }

// Format hides the key from the verbs of fmt, wrong ones too; but not from %p,
// which asks no method.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// MarshalText hides the key from JSON and logs.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// Options say where a server is and how it is asked. Zero values are the
// defaults, but for URL.
type Options struct {
	// URL is where the server's paths begin: http://localhost:8080. A query,
	// a fragment and a password are refused; a key goes into Key.
	URL string
	// Model is the name of the model, which Ollama needs. Where it is given, a
	// server that says it answers for another one gets ErrModel.
	Model string
	Key   Secret // sent as a bearer token, and never printed
	// Text sends text to servers that take ids, for those that do not:
	// llama-cpp-python, LM Studio.
	Text bool
	// Context is the number of tokens that prompt and reply share. Only Ollama
	// is told; 0 leaves it to the server.
	Context int

	Connect       time.Duration // for making a connection; 0: 10 s
	FirstToken    time.Duration // from the request to the first text, or to the whole reply of EasyLM; 0: 5 min
	BetweenTokens time.Duration // from one text to the next; 0: 60 s

	// Retries is how often a request is sent again when nothing was
	// generated; 0: 5 times, negative: never. Backoff is the first pause; each
	// next one is twice as long, up to 30 s. 0: 250 ms.
	Retries int
	Backoff time.Duration

	// Transport carries the requests; nil: one of the client's own, with the
	// proxies of the environment.
	Transport http.RoundTripper
}

// resolve checks options and fills in defaults.
func (o *Options) resolve(k Kind) (Options, error) {
	var c Options
	if o != nil {
		c = *o
	}
	switch {
	case !slices.Contains(Kinds(), k):
		return c, optionError("no kind of server is called %.40q", string(k))
	case k == Ollama && c.Model == "":
		return c, optionError("Ollama needs the name of a model")
	case strings.ContainsFunc(string(c.Key), func(r rune) bool { return r <= ' ' || r > '~' }):
		return c, optionError("the key holds what no key can hold: a space, a line's end, or a character that is not ASCII")
	case min(c.Connect, c.FirstToken, c.BetweenTokens, c.Backoff) < 0:
		return c, optionError("a negative time")
	case c.Context < 0:
		return c, optionError("a negative context")
	}
	c.fill()
	return c, nil
}

func (o *Options) fill() {
	for _, d := range []struct {
		to      *time.Duration
		standby time.Duration
	}{
		{&o.Connect, 10 * time.Second},
		{&o.FirstToken, 5 * time.Minute},
		{&o.BetweenTokens, time.Minute},
		{&o.Backoff, 250 * time.Millisecond},
	} {
		if *d.to == 0 {
			*d.to = d.standby
		}
	}
	if o.Retries == 0 {
		o.Retries = 5
	}
}

// parseURL reads the URL of a server.
func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, optionError("the URL is none") // the cause would print it, password and all
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return nil, optionError("URL without http:// or https:// and a host, like http://localhost:8080")
	case u.User != nil:
		return nil, optionError("URL with a name or a password in it: give a key apart")
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return nil, optionError("URL with a query or a fragment")
	}
	return u, nil
}
