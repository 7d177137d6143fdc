package backend

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Secret is a key. It prints as [secret].
type Secret string

const hidden = "[secret]"

// String returns "[secret]".
func (Secret) String() string { return hidden }

// Format writes "[secret]" for every verb of package fmt except %p, for which
// fmt calls no method.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// MarshalText returns "[secret]", which JSON and logs show.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// Options say where a server is and how to ask it. Only URL is required, and
// Model for some kinds; other zero values mean the defaults.
type Options struct {
	// URL is the address of the server, without the path of the interface:
	// http://localhost:8080. It must not contain a query, a fragment or a
	// password; a key goes into Key.
	URL string
	// Model is the name of the model at the server. Ollama requires it. If it
	// is set and the server answers for another model, Report.Warning says so.
	Model string
	// Key is sent as a bearer token and is never printed. The default is to
	// send none.
	Key Secret
	// Text sends text to a server of a kind that takes ids. Use it for servers
	// that do not take them, such as llama-cpp-python and LM Studio.
	Text bool
	// Context is the number of tokens that prompt and reply share. Only Ollama
	// is told about it. Zero means the server's default.
	Context int

	// Connect is the time limit for making a connection. Zero means 10 s.
	Connect time.Duration
	// FirstToken is the time limit from the request to the first text, or to
	// the whole reply of EasyLM. Zero means 5 minutes.
	FirstToken time.Duration
	// BetweenTokens is the time limit from one text to the next. Zero means
	// 60 s.
	BetweenTokens time.Duration

	// Retries is the maximum number of times that a request is sent again
	// after a failure that generated nothing. Zero means 5, a negative number
	// means never.
	Retries int
	// Backoff is the pause before the first retry. Each further pause is twice
	// as long, up to 30 s. Zero means 250 ms.
	Backoff time.Duration

	// Transport carries the requests. Nil means a transport of the client's
	// own, which uses the proxies of the environment.
	Transport http.RoundTripper
}

// resolve returns a copy of the options with defaults filled in, or an error
// of the kind koala.ErrOptions.
func (o *Options) resolve(k Kind) (Options, error) {
	var c Options
	if o != nil {
		c = *o
	}
	row := k.row()
	switch {
	case row == nil:
		return c, optionError("unknown kind of server %.40q, use one of %q", string(k), Kinds())
	case row.needsModel && c.Model == "":
		return c, optionError("Model: %s needs the name of a model", k)
	case strings.ContainsFunc(string(c.Key), func(r rune) bool { return r <= ' ' || r > '~' }):
		return c, optionError("Key: the key contains a space, a control character or a character that is not ASCII")
	case min(c.Connect, c.FirstToken, c.BetweenTokens, c.Backoff) < 0:
		return c, optionError("Connect, FirstToken, BetweenTokens or Backoff: negative duration")
	case c.Context < 0:
		return c, optionError("Context: negative number of tokens %d", c.Context)
	}
	c.Text = c.Text || !row.takesIDs
	c.setDefaults()
	return c, nil
}

func (o *Options) setDefaults() {
	for _, d := range []struct {
		field        *time.Duration
		defaultValue time.Duration
	}{
		{&o.Connect, 10 * time.Second},
		{&o.FirstToken, 5 * time.Minute},
		{&o.BetweenTokens, time.Minute},
		{&o.Backoff, 250 * time.Millisecond},
	} {
		if *d.field == 0 {
			*d.field = d.defaultValue
		}
	}
	if o.Retries == 0 {
		o.Retries = 5
	}
}

// parseURL parses the URL of a server. Its errors never quote the URL, which
// may contain a password.
func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, optionError("URL: the URL cannot be parsed")
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return nil, optionError("URL: the URL needs http:// or https:// and a host, like http://localhost:8080")
	case u.User != nil:
		return nil, optionError("URL: the URL contains a user name or a password, use Key instead")
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return nil, optionError("URL: the URL contains a query or a fragment")
	}
	return u, nil
}
