package backend

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/koala"
)

// The toy backend shows all that a new kind of server takes: the protocol in
// this file and the row in TestToyBackend, which would be in kinds.

const toyKind Kind = "toy"

var toy = protocol{path: "/toy", events: newNDJSON, body: toyBody, take: toyTake}

type toyRequest struct {
	Text any `json:"text"`
}

func toyBody(o *Options, r *koala.Request) (any, error) {
	input, err := promptOf(o, r)
	return toyRequest{input}, err
}

func toyTake(event []byte, rep *koala.Report) (streamText, bool, error) {
	if string(event) == `"end"` {
		rep.Finish = koala.EndToken
		return "", true, nil
	}
	return streamText(strings.Trim(string(event), `"`)), false, nil
}

func TestToyBackend(t *testing.T) {
	before := kinds
	t.Cleanup(func() { kinds = before })
	kinds = append(kinds[:len(kinds):len(kinds)], kindRow{toyKind, "http://localhost:1", false, true, &toy})

	var body string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		body = r.URL.Path + " " + strings.TrimSpace(string(b))
		_, _ = io.WriteString(w, "\" Hi\"\n\"!\"\n\"end\"\n")
	}))
	defer server.Close()
	require.Contains(t, Kinds(), toyKind)
	require.False(t, toyKind.TakesIDs())
	require.Equal(t, "http://localhost:1", toyKind.DefaultURL())
	_, err := New(toyKind, &Options{URL: server.URL})
	require.ErrorIs(t, err, koala.ErrOptions, "its row says that it needs a model")

	client, err := New(toyKind, &Options{URL: server.URL, Model: "m"})
	require.NoError(t, err)
	chat, err := koala.New(nil)
	require.NoError(t, err)
	var reply strings.Builder
	ending, err := chat.Ask(t.Context(), client, "Hello!", &reply)
	require.NoError(t, err)
	require.Equal(t, "Hi!", reply.String())
	require.Equal(t, koala.EndToken, ending.Report.Finish)
	require.Equal(t, `/toy {"text":"BEGINNING OF CONVERSATION: USER: Hello! GPT:"}`, body)
}
