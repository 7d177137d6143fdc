package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-telegram/bot/models"
	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/examples/bots/chatbot"
	"github.com/koala-go/sdk/examples/bots/internal/bottest"
)

const token = "12345:very-secret"

// fake plays Telegram's HTTP API.
type fake struct {
	*bottest.Board
	updates chan map[string]any
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseMultipartForm(1 << 20)
	answer := func(result any) {
		_ = json.NewEncoder(w).Encode(map[string]any{"ok": true, "result": result})
	}
	fails := func(status int) bool {
		if status == 429 {
			fmt.Fprint(w, `{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 1","parameters":{"retry_after":1}}`)
		} else if status != 0 {
			fmt.Fprintf(w, `{"ok":false,"error_code":%d,"description":"broken: %s"}`, status, token)
		}
		return status != 0
	}
	method, found := strings.CutPrefix(r.URL.Path, "/bot"+token+"/")
	switch {
	case !found:
		fails(401)
	case method == "getMe":
		answer(map[string]any{"id": 7, "is_bot": true, "username": "Koala_bot"})
	case method == "getUpdates":
		select {
		case u := <-f.updates:
			answer([]any{u})
		case <-r.Context().Done():
		case <-time.After(time.Second):
			answer([]any{})
		}
	case method == "sendMessage":
		if id, status := f.Send(r.FormValue("text")); !fails(status) {
			answer(map[string]any{"message_id": id})
		}
	case method == "editMessageText":
		if !fails(f.Edit(r.FormValue("message_id"), r.FormValue("text"))) {
			answer(map[string]any{"message_id": 1})
		}
	}
	if r.FormValue("parse_mode") != "" || r.FormValue("text") != "" && !strings.Contains(r.FormValue("link_preview_options"), "true") {
		f.Send("markup or previews")
	}
}

func start(t *testing.T) (*fake, string) {
	f := &fake{new(bottest.Board), make(chan map[string]any, 10)}
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return f, s.URL
}

func TestTelegram(t *testing.T) {
	f, url := start(t)
	deliver := func(m bottest.Incoming) {
		chat := map[string]any{"id": m.Chat, "type": "private"}
		if m.Group {
			chat = map[string]any{"id": -m.Chat, "type": "supergroup"}
		}
		f.updates <- map[string]any{"update_id": m.ID, "message": map[string]any{
			"message_id": m.ID, "chat": chat, "text": m.Text, "from": map[string]any{"id": 9, "is_bot": m.Bot}}}
	}
	bottest.Run(t, platform(url), f.Board, map[string]string{"TELEGRAM_TOKEN": token}, deliver,
		func(text string) string { return "@koala_BOT " + text },
		func(text string) string { return strings.ReplaceAll(text, "@", "@\u2060") })
}

// TestMain runs the program itself if TestSignal asks for it.
func TestMain(m *testing.M) {
	if url := os.Getenv("KOALA_TEST_TELEGRAM"); url != "" {
		chatbot.Main(platform(url))
		return
	}
	os.Exit(m.Run())
}

// TestSignal sends a signal to the program during a reply. The reply ends normally, and no
// other one starts.
func TestSignal(t *testing.T) {
	f, url := start(t)
	say := func(id int, text string) {
		f.updates <- map[string]any{"update_id": id, "message": map[string]any{
			"message_id": id, "chat": map[string]any{"id": id, "type": "private"}, "text": text, "from": map[string]any{"id": 9}}}
	}
	c := exec.CommandContext(t.Context(), os.Args[0], "--db", filepath.Join(t.TempDir(), "chats.db"))
	c.Env = append(os.Environ(), "KOALA_TEST_TELEGRAM="+url, "TELEGRAM_TOKEN="+token)
	var log strings.Builder
	c.Stderr = &log
	require.NoError(t, c.Start())
	long := strings.Repeat("word ", 50) + "end"
	say(1, long)
	require.Eventually(t, func() bool { return len(f.updates) == 0 }, 10*time.Second, time.Millisecond)
	time.Sleep(200 * time.Millisecond) // the reply is arriving
	require.NoError(t, c.Process.Signal(os.Interrupt))
	time.Sleep(100 * time.Millisecond)
	say(2, "too late")
	require.NoError(t, c.Wait(), log.String())
	last, n := f.Last()
	require.Equal(t, []any{"You said: " + long, 1}, []any{last, n}, log.String())
	require.NotContains(t, log.String(), token)
}

func TestWrongToken(t *testing.T) {
	_, url := start(t)
	bottest.RunWrongToken(t, platform(url), map[string]string{"TELEGRAM_TOKEN": "99:wrong-token"})
	bottest.RunWrongToken(t, platform("http://127.0.0.1:1"), map[string]string{"TELEGRAM_TOKEN": token})
}

func TestMeant(t *testing.T) {
	bot := &models.User{ID: 7, Username: "Koala_bot", IsBot: true}
	person := &models.User{ID: 9}
	group := models.Chat{Type: models.ChatTypeGroup}
	for i, row := range []struct {
		m    *models.Message
		want string
	}{
		{nil, ""},
		{&models.Message{Text: "x"}, ""},
		{&models.Message{Text: "x", From: person, Chat: models.Chat{Type: models.ChatTypePrivate}}, "x"},
		{&models.Message{Text: "x", From: &models.User{IsBot: true}, Chat: models.Chat{Type: models.ChatTypePrivate}}, ""},
		{&models.Message{Text: "x", From: person, Chat: group}, ""},
		{&models.Message{Text: "x @koala_bot y", From: person, Chat: group}, "x  y"},
		{&models.Message{Text: "@koala_bot2 y", From: person, Chat: group}, ""},
		{&models.Message{Text: "İstanbul? @KOALA_bot", From: person, Chat: group}, "İstanbul?"},
		{&models.Message{Text: "/reset@Koala_bot", From: person, Chat: group}, "/reset"},
		{&models.Message{Text: "/reset@other_bot", From: person, Chat: group}, ""},
		{&models.Message{Text: "x", From: person, Chat: group, ReplyToMessage: &models.Message{From: bot}}, "x"},
		{&models.Message{Text: "x", From: person, Chat: group, ReplyToMessage: &models.Message{From: person}}, ""},
	} {
		require.Equal(t, row.want, newMe(bot).addressed(row.m), strconv.Itoa(i))
	}
	m := &models.Message{ID: 3, From: person, Chat: models.Chat{ID: -6}, MessageThreadID: 4}
	require.Equal(t, chatbot.Message{Channel: "telegram/-6", User: "9", ID: "3", Text: "x"}, message(m, "x"))
	m.IsTopicMessage = true
	require.Equal(t, "telegram/-6/4", message(m, "x").Channel)
}
