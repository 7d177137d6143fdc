package backend

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/koala-go/sdk/koala"
)

// receiver reads the response with one reply and writes its text to w.
type receiver struct {
	client *Client
	w      io.Writer
	rep    *koala.Report
	cancel context.CancelCauseFunc
	timer  *time.Timer // ends the request when the next text is late
	joiner joiner
}

// writeError marks an error of the caller's writer.
type writeError struct{ error }

// read reads the reply, as one document or as a stream. A server that does not
// stream sends a document although the request asks for a stream.
func (s *receiver) read(response *http.Response) error {
	body := bufio.NewReader(response.Body)
	if s.client.protocol.events == nil || s.isDocument(response, body) {
		return s.readDocument(body)
	}
	events := s.client.protocol.events(newLines(body))
	ctx := response.Request.Context()
	for ctx.Err() == nil {
		event, err := events.next()
		end, taken := false, error(nil)
		if len(event) > 0 && (err == nil || err == io.ErrUnexpectedEOF) {
			end, taken = s.take(event)
		}
		switch {
		case end && taken == nil:
			return s.finish()
		case s.rep.Finish != koala.Unfinished && (err != nil || taken != nil) && !isWriteError(taken):
			// The reply is complete: what follows its reason is optional.
			s.warn(cmp.Or(taken, err))
			return s.finish()
		case taken != nil && (err == nil || !errors.Is(taken, ErrBroken)):
			return taken
		case err == io.EOF:
			return s.noEndMark()
		case err == io.ErrUnexpectedEOF:
			return broken("it ended within an event")
		case err != nil:
			return asBroken(err)
		}
	}
	return ctx.Err() // events that were buffered meanwhile do not count
}

// isDocument reports whether the response is one JSON document, although the
// request asks for a stream. Its type does not tell: proxies label streams as
// JSON, too.
func (s *receiver) isDocument(response *http.Response, body *bufio.Reader) bool {
	mediaType, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if mediaType != "application/json" {
		return false
	}
	begin, _ := body.Peek(1)
	for n := 1; len(begin) == n && n < body.Size() && begin[n-1] != '\n'; n++ {
		begin, _ = body.Peek(n + 1)
	}
	begin = bytes.TrimSpace(bytes.TrimPrefix(begin, []byte(byteOrderMark)))
	if len(begin) > 0 && begin[0] != '{' {
		return false // a field of an event
	}
	_, isLines := s.client.protocol.events(newLines(bytes.NewReader(nil))).(ndjson)
	return !isLines || !json.Valid(begin)
}

// isWriteError reports whether err is an error of the caller's writer.
func isWriteError(err error) bool {
	_, ok := err.(writeError)
	return ok
}

// warn stores an error that came after the end of the reply.
func (s *receiver) warn(err error) {
	if err != nil && err != io.EOF && s.rep.Warning == "" {
		s.rep.Warning = s.client.clean("after the reply: " + err.Error())
	}
}

// noEndMark returns the error of a reply without its end mark.
func (s *receiver) noEndMark() error {
	if hint := s.client.protocol.noEndHint; hint != "" {
		return broken("it ended without its end mark: %s", hint)
	}
	return broken("it ended without its end mark")
}

// asBroken returns the error of a connection that failed during a reply.
func asBroken(err error) error {
	if failed, ok := err.(*Error); ok {
		return failed
	}
	return &Error{Kind: ErrBroken, Words: err.Error(), Cause: err}
}

// readDocument reads a reply that is one JSON document.
func (s *receiver) readDocument(body io.Reader) error {
	data, err := readDocument(body)
	if err != nil {
		return asBroken(err)
	}
	if _, err := s.take(data); err != nil {
		return err
	}
	if s.rep.Finish == koala.Unfinished {
		return s.noEndMark()
	}
	return s.finish()
}

// take reads an event, writes its text and reports whether it is the end mark.
// Only events with text restart the timer: a server cannot continue for ever with
// empty ones.
func (s *receiver) take(event []byte) (end bool, err error) {
	event, replaced := replaceInvalid(event)
	s.rep.Replaced += replaced
	text, end, err := s.client.protocol.take(event, s.rep)
	if err == errServer {
		return false, errorEvent(event)
	}
	if writeErr := s.write(text, false); writeErr != nil {
		return false, writeErr
	}
	return end, err
}

// write writes the text of an event, joined with what the events before it left.
func (s *receiver) write(text streamText, last bool) error {
	whole, replaced := s.joiner.join(text, last)
	s.rep.Replaced += replaced
	if whole == "" {
		return nil
	}
	s.timer.Stop() // the caller's writer may take its time
	if _, err := io.WriteString(s.w, whole); err != nil {
		return writeError{err}
	}
	s.startTimer("nothing more within ", s.client.o.BetweenTokens)
	return nil
}

// finish completes a reply whose end has come.
func (s *receiver) finish() error {
	err := s.write("", true)
	s.checkModel()
	return err
}

// startTimer restarts the timer. When it runs out, the request ends with an
// error of the kind ErrTimeout that begins with words.
func (s *receiver) startTimer(words string, d time.Duration) {
	if s.timer != nil {
		s.timer.Stop()
	}
	s.timer = time.AfterFunc(d, func() { s.cancel(&Error{Kind: ErrTimeout, Words: words + d.String()}) })
}

// checkModel warns if the model that replied is not the one that was asked for, if
// both are known. It may be an alias. Ollama appends :latest to names.
func (s *receiver) checkModel() {
	want, got := s.client.o.Model, s.rep.Model
	if want == "" || got == "" || strings.TrimSuffix(want, ":latest") == strings.TrimSuffix(got, ":latest") {
		return
	}
	if s.rep.Warning == "" {
		s.rep.Warning = s.client.clean("asked for the model " + want + ", the server answered for " + got)
	}
}
