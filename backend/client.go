package backend

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"time"
)

// Client is a client of a server. It is safe for concurrent use.
type Client struct {
	kind Kind
	o    Options // without the key
	p    *protocol
	url  string
	http *http.Client

	authorize func(http.Header)
	clean     func(string) string
}

// New makes a client. It does not connect. The error is an *Error of the kind
// ErrOptions.
func New(k Kind, o *Options) (*Client, error) {
	c, err := o.resolve(k)
	if err != nil {
		return nil, err
	}
	u, err := parseURL(c.URL)
	if err != nil {
		return nil, err
	}
	client := &Client{kind: k, p: protocols[k], url: strings.TrimSuffix(u.String(), "/") + protocols[k].path}
	client.authorize, client.clean = keyed(c.Key)
	c.Key = ""
	client.o = c
	client.http = newHTTP(&c)
	return client, nil
}

// keyed keeps a key out of reach of %+v.
func keyed(key Secret) (authorize func(http.Header), cleaner func(string) string) {
	authorize = func(h http.Header) {
		if key != "" {
			h.Set("Authorization", "Bearer "+string(key))
		}
	}
	return authorize, func(text string) string { return clean(text, key) }
}

// newHTTP makes the client below. Each request has a connection of its own: a
// server that closes one which is kept alive, as llama.cpp's does after a
// stream, would lose the next request, and nobody could tell whether it had
// been read. A redirect is followed only where it leads to the same host, with
// the same method.
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

func checkRedirect(r *http.Request, via []*http.Request) error {
	first := via[0]
	if r.URL.Scheme != first.URL.Scheme || r.URL.Host != first.URL.Host || r.Method != first.Method || len(via) > 3 {
		return &Error{Kind: ErrRedirect, Words: "to " + r.URL.Scheme + "://" + r.URL.Host}
	}
	return nil
}

// Kind is the kind of server.
func (c *Client) Kind() Kind { return c.kind }

// Complete asks for a reply and writes its text to w as it comes. The error is
// an *Error, that of the context, that of w, which ends the reply at the
// server, or that of Request.Text where the server takes only text. What the
// server told before an error is in the report.
func (c *Client) Complete(ctx context.Context, r *Request, w io.Writer) (Report, error) {
	body, err := c.body(r)
	if err != nil {
		return Report{}, err
	}
	return c.send(ctx, body, w, len(r.IDs))
}

// send sends a request until there is an answer, as the options say.
func (c *Client) send(ctx context.Context, body []byte, w io.Writer, tokens int) (rep Report, _ error) {
	for pause := c.o.Backoff; ; pause = min(2*pause, maxPause) {
		tries := rep.Tries + 1
		rep = Report{Tries: tries}
		err := c.once(ctx, body, w, &rep)
		failed, ok := err.(*Error)
		if !ok {
			return rep, err
		}
		c.tell(failed, tokens)
		if !failed.retry || tries > c.o.Retries {
			return rep, err
		}
		if err := wait(ctx, failed.pause(pause)); err != nil {
			return rep, err
		}
	}
}

// body is the JSON of a request.
func (c *Client) body(r *Request) ([]byte, error) {
	if r.Sampling.MaxTokens < 1 {
		return nil, optionError("a reply of %d tokens at most: MaxTokens", r.Sampling.MaxTokens)
	}
	given, err := promptOf(c.kind, &c.o, r)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(c.p.body(&c.o, r, given)); err != nil {
		return nil, &Error{Kind: ErrOptions, Words: "sampling that JSON cannot say", Cause: err}
	}
	return b.Bytes(), nil
}

// tell completes an error: where it was, and which numbers the client knows.
func (c *Client) tell(e *Error, tokens int) {
	e.Where, e.Words = c.url, c.clean(e.Words)
	if e.Kind != ErrContext {
		return
	}
	if e.Prompt == 0 {
		e.Prompt = tokens
	}
	if e.Context == 0 {
		e.Context = c.o.Context
	}
}

// maxPause bounds the pause before a request is sent again.
const maxPause = 30 * time.Second

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

// once sends a request and reads the reply.
func (c *Client) once(ctx context.Context, body []byte, w io.Writer, rep *Report) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	timed, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s := &sink{c: c, w: w, rep: rep, cancel: cancel}
	s.await("nothing within ", c.o.FirstToken)
	defer func() { s.late.Stop() }()
	err := c.exchange(timed, body, s)
	if cause := context.Cause(timed); err != nil && cause != nil && !errors.As(err, new(writeError)) {
		err = cause
	}
	var failed writeError
	if errors.As(err, &failed) {
		return failed.error
	}
	return err
}

// exchange sends a request and hands the answer on.
func (c *Client) exchange(ctx context.Context, body []byte, s *sink) error {
	connected := false
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected = true }})
	q, err := http.NewRequestWithContext(traced, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return optionError("no request can be made of the URL")
	}
	q.Header.Set("Content-Type", "application/json")
	q.Header.Set("Accept", "text/event-stream, application/x-ndjson, application/json")
	c.authorize(q.Header)
	answer, err := c.http.Do(q)
	if err != nil {
		return lost(err, connected)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return refusal(answer)
	}
	return s.read(answer)
}

// lost is the error of a request without an answer.
func lost(err error, connected bool) error {
	var redirect *Error
	if errors.As(err, &redirect) {
		return redirect
	}
	var where *url.Error
	if errors.As(err, &where) {
		err = where.Err // the URL is told apart
	}
	if connected {
		return &Error{Kind: ErrBroken, Words: "no answer: " + err.Error(), Cause: err}
	}
	var dial *net.OpError
	again := errors.As(err, &dial) && dial.Op == "dial" && !dial.Timeout() && !errors.As(err, new(*net.DNSError))
	return &Error{Kind: ErrUnreachable, Words: err.Error(), Cause: err, retry: again}
}

// sink takes the events of one reply.
type sink struct {
	c      *Client
	w      io.Writer
	rep    *Report
	cancel context.CancelCauseFunc
	late   *time.Timer // cancels the request
}

// writeError is the error of the caller's writer.
type writeError struct{ error }

// read reads the reply, whole or as a stream.
func (s *sink) read(answer *http.Response) error {
	kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	if s.c.p.events == nil || kind == "application/json" {
		return s.readWhole(answer)
	}
	events := s.c.p.events(newLines(answer.Body))
	ctx := answer.Request.Context()
	for ctx.Err() == nil {
		event, err := events.next()
		switch {
		case err == io.EOF:
			return broken("it ended without its end mark%s", s.c.hint())
		case err == io.ErrUnexpectedEOF:
			return broken("it ended within an event")
		case err != nil:
			return asBroken(err)
		}
		end, err := s.take(event)
		if err != nil {
			return err
		}
		if end {
			return s.rightModel()
		}
	}
	return ctx.Err() // what has come already does not count any more
}

// hint says what else the end of a stream may mean.
func (c *Client) hint() string {
	if c.kind == Ollama {
		return ": Ollama does so too when a model repeats one piece of text"
	}
	return ""
}

// asBroken is the error of a connection that failed within a reply.
func asBroken(err error) error {
	if failed, ok := err.(*Error); ok {
		return failed
	}
	return &Error{Kind: ErrBroken, Words: err.Error(), Cause: err}
}

// readWhole reads a reply that is one document: also of a server that does not
// stream.
func (s *sink) readWhole(answer *http.Response) error {
	data, err := whole(answer.Body)
	if err != nil {
		return asBroken(err)
	}
	if _, err := s.take(data); err != nil {
		return err
	}
	if s.rep.Finish == Unfinished {
		return broken("it ended without its end mark%s", s.c.hint())
	}
	return s.rightModel()
}

// take takes an event and writes its text. Events without text do not count as
// a sign of life, so a server cannot go on for ever with them.
func (s *sink) take(event []byte) (end bool, err error) {
	event, replaced := valid(event)
	s.rep.Replaced += replaced
	text, end, err := s.c.p.take(event, s.rep)
	switch {
	case err == errSaid:
		return false, midStream(event)
	case err != nil:
		return false, err
	case text == "":
		return end, nil
	}
	s.late.Stop() // the caller may take its time
	if _, err := io.WriteString(s.w, text); err != nil {
		return false, writeError{err}
	}
	s.await("nothing more within ", s.c.o.BetweenTokens)
	return end, nil
}

// await ends the request unless it is called again in time.
func (s *sink) await(what string, d time.Duration) {
	if s.late != nil {
		s.late.Stop()
	}
	s.late = time.AfterFunc(d, func() { s.cancel(&Error{Kind: ErrTimeout, Words: what + d.String()}) })
}

// rightModel checks the name of the model, where one was asked for. Ollama puts
// :latest behind names.
func (s *sink) rightModel() error {
	asked, got := s.c.o.Model, s.rep.Model
	if asked == "" || got == "" || strings.TrimSuffix(asked, ":latest") == strings.TrimSuffix(got, ":latest") {
		return nil
	}
	return &Error{Kind: ErrModel, Words: "asked for " + asked + ", it answered for " + got}
}
