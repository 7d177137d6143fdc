package backend_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/backend"
	"github.com/koala-go/sdk/koala"
	"github.com/koala-go/sdk/prompt"
)

// TestSameIDs checks that the clients send the same prompt for the documented
// conversation as was sent to the real servers, and that these counted as many
// tokens, or as many characters in the case of EasyLM.
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
			return // the recording of invalid JSON
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

// easyLMCounts compares a recorded request with the request of a chat with the
// same turns. The model behind the recorded EasyLM replied with the number of
// characters that it got. easyLMCounts returns 1 if it compared the recording, and
// otherwise 0.
func easyLMCounts(t *testing.T, name string, k backend.Kind, c *recorded) int {
	recordedReply, ok := reading(k, c)
	var sent struct {
		Prompt, Context string
		Prefix          []string `json:"prefix_text"`
	}
	var n int
	if _, err := fmt.Sscanf(recordedReply.text, "reply to %d characters", &n); !ok || err != nil || json.Unmarshal(c.Request.Body, &sent) != nil {
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
	var want map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(c.Request.Body, &want))
	for _, field := range []string{"prompt", "context", "prefix_text"} {
		if value := string(want[field]); value != "" && value != `""` {
			require.JSONEq(t, value, string(body[field]), name)
		}
	}
	return 1
}

// chatText returns the text that EasyLM makes of a chat.
func chatText(t *testing.T, c prompt.Conversation) string {
	text, err := prompt.EasyLM.Text(c, nil)
	require.NoError(t, err)
	return text
}

func sameJSON(a, b []byte) bool {
	var x, y string
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && x == y
}
