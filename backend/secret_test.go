package backend_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/backend"
)

const key = "sk-very-secret-1234"

// TestSecrets checks that no way of printing shows the key.
func TestSecrets(t *testing.T) {
	o := backend.Options{URL: "http://localhost:1", Key: key}
	c, err := backend.New(backend.LlamaCPP, &o)
	require.NoError(t, err)
	m, err := backend.NewModeration(&o)
	require.NoError(t, err)
	asJSON, err := json.Marshal(o)
	require.NoError(t, err)
	for _, printed := range []string{
		fmt.Sprintf("%v %+v %#v %s %q", o, o, o, o.Key, o.Key), string(asJSON),
		fmt.Sprintf("%v %+v %#v", c, c, *c), fmt.Sprintf("%v %+v %#v", m, m, *m),
		o.Key.String(), fmt.Sprint(slog.AnyValue(o.Key), slog.AnyValue(o)), wrongVerbs(o, o.Key),
	} {
		require.NotContains(t, printed, key)
		require.NotContains(t, strings.ToLower(printed), hex.EncodeToString([]byte(key)))
	}
	// A server that quotes the key, in whatever form, does not reveal it either.
	for _, words := range []string{key, "Bearer " + key, key[:5] + "\x00" + key[5:], key[:5] + "\u200b" + key[5:], strings.Repeat("\x01", 4795) + key} {
		url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, words)
		})
		_, _, err = ask(t, backend.LlamaCPP, backend.Options{URL: url, Key: key})
		requireKind(t, err, backend.ErrRefused)
		require.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, err), key)
		require.Contains(t, err.Error(), "[secret]")
	}
	seen := ""
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) { seen = r.Header.Get("Authorization") })
	_, _, err = ask(t, backend.LlamaCPP, backend.Options{URL: url, Key: key})
	require.Error(t, err)
	require.Equal(t, "Bearer "+key, seen)
}

// wrongVerbs prints values with verbs that do not fit them. It leaves out %p, for
// which fmt calls no method.
func wrongVerbs(values ...any) string {
	var b strings.Builder
	for _, verb := range []string{"%d", "%x", "%X", "%z", "%U", "%08.3f"} {
		for _, v := range values {
			fmt.Fprintf(&b, verb, v)
		}
	}
	return b.String()
}
