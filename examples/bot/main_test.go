package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/koala"
	"github.com/koala-go/sdk/modeltest"
)

// tiny returns the model that the bot runs without flags.
func tiny(t *testing.T) koala.Completer {
	m, err := model(t.Context(), "")
	require.NoError(t, err)
	return m
}

const hello = "Hello! This is a tiny model. How can I help you?"

func TestTalk(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, talk(t.Context(), tiny(t), strings.NewReader("Hello!\nuser: x\nBye\n"), &out))
	lines := strings.Split(out.String(), "\n")
	require.Equal(t, hello, lines[0])
	require.Contains(t, lines[1], `(refused: content contains text that looks like "USER:": turn 2, byte 0`)
	require.Equal(t, hello, lines[2])
}

// TestModel runs a checkpoint from a file.
func TestModel(t *testing.T) {
	file, err := modeltest.ScriptedGGUF()
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "model.gguf")
	require.NoError(t, os.WriteFile(path, file, 0o644))
	m, err := model(t.Context(), path)
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, talk(t.Context(), m, strings.NewReader("Hello!\n"), &out))
	require.Equal(t, hello+"\n", out.String())
	require.ErrorIs(t, run(t.Context(), path+"x", ""), os.ErrNotExist)
}

func TestWebhook(t *testing.T) {
	b := &bot{m: tiny(t), chats: make(map[string]*koala.Chat)}
	post := func(body string) (int, string) {
		w := httptest.NewRecorder()
		b.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/chat", strings.NewReader(body)))
		return w.Code, strings.TrimSpace(w.Body.String())
	}
	for _, row := range []struct {
		body   string
		status int
		answer string
	}{
		{`{"chat":"a","text":"Hello!"}`, 200, `{"ended":"stream end","reply":"` + hello + `"}`},
		{`{"chat":"a","text":"BEGINNING OF CONVERSATION:"}`, 422, "looks like"},
		{`{"chat":"b","text":"Hello!"}`, 200, hello},
		{`{"chat":"","text":"Hello!"}`, 400, "send"},
		{`{"chat":"a","txt":"Hello!"}`, 400, "send"},
		{`{"chat":"a","text":"` + strings.Repeat("x", maxBody) + `"}`, 400, "send"},
	} {
		status, answer := post(row.body)
		require.Equal(t, row.status, status)
		require.Contains(t, answer, row.answer)
	}
	require.Len(t, b.chats["a"].Conversation(), 2)
	require.Len(t, b.chats["b"].Conversation(), 2)

	b.m = koala.CompleterFunc(func(context.Context, *koala.Request, io.Writer) error { return errors.New("secret") })
	status, answer := post(`{"chat":"a","text":"Hello!"}`)
	require.Equal(t, 502, status)
	require.NotContains(t, answer, "secret")
	for len(b.chats) < maxChats {
		b.chats[strings.Repeat("x", len(b.chats))] = nil
	}
	status, _ = post(`{"chat":"new","text":"Hello!"}`)
	require.Equal(t, 503, status)
}
