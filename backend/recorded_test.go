package backend_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/backend"
	"github.com/koala-go/sdk/internal/fixture"
	"github.com/koala-go/sdk/koala"
	"github.com/koala-go/sdk/prompt"
)

// recorded is a request and reply of a real server.
type recorded struct {
	Name    string
	Request struct {
		Path string
		Body json.RawMessage
	}
	Response struct {
		Status      int
		ContentType string `json:"content_type"`
		JSON        json.RawMessage
		Raw         *string
		Text        string
	}
}

// body is what the server sent. Where the recording left lines out it says so
// in a line of its own.
func (c *recorded) body() string {
	switch {
	case c.Response.Raw != nil:
		before, after, cut := strings.Cut(*c.Response.Raw, "… (more of the same left out)\n")
		if cut {
			return before + after
		}
		return *c.Response.Raw
	case c.Response.JSON != nil:
		return string(c.Response.JSON)
	}
	return c.Response.Text
}

var recordedFolders = map[string]backend.Kind{
	"llama-server-0c1e57098":  backend.LlamaCPP,
	"xllamacpp-2026.10.11549": backend.LlamaCPP,
	"llama-cpp-python-0.3.36": backend.OpenAI,
	"ollama-0.17.4":           backend.Ollama,
	"vllm-0.32.0":             backend.OpenAI,
	"easylm-fe5b2c3":          backend.EasyLM,
}

var recordedPaths = map[string]backend.Kind{
	"/completion": backend.LlamaCPP, "/v1/completions": backend.OpenAI, "/api/generate": backend.Ollama,
	"/generate": backend.EasyLM, "/chat": backend.EasyLMChat,
}

func recordings(t *testing.T, each func(t *testing.T, file string, k backend.Kind, c *recorded)) int {
	n := 0
	for folder, kind := range recordedFolders {
		files, err := filepath.Glob(filepath.Join(fixture.Path(t, "vectors", "servers", folder), "*.json"))
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, file := range files {
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			var all struct{ Cases []recorded }
			require.NoError(t, json.Unmarshal(data, &all))
			for i := range all.Cases {
				c := &all.Cases[i]
				k, known := recordedPaths[c.Request.Path]
				if !known {
					k = kind
				}
				n++
				each(t, folder+"/"+filepath.Base(file), k, c)
			}
		}
	}
	return n
}

// TestRecorded replays every reply of the real servers, that of other paths
// too, and compares with a plain reading of it.
func TestRecorded(t *testing.T) {
	text, failed := 0, 0
	n := recordings(t, func(t *testing.T, file string, k backend.Kind, c *recorded) {
		name := file + " " + c.Name
		url := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", c.Response.ContentType)
			w.WriteHeader(c.Response.Status)
			_, _ = w.Write([]byte(c.body()))
		})
		want, ok := reading(k, c)
		got, rep, err := ask(t, k, backend.Options{URL: url, Model: want.model})
		if !ok {
			failed++
			var e *backend.Error
			require.ErrorAs(t, err, &e, name)
			requireRefusal(t, name, c, e)
			return
		}
		text++
		require.NoError(t, err, name)
		require.Equal(t, want.text, got, name)
		require.Equal(t, want.finish, rep.Finish, name)
		require.Equal(t, want.stop, rep.Stop, name)
		require.Equal(t, want.prompt, rep.PromptTokens, name)
		require.Equal(t, want.reply, rep.ReplyTokens, name)
		require.Equal(t, 1, rep.Tries, name)
	})
	t.Logf("%d replies: %d with text, %d with an error", n, text, failed)
	require.Greater(t, n, 500)
	require.Greater(t, text, 150)
}

// requireRefusal checks an error against the recorded status and words.
func requireRefusal(t *testing.T, name string, c *recorded, e *backend.Error) {
	t.Helper()
	switch status := c.Response.Status; {
	case status == 200:
		require.Contains(t, []error{backend.ErrBroken}, e.Kind, name)
		return
	case status == 503:
		require.Equal(t, backend.ErrOverloaded, e.Kind, name)
	case status >= 500:
		require.Equal(t, backend.ErrServer, e.Kind, name)
	default:
		require.Contains(t, []error{backend.ErrRefused, koala.ErrContext, backend.ErrModel}, e.Kind, name)
	}
	require.Equal(t, c.Response.Status, e.Status, name)
	// The first of the server's words are kept.
	for word := range strings.FieldsSeq(c.body()) {
		if len(word) > 4 && strings.Trim(strings.ToLower(word), "abcdefghijklmnopqrstuvwxyz") == "" {
			require.Contains(t, e.Words, word, name)
			break
		}
	}
}

// reply is what a recorded reply says.
type reply struct {
	text, stop, model string
	finish            koala.Finish
	prompt, reply     int
	ended             bool
}

// reading reads a recorded reply in the plainest way. It is not ok when there is
// no whole single reply in it.
func reading(k backend.Kind, c *recorded) (r reply, ok bool) {
	if c.Response.Status != 200 {
		return r, false
	}
	events := []string{c.body()}
	if c.Response.Raw != nil {
		events = strings.Split(c.body(), "\n")
	}
	for _, line := range events {
		line = strings.TrimPrefix(line, "data: ")
		if line == "" {
			continue
		}
		if line == "[DONE]" {
			return r, r.ended
		}
		var event map[string]any
		if json.Unmarshal([]byte(line), &event) != nil || !r.add(k, event) {
			return r, false
		}
		if r.ended && k == backend.LlamaCPP {
			return r, true // what another prompt of the request would get is not read
		}
	}
	return r, r.ended && (k != backend.OpenAI || c.Response.Raw == nil)
}

func (r *reply) add(k backend.Kind, e map[string]any) bool {
	text, ok := "", false
	number := func(m map[string]any, name string) int { n, _ := m[name].(float64); return int(n) }
	switch k {
	case backend.LlamaCPP:
		if text, ok = e["content"].(string); !ok || e["stop"] == nil || number(e, "index") != 0 {
			return false
		}
		r.prompt, r.reply = number(e, "tokens_evaluated"), number(e, "tokens_predicted")
		if r.ended = e["stop"].(bool); r.ended {
			r.finish = map[any]koala.Finish{"eos": koala.EndToken, "word": koala.StopText, "limit": koala.Limit, "none": koala.Stopped}[e["stop_type"]]
			r.stop, _ = e["stopping_word"].(string)
		}
	case backend.OpenAI:
		choices, isList := e["choices"].([]any)
		if !isList || len(choices) > 1 {
			return false
		}
		if usage, has := e["usage"].(map[string]any); has {
			r.prompt, r.reply = number(usage, "prompt_tokens"), number(usage, "completion_tokens")
		}
		if len(choices) == 0 {
			return true
		}
		choice := choices[0].(map[string]any)
		if text, ok = choice["text"].(string); !ok || number(choice, "index") != 0 {
			return false
		}
		if reason := choice["finish_reason"]; reason != nil {
			r.ended = true
			stop, told := choice["stop_reason"]
			stopText, isText := stop.(string)
			switch {
			case reason == "length":
				r.finish = koala.Limit
			case isText:
				r.finish, r.stop = koala.StopText, stopText
			case told:
				r.finish = koala.EndToken
			default:
				r.finish = koala.Stopped
			}
		}
	case backend.Ollama:
		if text, ok = e["response"].(string); !ok {
			return false
		}
		if r.ended = e["done"].(bool); r.ended {
			r.prompt, r.reply, r.finish = number(e, "prompt_eval_count"), number(e, "eval_count"), koala.Stopped
			if e["done_reason"] == "length" {
				r.finish = koala.Limit
			}
		}
		r.model, _ = e["model"].(string)
	case backend.EasyLM:
		list, _ := e["output_text"].([]any)
		if len(list) != 1 {
			return false
		}
		text, r.ended, r.finish = list[0].(string), true, koala.Stopped
	case backend.EasyLMChat:
		if text, ok = e["response"].(string); !ok {
			return false
		}
		r.ended, r.finish = true, koala.Stopped
	}
	r.text += text
	return true
}

// TestRecordedByName pins what some replies say.
func TestRecordedByName(t *testing.T) {
	type want struct {
		text   string
		finish koala.Finish
		prompt int
		reply  int
	}
	hi := " Hi! How can I help you?"
	wants := map[string]want{
		"llama-server-0c1e57098/stream.json sse_eos":         {hi, koala.EndToken, 18, 9},
		"llama-server-0c1e57098/stream.json sse_ids":         {hi, koala.EndToken, 41, 9},
		"llama-server-0c1e57098/stream.json sse_limit":       {" la la la", koala.Limit, 3, 3},
		"llama-server-0c1e57098/stream.json sse_stop_word":   {" well then. ", koala.StopText, 3, 6},
		"llama-server-0c1e57098/stream.json sse_eos_at_once": {"", koala.EndToken, 3, 1},
		"vllm-0.32.0/stream.json sse_eos":                    {hi, koala.EndToken, 0, 0},
		"vllm-0.32.0/stream.json sse_stop_word":              {" well then. ", koala.StopText, 0, 0},
		"vllm-0.32.0/stream.json sse_usage":                  {"", koala.EndToken, 3, 1},
		"llama-cpp-python-0.3.36/stream.json sse_limit":      {" la la la", koala.Limit, 0, 0},
		"easylm-fe5b2c3/generate.json one":                   {"reply to 44 characters", koala.Stopped, 0, 0},
		"easylm-fe5b2c3/chat.json second_turn":               {"reply to 117 characters", koala.Stopped, 0, 0},
		"xllamacpp-2026.10.11549/stream.json sse_stop_word":  {" well then. ", koala.StopText, 3, 6},
		"xllamacpp-2026.10.11549/completion.json ids_no_bos": {hi, koala.EndToken, 17, 9},
	}
	fails := map[string]error{
		"llama-server-0c1e57098/errors.json context_overflow_ids":     koala.ErrContext,
		"llama-server-0c1e57098/stream.json sse_context_overflow":     koala.ErrContext,
		"vllm-0.32.0/errors.json context_overflow_ids":                koala.ErrContext,
		"vllm-0.32.0/errors.json context_overflow_string":             koala.ErrContext,
		"vllm-0.32.0/errors.json context_exact":                       koala.ErrContext,
		"ollama-0.17.4/errors.json context_overflow_truncate_false":   koala.ErrContext,
		"vllm-0.32.0/errors.json unknown_model":                       backend.ErrModel,
		"ollama-0.17.4/errors.json unknown_model":                     backend.ErrModel,
		"ollama-0.17.4/long_replies.json same_token_repeated":         backend.ErrBroken,
		"ollama-0.17.4/long_replies.json same_token_repeated_stream":  backend.ErrBroken,
		"ollama-0.17.4/mid_stream_error.json runner_dies_mid_stream":  backend.ErrBroken,
		"llama-cpp-python-0.3.36/stream.json sse_context_overflow":    backend.ErrBroken,
		"llama-server-0c1e57098/loading.json loading_completion":      backend.ErrOverloaded,
		"llama-server-0c1e57098/api_key.json wrong_key_completion":    backend.ErrRefused,
		"llama-cpp-python-0.3.36/errors.json context_overflow_string": backend.ErrServer,
	}
	numbers := map[string][2]int{
		"llama-server-0c1e57098/errors.json context_overflow_ids": {300, 256},
		"vllm-0.32.0/errors.json context_overflow_ids":            {200, 128},
	}
	recordings(t, func(t *testing.T, file string, k backend.Kind, c *recorded) {
		name := file + " " + c.Name
		w, pinned := wants[name]
		kind, fail := fails[name]
		if !pinned && !fail {
			return
		}
		delete(wants, name)
		delete(fails, name)
		url := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", c.Response.ContentType)
			w.WriteHeader(c.Response.Status)
			_, _ = w.Write([]byte(c.body()))
		})
		text, rep, err := ask(t, k, backend.Options{URL: url, Model: map[bool]string{true: "koala-loop"}[strings.Contains(name, "same_token")]})
		if fail {
			e := requireKind(t, err, kind)
			if n, has := numbers[name]; has {
				require.Equal(t, n, [2]int{e.Context.Prompt, e.Context.Context}, name)
			}
			return
		}
		require.NoError(t, err, name)
		require.Equal(t, w, want{text, rep.Finish, rep.PromptTokens, rep.ReplyTokens}, name)
	})
	require.Empty(t, wants, "recordings that are gone")
	require.Empty(t, fails, "recordings that are gone")
}

// TestSameIDs: what the clients send for the documented conversation is what was
// sent to the real servers, and those counted as many tokens, or EasyLM, which
// counts none, as many characters.
func TestSameIDs(t *testing.T) {
	counted := map[string]int{}
	recordings(t, func(t *testing.T, file string, k backend.Kind, c *recorded) {
		r, ok := reading(k, c)
		if !ok || r.prompt == 0 {
			return
		}
		var sent struct {
			Prompt json.RawMessage
			Raw    *bool
		}
		if c.Request.Body == nil {
			return // its JSON is wrong
		}
		require.NoError(t, json.Unmarshal(c.Request.Body, &sent))
		withBOS := request(t, &koala.Options{BOS: true}, documented...)
		text, err := withBOS.Text()
		require.NoError(t, err)
		asText, err := json.Marshal(text)
		require.NoError(t, err)
		asIDs, err := json.Marshal(withBOS.IDs)
		require.NoError(t, err)
		var ids []int32
		switch {
		case json.Unmarshal(sent.Prompt, &ids) == nil && len(ids) == len(withBOS.IDs):
			got, err := json.Marshal(ids)
			require.NoError(t, err)
			require.Equal(t, string(asIDs), string(got), file+c.Name)
		case sameJSON(sent.Prompt, asText) && (sent.Raw == nil || *sent.Raw) && !strings.Contains(file+c.Name, "new_engine") && !strings.Contains(c.Name, "no_special"):
		default:
			return
		}
		counted[file[:strings.Index(file, "/")]]++
		require.Equal(t, len(withBOS.IDs), r.prompt, file+" "+c.Name)
	})
	recordings(t, func(t *testing.T, file string, k backend.Kind, c *recorded) {
		if k == backend.EasyLM || k == backend.EasyLMChat {
			counted["easylm-fe5b2c3"] += easyLMCounts(t, file+" "+c.Name, k, c)
		}
	})
	t.Logf("counted by the servers: %v", counted)
	for folder := range recordedFolders {
		require.Positive(t, counted[folder], folder)
	}
}

// easyLMCounts compares a recorded request with what a chat of the same turns
// sends: the stand-in for EasyLM's model says how many characters it got. It
// gives 1 where the recording is of such a chat.
func easyLMCounts(t *testing.T, name string, k backend.Kind, c *recorded) int {
	said, ok := reading(k, c)
	var sent struct {
		Prompt, Context string
		Prefix          []string `json:"prefix_text"`
	}
	var n int
	if _, err := fmt.Sscanf(said.text, "reply to %d characters", &n); !ok || err != nil || json.Unmarshal(c.Request.Body, &sent) != nil {
		return 0
	}
	turns, size := documented[:1], 0
	switch {
	case k == backend.EasyLMChat && sent.Prompt == documented[0].Content && sent.Context == "":
		size = len(chatText(t, turns))
	case k == backend.EasyLMChat && sent.Prompt == documented[2].Content:
		turns = prompt.Conversation{documented[0], {Role: prompt.Assistant, Content: "reply to 44 characters"}, documented[2]}
		size = len(chatText(t, turns))
	case k == backend.EasyLM && len(sent.Prefix) == 1 && strings.HasPrefix(sent.Prefix[0], prompt.Header):
		text, err := request(t, nil, turns...).Text()
		require.NoError(t, err)
		size = len(text)
	default:
		return 0
	}
	require.Equal(t, n, size, name)
	var body map[string]json.RawMessage
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) { _ = json.NewDecoder(r.Body).Decode(&body) })
	_, _ = client(t, k, backend.Options{URL: url}).Complete(t.Context(), request(t, nil, turns...), io.Discard)
	var recorded map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(c.Request.Body, &recorded))
	for _, field := range []string{"prompt", "context", "prefix_text"} {
		if given := string(recorded[field]); given != "" && given != `""` {
			require.JSONEq(t, given, string(body[field]), name)
		}
	}
	return 1
}

// chatText is what EasyLM makes of a chat for its model.
func chatText(t *testing.T, c prompt.Conversation) string {
	text, err := prompt.EasyLM.Text(c, nil)
	require.NoError(t, err)
	return text
}

func sameJSON(a, b []byte) bool {
	var x, y string
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && x == y
}
