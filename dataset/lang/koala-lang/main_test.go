package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/dataset/lang"
)

// TestAnswer checks the answers and the errors.
func TestAnswer(t *testing.T) {
	texts := "\"What is the weather like in the north of the country today?\"\n\"Wie ist heute das Wetter im Norden des Landes?\"\n\"\""
	var out strings.Builder
	require.NoError(t, answer(strings.NewReader(texts), &out, &lang.Options{}))
	require.Equal(t, "true\nfalse\ntrue\n", out.String())
	require.ErrorContains(t, answer(strings.NewReader("x\n"), &out, &lang.Options{}), "not a JSON string")
	require.ErrorContains(t, answer(nil, nil, &lang.Options{Languages: []string{"xx"}}), "unknown language")
	require.Error(t, answer(strings.NewReader("\"a\"\n"), broken{}, &lang.Options{}))
}

// broken is a writer that always fails.
type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("broken") }
