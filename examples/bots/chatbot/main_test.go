package chatbot

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/backend"
	"github.com/koala-go/sdk/modeltest"
)

const token, key = "12345:very-secret-token", "sk-very-secret-key"

// run runs a bot on a platform that calls do.
func run(t *testing.T, env map[string]string, do func(*Bot, []backend.Secret) error, args ...string) (log string, _ error) {
	t.Helper()
	var lines bytes.Buffer
	p := Platform{Name: "test", Tokens: []string{"TEST_TOKEN"}, Style: Style{Max: 100, Every: 1, Escape: strings.NewReplacer()}}
	p.Run = func(_ context.Context, b *Bot, tokens []backend.Secret) error { return do(b, tokens) }
	db := "--db=" + filepath.Join(t.TempDir(), "x.db")
	err := Run(t.Context(), p, append([]string{db}, args...), func(name string) string { return env[name] }, &lines)
	return lines.String(), err
}

// TestEcho checks that a bot without flags echoes.
func TestEcho(t *testing.T) {
	var p board
	log, err := run(t, map[string]string{"TEST_TOKEN": token}, func(b *Bot, tokens []backend.Secret) error {
		require.Equal(t, []backend.Secret{token}, tokens)
		b.Handle(Message{Channel: "c", Text: "Hello there!"}, &p)
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, []string{"You said: Hello there!"}, p.all())
	require.Contains(t, log, "the bot has ended")
}

// TestLocal runs a model in the bot's own process.
func TestLocal(t *testing.T) {
	file, err := modeltest.ScriptedGGUF()
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "tiny.gguf")
	require.NoError(t, os.WriteFile(path, file, 0o644))
	var p board
	_, err = run(t, map[string]string{"TEST_TOKEN": token}, func(b *Bot, _ []backend.Secret) error {
		b.Handle(Message{Channel: "c", Text: "Hello!"}, &p)
		return nil
	}, "--backend=local", "--model="+path)
	require.NoError(t, err)
	require.Equal(t, []string{strings.TrimSpace(modeltest.Greeting)}, p.all())
}

// TestServer uses a server that --backend and --url name. Its error texts are not shown.
func TestServer(t *testing.T) {
	reply := `data: {"content":" Hi!","stop":true,"stop_type":"eos"}` + "\n\n"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+key {
			http.Error(w, `{"error":"no such key: `+r.Header.Get("Authorization")+` and `+token+`"}`, http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, reply)
	}))
	defer server.Close()
	var p board
	hello := func(b *Bot, _ []backend.Secret) error {
		b.Handle(Message{Channel: "c", Text: "Hello!"}, &p)
		return nil
	}
	_, err := run(t, map[string]string{"TEST_TOKEN": token, "KOALA_API_KEY": key}, hello, "--backend=llamacpp", "--url="+server.URL)
	require.NoError(t, err)
	log, err := run(t, map[string]string{"TEST_TOKEN": token, "KOALA_API_KEY": "wrong-key"}, hello, "--backend=llamacpp", "--url="+server.URL)
	require.NoError(t, err)
	require.Equal(t, []string{"Hi!", apology(errBroken)}, p.all())
	require.Contains(t, log, "no such key: Bearer [secret] and [secret]")
	require.NotContains(t, log, token)
}

// TestSecrets checks that the log has no secrets, whatever a library writes.
func TestSecrets(t *testing.T) {
	log, err := run(t, map[string]string{"TEST_TOKEN": token, "KOALA_API_KEY": key}, func(b *Bot, _ []backend.Secret) error {
		b.Log().Warn("a line with "+token, "url", "https://x/bot"+token+"/getMe", "key", key)
		return errors.New(`Post "https://x/bot` + token + `/getMe": ` + key)
	})
	require.Error(t, err)
	require.NotContains(t, log, token)
	require.NotContains(t, log, key)
	require.Equal(t, 5, strings.Count(log, "[secret]"))
}

func TestBadFlags(t *testing.T) {
	words := filepath.Join(t.TempDir(), "words")
	require.NoError(t, os.WriteFile(words, []byte("bomb\n"), 0o600))
	env := map[string]string{"TEST_TOKEN": token}
	never := func(*Bot, []backend.Secret) error { t.Error("it ran"); return nil }
	for says, args := range map[string][]string{
		"use only flags":                          {"x"},
		"use channel or user":                     {"--per=group"},
		"leave room":                              {"--context=100", "--max-tokens=100"},
		"and for one reply":                       {"--at-once=0"},
		"unknown kind of server":                  {"--backend=gpt"},
		"ollama needs the name of a model":        {"--backend=ollama"},
		"use both or neither":                     {"--backend=local"},
		"--model: use both":                       {"--model=koala.gguf"},
		"no-such.gguf":                            {"--backend=local", "--model=no-such.gguf"},
		"the URL needs http://":                   {"--backend=llamacpp", "--url=localhost:8080"},
		"no-such-file":                            {"--words=no-such-file"},
		"flag provided but not defined: -nothing": {"--nothing"},
		"not-a-folder":                            {"--db=" + filepath.Join(words, "not-a-folder")},
	} {
		log, err := run(t, env, never, args...)
		require.Error(t, err, says)
		require.Contains(t, log, says)
	}
	log, err := run(t, nil, never)
	require.ErrorContains(t, err, "TEST_TOKEN in the environment")
	require.Contains(t, log, "TEST_TOKEN")
	log, err = run(t, env, never, "--help")
	require.ErrorIs(t, err, flag.ErrHelp)
	require.Contains(t, log, "-at-once")
	ran := false
	_, err = run(t, env, func(b *Bot, _ []backend.Secret) error {
		ran = true
		require.True(t, b.o.PerUser)
		reason, err := b.o.Chat.Moderator.Moderate(t.Context(), "a bomb")
		require.NoError(t, err)
		require.Equal(t, "bomb", reason)
		return nil
	}, "--words="+words, "--per=user")
	require.NoError(t, err)
	require.True(t, ran)
}
