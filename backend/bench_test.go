package backend_test

import (
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/backend"
	"github.com/koala-go/sdk/koala"
)

// BenchmarkChats runs chats at once against a server on loopback, in this process,
// that sends each of them 40 pieces of text, one every 100 ms. It reports what the
// client adds: the time from the last byte of a piece that net/http returned to the
// write to the caller. "late" is how much later than due a piece reached the caller,
// which includes the time of the machine and of net/http. "plain" is the same for a
// net/http client that only reads lines.
func BenchmarkChats(b *testing.B) {
	for _, row := range []struct {
		name  string
		chats int
		plain bool
	}{{"1", 1, false}, {"1000", 1000, false}, {"1000/plain", 1000, true}} {
		b.Run(row.name, func(b *testing.B) {
			url := serve(b, paced(40, 100*time.Millisecond))
			var added, late []time.Duration
			for b.Loop() {
				a, l := chats(b, url, row.chats, row.plain)
				added, late = append(added, a...), append(late, l...)
			}
			report(b, added, "added")
			report(b, late, "late")
		})
	}
}

func report(b *testing.B, spent []time.Duration, what string) {
	if len(spent) == 0 {
		return
	}
	slices.Sort(spent)
	at := func(part float64) float64 { return float64(spent[int(part*float64(len(spent)-1))].Nanoseconds()) / 1e3 }
	b.ReportMetric(at(0.5), what+"-p50-µs")
	b.ReportMetric(at(0.99), what+"-p99-µs")
	b.ReportMetric(at(1), what+"-max-µs")
}

// paced returns a handler that sends pieces with the times at which they are due.
func paced(n int, every time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		due := time.Now()
		for range n {
			due = due.Add(every)
			time.Sleep(time.Until(due))
			_, _ = io.WriteString(w, llamaEvent(due.Format(time.RFC3339Nano)+" "))
			_ = http.NewResponseController(w).Flush()
		}
		_, _ = io.WriteString(w, llamaEnd)
	}
}

// chats runs chats at once. It returns the time that the client added, and how late
// the pieces were.
func chats(b *testing.B, url string, n int, plain bool) (added, late []time.Duration) {
	var all sync.WaitGroup
	var mu sync.Mutex
	for range n {
		all.Go(func() {
			clock := &clockTransport{t: &http.Transport{DisableKeepAlives: true}}
			var own []time.Duration
			w := writerFunc(func(p []byte) {
				now := time.Now()
				clock.spent = append(clock.spent, now.Sub(clock.read))
				if due, err := time.Parse(time.RFC3339Nano, strings.TrimSpace(string(p))); err == nil {
					own = append(own, now.Sub(due))
				}
			})
			var err error
			if plain {
				err = readPlainly(b.Context(), url, w)
				clock.spent = nil
			} else {
				_, err = client(b, backend.LlamaCPP, backend.Options{URL: url, Transport: clock}).Complete(b.Context(), request(b, nil, documented[0]), w)
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				b.Error(err)
			}
			added, late = append(added, clock.spent...), append(late, own...)
		})
	}
	all.Wait()
	return added, late
}

// readPlainly reads a stream with net/http alone.
func readPlainly(ctx context.Context, url string, w io.Writer) error {
	q, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/completion", strings.NewReader("{}"))
	if err != nil {
		return err
	}
	answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(q)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	buf := make([]byte, 4096)
	for {
		n, err := answer.Body.Read(buf)
		if _, text, found := strings.Cut(string(buf[:n]), `"content":"`); found {
			text, _, _ = strings.Cut(text, `"`)
			_, _ = io.WriteString(w, text)
		}
		if err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// clockTransport records when bytes were last read.
type clockTransport struct {
	t     http.RoundTripper
	read  time.Time
	spent []time.Duration
}

func (c *clockTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := c.t.RoundTrip(r)
	if err == nil {
		answer.Body = &clockBody{answer.Body, c}
	}
	return answer, err
}

type clockBody struct {
	io.ReadCloser
	c *clockTransport
}

func (b *clockBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.c.read = time.Now()
	return n, err
}

// BenchmarkCancel measures the time from the end of a context, while a reply
// arrives, to the return of Chat.Ask.
func BenchmarkCancel(b *testing.B) {
	s := streams[0]
	url := serve(b, func(w http.ResponseWriter, r *http.Request) {
		s.says(s.event("Hi"))(w, r)
		<-r.Context().Done()
	})
	c := client(b, s.kind, backend.Options{URL: url})
	var spent []time.Duration
	for b.Loop() {
		chat, err := koala.New(nil)
		require.NoError(b, err)
		ctx, cancel := context.WithCancel(b.Context())
		var at time.Time
		_, err = chat.Ask(ctx, c, "Hello!", writerFunc(func([]byte) {
			time.AfterFunc(time.Millisecond, func() { at = time.Now(); cancel() })
		}))
		spent = append(spent, time.Since(at))
		require.ErrorIs(b, err, context.Canceled)
	}
	report(b, spent, "cancel")
}
