package koala_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/fixture"
	"github.com/koala-go/sdk/koala"
	"github.com/koala-go/sdk/prompt"
)

var documented = prompt.Conversation{
	{Content: "Hello!"},
	{Role: prompt.Assistant, Content: "Hi! How can I help you?"},
	{Content: "What is the largest animal on earth?"},
}

func TestVectors(t *testing.T) {
	var v struct {
		P1  []koala.Token `json:"p1_ids"`
		All []koala.Token `json:"segments_encoded_separately_as_in_training"`
	}
	fixture.JSON(t, &v, "vectors", "koala.json")
	ids, err := koala.AppendIDs(nil, documented[:1], nil)
	require.NoError(t, err)
	require.Equal(t, v.P1, ids)
	ids, err = koala.AppendIDs(nil, documented, &koala.Options{BOS: true})
	require.NoError(t, err)
	require.Equal(t, v.All, ids)
	ids, err = koala.AppendIDs(nil, documented, nil)
	require.NoError(t, err)
	require.Equal(t, v.All[1:], ids)
}
