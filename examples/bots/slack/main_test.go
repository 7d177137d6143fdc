package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/examples/bots/internal/bottest"
)

var env = map[string]string{"SLACK_BOT_TOKEN": "xoxb-very-secret", "SLACK_APP_TOKEN": "xapp-very-secret"}

// fake plays Slack's web API and socket mode.
type fake struct {
	*bottest.Board
	t      *testing.T
	url    string
	events chan map[string]any
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	method := strings.TrimPrefix(r.URL.Path, "/")
	if method == "socket" {
		f.socket(w, r)
		return
	}
	_ = r.ParseForm()
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ") + r.FormValue("token")
	w.Header().Set("Content-Type", "application/json")
	id, status := 0, 0
	switch {
	case method == "apps.connections.open" && token == env["SLACK_APP_TOKEN"]:
		fmt.Fprintf(w, `{"ok":true,"url":"%s/socket?ticket=secret-ticket"}`, strings.Replace(f.url, "http", "ws", 1))
		return
	case token != env["SLACK_BOT_TOKEN"]:
		fmt.Fprint(w, `{"ok":false,"error":"invalid_auth"}`)
		return
	case method == "auth.test":
		fmt.Fprint(w, `{"ok":true,"user_id":"U7","team_id":"T1"}`)
		return
	case method == "chat.postMessage":
		id, status = f.Send(r.FormValue("text"))
	case method == "chat.update":
		status = f.Edit(strings.TrimSuffix(r.FormValue("ts"), ".0"), r.FormValue("text"))
	}
	if r.FormValue("parse") != "none" || r.FormValue("link_names") != "false" || r.FormValue("mrkdwn") != "false" {
		f.t.Errorf("a message with markup: %v", r.Form)
	}
	switch status {
	case 0:
		fmt.Fprintf(w, `{"ok":true,"channel":"C","ts":"%d.0"}`, id)
	case 429:
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(status)
	default:
		http.Error(w, "broken: "+token, status)
	}
}

// socket delivers events and requires an acknowledgement of each.
func (f *fake) socket(w http.ResponseWriter, r *http.Request) {
	var up websocket.Upgrader
	up.CheckOrigin = func(*http.Request) bool { return true }
	c, err := up.Upgrade(w, r, nil)
	if err != nil {
		f.t.Error(err)
		return
	}
	defer c.Close()
	gone := make(chan struct{})
	acknowledged := make(chan string, 100)
	go func() {
		defer close(gone)
		for {
			var m struct {
				ID string `json:"envelope_id"`
			}
			if c.ReadJSON(&m) != nil {
				return
			}
			acknowledged <- m.ID
		}
	}()
	_ = c.WriteJSON(map[string]any{"type": "hello"})
	for n := 0; ; n++ {
		select {
		case e := <-f.events:
			id := fmt.Sprint("e", n)
			_ = c.WriteJSON(map[string]any{"type": "events_api", "envelope_id": id, "payload": map[string]any{"type": "event_callback", "team_id": "T1", "event": e}})
			select {
			case got := <-acknowledged:
				if got != id {
					f.t.Errorf("%s was acknowledged, not %s", got, id)
				}
			case <-gone:
				return
			}
		case <-gone:
			return
		}
	}
}

func start(t *testing.T) *fake {
	f := &fake{new(bottest.Board), t, "", make(chan map[string]any, 10)}
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	f.url = s.URL
	return f
}

func event(m bottest.Incoming) map[string]any {
	e := map[string]any{"type": "message", "channel": fmt.Sprint("D", m.Chat), "channel_type": "im", "user": "U9", "ts": fmt.Sprintf("%d.5", m.ID),
		"text": strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace(m.Text)}
	if m.Bot {
		e["bot_id"] = "B1"
	}
	if m.Group {
		e["channel_type"] = "channel"
		if strings.Contains(m.Text, "<@U7>") {
			e["type"], e["text"] = "app_mention", m.Text
		}
	}
	return e
}

func TestSlack(t *testing.T) {
	f := start(t)
	bottest.Run(t, platform(f.url+"/"), f.Board, env, func(m bottest.Incoming) { f.events <- event(m) },
		func(text string) string { return "<@U7> " + text },
		strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace)
}

// TestOthers checks that edited messages, mentions by other bots and the bot's own messages
// are ignored, and that a thread is a conversation of its own.
func TestOthers(t *testing.T) {
	f := start(t)
	stop := bottest.Start(t, platform(f.url+"/"), env, t.TempDir()+"/x.db")
	for i, change := range []map[string]any{
		{"subtype": "message_changed"}, {"user": "U7"}, {"user": ""}, {"type": "app_mention", "bot_id": "B2"}, {"type": "reaction_added"}, {"thread_ts": "1.5"},
	} {
		e := event(bottest.Incoming{ID: i, Text: "Hello!"})
		for name, value := range change {
			e[name] = value
		}
		f.events <- e
	}
	f.Await(t, "You said: Hello!")
	f.events <- event(bottest.Incoming{ID: 50, Text: "!retry"}) // outside the thread
	f.Await(t, "There is nothing to reply to yet.")
	_, n := f.Last()
	require.Equal(t, 2, n)
	log, err := stop()
	require.NoError(t, err)
	require.NotContains(t, log, "secret-ticket")
}

func TestWrongToken(t *testing.T) {
	f := start(t)
	bottest.RunWrongToken(t, platform(f.url+"/"), map[string]string{"SLACK_BOT_TOKEN": "xoxb-wrong", "SLACK_APP_TOKEN": env["SLACK_APP_TOKEN"]})
	bottest.RunWrongToken(t, platform(f.url+"/"), map[string]string{"SLACK_BOT_TOKEN": env["SLACK_BOT_TOKEN"], "SLACK_APP_TOKEN": "xapp-wrong"})
	bottest.RunWrongToken(t, platform("http://127.0.0.1:1/"), env)
}
