// Package dialogue holds a conversation in Koala's format, as tokens. A model
// that knows the format and the language finds it likely, which package forward
// measures.
package dialogue

import (
	"fmt"

	"github.com/koala-go/sdk/prompt"
	"github.com/koala-go/sdk/tokenizer"
)

// conversation was written for this package. It is in the format that Koala was
// trained on.
var conversation = prompt.Conversation{
	{Role: prompt.User, Content: "What is the capital of France, and what is it known for?"},
	{Role: prompt.Assistant, Content: "The capital of France is Paris. It is known for the Eiffel Tower, the Louvre museum, and its food and fashion."},
	{Role: prompt.User, Content: "How many days does it take to see the most important places?"},
	{Role: prompt.Assistant, Content: "Three days are enough for the most important places. On the first day you could visit the Louvre and walk along the river Seine. On the second day you could see the Eiffel Tower and the Arc de Triomphe. On the third day you could take a train to the Palace of Versailles."},
	{Role: prompt.User, Content: "Thank you! Please write a short poem about the city."},
	{Role: prompt.Assistant, Content: "The river runs through streets of light,\nThe tower shines against the night,\nAnd in the morning, warm and sweet,\nThe smell of bread is in the street."},
}

// VocabularyError reports that a model's vocabulary is too small to be LLaMA's,
// which the tokens of the dialogue are of.
type VocabularyError struct{ Want, Have int }

// Error returns a message of the form "what: where: what to do".
func (e *VocabularyError) Error() string {
	return fmt.Sprintf("the dialogue is of LLaMA's %d tokens: the model has %d: give tokens of your own", e.Want, e.Have)
}

// Tokens returns the dialogue for a model of the given vocabulary size: the
// tokens and, for each token, whether it belongs to a reply. The error is a
// *VocabularyError.
func Tokens(vocab int) (tokens []int32, inReply []bool, err error) {
	t := tokenizer.Default()
	if vocab < t.Len() {
		return nil, nil, &VocabularyError{t.Len(), vocab}
	}
	segments, err := prompt.FastChat.AppendSegments(nil, conversation, nil)
	if err != nil {
		return nil, nil, err
	}
	// Segments are tokenized one by one, as in the training: a token never
	// spans the end of a segment.
	tokens, inReply = []int32{t.BOS()}, []bool{false}
	for _, s := range segments {
		if s.Control() {
			tokens = append(tokens, t.EOS())
		} else {
			tokens = t.AppendEncode(tokens, s.Text(), nil)
		}
		for len(inReply) < len(tokens) {
			inReply = append(inReply, s.Loss())
		}
	}
	return tokens, inReply, nil
}
