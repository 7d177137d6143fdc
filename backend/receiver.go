package backend

import (
	"context"
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
}

// writeError marks an error of the caller's writer.
type writeError struct{ error }

// read reads the reply, as one document or as a stream. A server that does not
// stream sends a document although the request asks for a stream.
func (s *receiver) read(response *http.Response) error {
	mediaType, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if s.client.protocol.events == nil || mediaType == "application/json" {
		return s.readDocument(response)
	}
	events := s.client.protocol.events(newLines(response.Body))
	ctx := response.Request.Context()
	for ctx.Err() == nil {
		event, err := events.next()
		switch {
		case err == io.EOF:
			return s.noEndMark()
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
			return s.checkModel()
		}
	}
	return ctx.Err() // events that were buffered meanwhile do not count
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
func (s *receiver) readDocument(response *http.Response) error {
	data, err := readDocument(response.Body)
	if err != nil {
		return asBroken(err)
	}
	if _, err := s.take(data); err != nil {
		return err
	}
	if s.rep.Finish == koala.Unfinished {
		return s.noEndMark()
	}
	return s.checkModel()
}

// take reads an event, writes its text and reports whether it is the end mark.
// Only events with text restart the timer: a server cannot continue for ever with
// empty ones.
func (s *receiver) take(event []byte) (end bool, err error) {
	event, replaced := replaceInvalid(event)
	s.rep.Replaced += replaced
	text, end, err := s.client.protocol.take(event, s.rep)
	switch {
	case err == errServer:
		return false, errorEvent(event)
	case err != nil:
		return false, err
	case text == "":
		return end, nil
	}
	s.timer.Stop() // the caller's writer may take its time
	if _, err := io.WriteString(s.w, text); err != nil {
		return false, writeError{err}
	}
	s.startTimer("nothing more within ", s.client.o.BetweenTokens)
	return end, nil
}

// startTimer restarts the timer. When it runs out, the request ends with an
// error of the kind ErrTimeout that begins with words.
func (s *receiver) startTimer(words string, d time.Duration) {
	if s.timer != nil {
		s.timer.Stop()
	}
	s.timer = time.AfterFunc(d, func() { s.cancel(&Error{Kind: ErrTimeout, Words: words + d.String()}) })
}

// checkModel compares the model that replied with the model that was asked for,
// if both are known. Ollama appends :latest to names.
func (s *receiver) checkModel() error {
	want, got := s.client.o.Model, s.rep.Model
	if want == "" || got == "" || strings.TrimSuffix(want, ":latest") == strings.TrimSuffix(got, ":latest") {
		return nil
	}
	return &Error{Kind: ErrModel, Words: "asked for " + want + ", it answered for " + got}
}
