package backend

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"time"

	"github.com/koala-go/sdk/koala"
)

// Client is a client of a server. It is a koala.Completer and is safe for
// concurrent use.
type Client struct {
	kind     Kind
	o        Options // without Key
	protocol *protocol
	url      string
	http     *http.Client

	authorize func(http.Header)
	clean     func(string) string
}

// New returns a client of a server of kind k. It does not connect. The error is
// an *Error of the kind koala.ErrOptions.
func New(k Kind, o *Options) (*Client, error) {
	resolved, err := o.resolve(k)
	if err != nil {
		return nil, err
	}
	return newClient(k, resolved, k.row().protocol)
}

func newClient(k Kind, o Options, p *protocol) (*Client, error) {
	u, err := parseURL(o.URL)
	if err != nil {
		return nil, err
	}
	c := &Client{kind: k, protocol: p, url: strings.TrimSuffix(u.String(), "/") + p.path, http: newHTTP(&o)}
	c.authorize, c.clean = keyFuncs(o.Key)
	o.Key = ""
	c.o = o
	return c, nil
}

// keyFuncs returns the two functions that need the key. The client holds them
// instead of the key, so that %+v of the client cannot print it.
func keyFuncs(key Secret) (authorize func(http.Header), cleaner func(string) string) {
	authorize = func(h http.Header) {
		if key != "" {
			h.Set("Authorization", "Bearer "+string(key))
		}
	}
	return authorize, func(text string) string { return clean(text, key) }
}

// newHTTP returns the HTTP client. It uses a connection of its own for each
// request: a server that closes a connection which the client keeps alive, as
// llama.cpp's does after a stream, loses the next request, and the client
// cannot know whether the server read it.
func newHTTP(o *Options) *http.Client {
	transport := o.Transport
	if transport == nil {
		transport = &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: o.Connect, KeepAlive: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout:    o.Connect,
			ForceAttemptHTTP2:      true,
			DisableCompression:     true,
			DisableKeepAlives:      true,
			MaxResponseHeaderBytes: 64 << 10,
		}
	}
	return &http.Client{Transport: transport, CheckRedirect: checkRedirect}
}

// checkRedirect permits up to three redirects to the same host with the same
// method. Others would send the conversation, or the key, to a stranger.
func checkRedirect(r *http.Request, via []*http.Request) error {
	first := via[0]
	if r.URL.Scheme != first.URL.Scheme || r.URL.Host != first.URL.Host || r.Method != first.Method || len(via) > 3 {
		return &Error{Kind: ErrRedirect, Words: "to " + r.URL.Scheme + "://" + r.URL.Host}
	}
	return nil
}

// Kind returns the kind of the server.
func (c *Client) Kind() Kind { return c.kind }

// Complete requests a reply and writes its text to w as it arrives. The error
// is an *Error; the cause of the end of ctx; the error of w, which ends the
// reply at the server; or, for servers that take only text, the error of
// koala.Request.Text. The report holds what the server said before an error.
func (c *Client) Complete(ctx context.Context, r *koala.Request, w io.Writer) (koala.Report, error) {
	body, err := c.body(r)
	if err != nil {
		return koala.Report{}, err
	}
	return c.send(ctx, body, w, len(r.IDs))
}

// body returns the JSON of a request.
func (c *Client) body(r *koala.Request) ([]byte, error) {
	if r.Sampling.MaxTokens < 1 {
		return nil, optionError("Sampling.MaxTokens: %d tokens, must be at least 1", r.Sampling.MaxTokens)
	}
	request, err := c.protocol.body(&c.o, r)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(request); err != nil {
		return nil, &Error{Kind: koala.ErrOptions, Words: "Sampling: a value that JSON cannot express", Cause: err}
	}
	return b.Bytes(), nil
}

// send sends a request until there is a reply, a final error, or no retry left.
func (c *Client) send(ctx context.Context, body []byte, w io.Writer, promptTokens int) (rep koala.Report, _ error) {
	for pause := c.o.Backoff; ; pause = min(2*pause, maxPause) {
		tries := rep.Tries + 1
		rep = koala.Report{Tries: tries}
		err := c.try(ctx, body, w, &rep)
		failed, ok := err.(*Error)
		if !ok {
			return rep, err
		}
		c.complete(failed, promptTokens)
		if !failed.retry || tries > c.o.Retries {
			return rep, err
		}
		if err := wait(ctx, failed.pause(pause)); err != nil {
			return rep, err
		}
	}
}

// complete adds to an error what the client knows: the URL, and the numbers
// that the server did not report.
func (c *Client) complete(e *Error, promptTokens int) {
	e.Where, e.Words = c.url, c.clean(e.Words)
	if e.Kind != koala.ErrContext {
		return
	}
	if e.Context == nil {
		e.Context = new(koala.ContextError)
	}
	if e.Context.Prompt == 0 {
		e.Context.Prompt = promptTokens
	}
	if e.Context.Context == 0 {
		e.Context.Context = c.o.Context
	}
}

// maxPause bounds the pause before a retry.
const maxPause = 30 * time.Second

// wait waits for a duration or until ctx ends.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// try sends a request once and reads the reply.
func (c *Client) try(ctx context.Context, body []byte, w io.Writer, rep *koala.Report) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	timed, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := &receiver{client: c, w: w, rep: rep, cancel: cancel}
	s.startTimer("nothing within ", c.o.FirstToken)
	defer func() { s.timer.Stop() }()
	err := c.exchange(timed, body, s)
	var failed writeError
	if errors.As(err, &failed) {
		return failed.error
	}
	// The cause says why the context ended: a timeout of the receiver or the
	// caller. The error of the connection is only a consequence.
	if cause := context.Cause(timed); err != nil && cause != nil {
		return cause
	}
	return err
}

// exchange sends a request and passes the response to the receiver.
func (c *Client) exchange(ctx context.Context, body []byte, s *receiver) error {
	connected := false
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected = true }})
	q, err := http.NewRequestWithContext(traced, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return optionError("URL: it cannot be requested")
	}
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set("Accept", "text/event-stream, application/x-ndjson, application/json")
	c.authorize(q.Header)
	response, err := c.http.Do(q)
	if err != nil {
		return noResponse(err, connected)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return errorResponse(response)
	}
	return s.read(response)
}

// noResponse returns the error of a request without a response. It may be sent
// again only if no connection was made: otherwise the server may have read it
// and may be generating.
func noResponse(err error, connected bool) error {
	var redirect *Error
	if errors.As(err, &redirect) {
		return redirect
	}
	var withURL *url.Error
	if errors.As(err, &withURL) {
		err = withURL.Err // Error.Where already names the URL
	}
	if connected {
		return &Error{Kind: ErrBroken, Words: "no answer: " + err.Error(), Cause: err}
	}
	var dial *net.OpError
	again := errors.As(err, &dial) && dial.Op == "dial" && !dial.Timeout() && !errors.As(err, new(*net.DNSError))
	return &Error{Kind: ErrUnreachable, Words: err.Error(), Cause: err, retry: again}
}
