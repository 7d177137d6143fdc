package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/examples/bots/internal/bottest"
)

const token = "very.secret.token"

// fake plays Discord's REST API and gateway.
type fake struct {
	*bottest.Board
	t      *testing.T
	url    *url.URL
	events chan map[string]any
}

// RoundTrip sends the requests for Discord to the fake.
func (f *fake) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host = f.url.Scheme, f.url.Host
	return http.DefaultTransport.RoundTrip(r)
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/gateway") {
		f.gateway(w, r)
		return
	}
	if strings.HasSuffix(r.URL.Path, "/gateway") {
		fmt.Fprintf(w, `{"url":"ws://%s/gateway"}`, f.url.Host)
		return
	}
	if r.Header.Get("Authorization") != "Bot "+token {
		f.t.Error("a message without the token")
	}
	var m struct {
		Content string
		Flags   int
		Allowed *struct {
			Parse []string
			Users []string
		} `json:"allowed_mentions"`
	}
	if err := json.NewDecoder(r.Body).Decode(&m); err != nil || m.Allowed == nil || len(m.Allowed.Parse)+len(m.Allowed.Users) > 0 || m.Flags != 4 {
		f.t.Errorf("a message with mentions or embeds: %v %+v", err, m)
	}
	_, at, _ := strings.Cut(r.URL.Path, "/messages")
	id, status := 0, 0
	if r.Method == http.MethodPost {
		id, status = f.Send(m.Content)
	} else {
		status = f.Edit(strings.TrimPrefix(at, "/"), m.Content)
	}
	switch status {
	case 0:
		fmt.Fprintf(w, `{"id":"%d"}`, id)
	case 429:
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(status)
		fmt.Fprint(w, `{"message":"You are being rate limited.","retry_after":0.05,"global":false}`)
	default:
		http.Error(w, "broken: "+token, status)
	}
}

// gateway opens a session and sends events to it.
func (f *fake) gateway(w http.ResponseWriter, r *http.Request) {
	var up websocket.Upgrader
	c, err := up.Upgrade(w, r, nil)
	if err != nil {
		f.t.Error(err)
		return
	}
	defer c.Close()
	_ = c.WriteJSON(map[string]any{"op": 10, "d": map[string]any{"heartbeat_interval": 45000}})
	identify := make(chan bool)
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for {
			var m struct {
				Op int
				D  json.RawMessage
			}
			if c.ReadJSON(&m) != nil {
				return
			}
			if m.Op == 2 {
				identify <- strings.Contains(string(m.D), token)
			}
		}
	}()
	if !<-identify {
		_ = c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(4004, "Authentication failed."), time.Now().Add(time.Second))
		return
	}
	for seq := 1; ; seq++ {
		event := map[string]any{"op": 0, "t": "READY", "s": seq, "d": map[string]any{"session_id": "s", "user": map[string]any{"id": "7", "bot": true}}}
		if seq > 1 {
			select {
			case d := <-f.events:
				event["t"], event["d"] = "MESSAGE_CREATE", d
			case <-gone:
				return
			}
		}
		if c.WriteJSON(event) != nil {
			return
		}
	}
}

func start(t *testing.T) *fake {
	f := &fake{new(bottest.Board), t, nil, make(chan map[string]any, 10)}
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	var err error
	f.url, err = url.Parse(s.URL)
	require.NoError(t, err)
	return f
}

func TestDiscord(t *testing.T) {
	f := start(t)
	deliver := func(m bottest.Incoming) {
		d := map[string]any{"id": fmt.Sprint(m.ID), "channel_id": fmt.Sprint(m.Chat), "content": m.Text, "author": map[string]any{"id": "9", "bot": m.Bot}}
		if m.Group {
			d["guild_id"] = "1"
			if strings.Contains(m.Text, "<@7>") {
				d["mentions"] = []any{map[string]any{"id": "7"}, map[string]any{"id": "8", "username": "Ann"}}
			}
		}
		f.events <- d
	}
	bottest.Run(t, platform(f), f.Board, map[string]string{"DISCORD_TOKEN": token}, deliver,
		func(text string) string { return "<@7> " + text }, markdown().Replace)
}

// TestMentions checks that mentions of the bot are removed and others become names without
// notifications.
func TestMentions(t *testing.T) {
	f := start(t)
	stop := bottest.Start(t, platform(f), map[string]string{"DISCORD_TOKEN": token}, t.TempDir()+"/x.db")
	f.events <- map[string]any{"id": "1", "channel_id": "6", "guild_id": "1", "content": "<@!7> who is <@8>?", "author": map[string]any{"id": "9"},
		"mentions": []any{map[string]any{"id": "7"}, map[string]any{"id": "8", "username": "Ann"}}}
	f.Await(t, `You said: who is \@Ann?`)
	f.events <- map[string]any{"id": "2", "channel_id": "5", "type": 7, "content": "joined", "author": map[string]any{"id": "9"}}
	f.events <- map[string]any{"id": "3", "channel_id": "5", "content": "end", "author": map[string]any{"id": "9"}}
	f.Await(t, "You said: end")
	_, n := f.Last()
	require.Equal(t, 2, n)
	_, err := stop()
	require.NoError(t, err)
}

func TestWrongToken(t *testing.T) {
	bottest.RunWrongToken(t, platform(start(t)), map[string]string{"DISCORD_TOKEN": "wrong-token"})
	f := start(t)
	f.url.Host = "127.0.0.1:1"
	bottest.RunWrongToken(t, platform(f), map[string]string{"DISCORD_TOKEN": token})
}
