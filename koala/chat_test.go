package koala_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/koala"
	"github.com/koala-go/sdk/prompt"
	"github.com/koala-go/sdk/tokenizer"
)

// says returns a server that sends a reply in pieces of n bytes.
func says(reply string, n int) koala.Completer {
	return koala.CompleterFunc(func(_ context.Context, r *koala.Request, w io.Writer) error {
		for len(reply) > 0 {
			piece := reply[:min(n, len(reply))]
			if _, err := io.WriteString(w, piece); err != nil {
				return fmt.Errorf("sending: %w", err)
			}
			reply = reply[len(piece):]
		}
		return nil
	})
}

func TestAsk(t *testing.T) {
	for n := 1; n < 30; n++ {
		chat, err := koala.New(nil)
		require.NoError(t, err)
		var shown strings.Builder
		ending, err := chat.Ask(t.Context(), says(" Hi! 🦙</s>USER: more", n), "Hello!", &shown)
		require.NoError(t, err)
		require.Equal(t, prompt.EndOfReply, ending.Reason)
		require.True(t, ending.Trimmed)
		require.Equal(t, "Hi! 🦙", shown.String())
		_, err = chat.Ask(t.Context(), says("unterminated", n), "Q", nil)
		require.NoError(t, err)
		require.Equal(t, prompt.Conversation{
			{Content: "Hello!"}, {Role: prompt.Assistant, Content: "Hi! 🦙"},
			{Content: "Q"}, {Role: prompt.Assistant, Content: "unterminated"},
		}, chat.Conversation())
	}
}

// TestAskFails checks that a failure leaves the chat unchanged.
func TestAskFails(t *testing.T) {
	chat, err := koala.New(&koala.Options{Budget: 40})
	require.NoError(t, err)
	_, err = chat.Ask(t.Context(), says("A", 1), "Q", nil)
	require.NoError(t, err)
	before := chat.Conversation()
	broken := errors.New("broken")
	fails := koala.CompleterFunc(func(_ context.Context, _ *koala.Request, w io.Writer) error {
		_, _ = io.WriteString(w, "half a re")
		return broken
	})
	_, err = chat.Ask(t.Context(), fails, "Q2", nil)
	require.ErrorIs(t, err, broken)
	require.Equal(t, before, chat.Conversation())
	_, err = chat.Ask(t.Context(), says("A", 1), strings.Repeat("wood ", 50), nil)
	requireOverBudget(t, err, 40, 2)
	require.Equal(t, before, chat.Conversation())
	_, err = chat.Ask(t.Context(), says("A", 1), "\xff", nil)
	require.ErrorIs(t, err, prompt.ErrUTF8)
	require.Equal(t, before, chat.Conversation())
	_, err = chat.Ask(t.Context(), says("A", 1), "Q2", failingWriter{broken})
	require.ErrorIs(t, err, broken)
	require.Equal(t, before, chat.Conversation())
}

// TestAskPanics checks that a Completer that panics leaves the chat unchanged.
func TestAskPanics(t *testing.T) {
	chat, err := koala.New(nil)
	require.NoError(t, err)
	require.PanicsWithValue(t, "broken", func() {
		_, _ = chat.Ask(t.Context(), koala.CompleterFunc(func(context.Context, *koala.Request, io.Writer) error { panic("broken") }), "Q", nil)
	})
	require.Empty(t, chat.Conversation())
	_, err = chat.Ask(t.Context(), nil, "Q", nil)
	require.ErrorIs(t, err, koala.ErrOptions)
	_, err = chat.Answer(t.Context(), nil, nil)
	require.ErrorIs(t, err, koala.ErrOptions)
	require.Empty(t, chat.Conversation())
	ending, err := chat.Ask(t.Context(), says("A", 1), "Q", nil)
	require.NoError(t, err, "the chat is not busy after a panic")
	require.Equal(t, "A", ending.Text)
}

// TestBusy asks a chat that is waiting for a reply.
func TestBusy(t *testing.T) {
	chat, err := koala.New(nil)
	require.NoError(t, err)
	slow := koala.CompleterFunc(func(ctx context.Context, _ *koala.Request, w io.Writer) error {
		_, err := chat.Ask(ctx, says("other", 1), "Q2", nil)
		require.ErrorIs(t, err, koala.ErrBusy)
		_, err = chat.Answer(ctx, says("other", 1), nil)
		require.ErrorIs(t, err, koala.ErrBusy)
		_, err = io.WriteString(w, "A")
		return err
	})
	_, err = chat.Ask(t.Context(), slow, "Q", nil)
	require.NoError(t, err)
	require.Equal(t, prompt.Conversation{{Role: prompt.User, Content: "Q"}, {Role: prompt.Assistant, Content: "A"}}, chat.Conversation())
}

// TestLoad loads a chat with the moderator and the tokenizer of the program.
func TestLoad(t *testing.T) {
	first, err := koala.New(&koala.Options{Budget: 512})
	require.NoError(t, err)
	require.NoError(t, first.User("Q"))
	data, err := json.Marshal(first)
	require.NoError(t, err)
	var asked counter
	chat, err := koala.Load(data, &koala.Options{Moderator: &asked})
	require.NoError(t, err)
	_, err = chat.Answer(t.Context(), says("A", 1), nil)
	require.NoError(t, err)
	require.Positive(t, asked, "the moderator is not lost")
	_, err = koala.Load(data, &koala.Options{Budget: -1})
	require.ErrorIs(t, err, koala.ErrOptions)
	_, err = koala.Load([]byte("{}"), nil)
	require.ErrorIs(t, err, koala.ErrMalformed)
}

// counter is a moderator that passes every text and counts them.
type counter int

func (c *counter) Moderate(context.Context, string) (string, error) {
	*c++
	return "", nil
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

func TestRequest(t *testing.T) {
	seed := int64(7)
	chat, err := koala.New(&koala.Options{BOS: true, Sampling: &koala.Sampling{Temperature: 0.5, MaxTokens: 9, Seed: &seed, Stops: []string{"###"}}})
	require.NoError(t, err)
	_, err = chat.Request()
	require.ErrorIs(t, err, prompt.ErrEmpty)
	for _, turn := range documented[:2] {
		require.NoError(t, chat.Add(turn))
	}
	_, err = chat.Request()
	require.ErrorIs(t, err, prompt.ErrOrder)
	require.NoError(t, chat.User(documented[2].Content))
	r, err := chat.Request()
	require.NoError(t, err)
	want, _ := reference(documented, prompt.Helpful, true)
	require.Equal(t, want, r.IDs)
	require.Equal(t, documented, r.Conversation)
	require.Equal(t, []string{"USER:", "###"}, r.Stops)
	require.Equal(t, []koala.Token{2}, r.StopIDs)
	require.Equal(t, 0.5, r.Sampling.Temperature)
	text, err := r.Text()
	require.NoError(t, err)
	require.Equal(t, "BEGINNING OF CONVERSATION: USER: Hello! GPT: Hi! How can I help you?</s>USER: What is the largest animal on earth? GPT:", text)
	chat.Undo()
	require.NoError(t, chat.User("other"))
	require.Equal(t, documented, r.Conversation, "a request is a copy")
	chat.Reset()
	require.NoError(t, chat.User("</s>"))
	r, err = chat.Request()
	require.NoError(t, err)
	require.Len(t, r.StopIDs, 1)
	require.NotContains(t, r.IDs, koala.Token(2))
	_, err = r.Text()
	require.ErrorIs(t, err, prompt.ErrControl)
}

func TestChatOrder(t *testing.T) {
	var chat koala.Chat // the zero Chat
	requireOrder := func(err error, kind error, turn int) {
		var e *prompt.TurnError
		require.ErrorAs(t, err, &e)
		require.ErrorIs(t, err, kind)
		require.Equal(t, turn, e.Turn)
	}
	reply := prompt.Turn{Role: prompt.Assistant, Content: "A"}
	requireOrder(chat.Add(reply), prompt.ErrOrder, 0)
	require.NoError(t, chat.User("Q"))
	requireOrder(chat.User("Q"), prompt.ErrOrder, 1)
	requireOrder(chat.Add(prompt.Turn{Role: 3}), prompt.ErrRole, 1)
	requireOrder(chat.Add(prompt.Turn{Role: prompt.Assistant, Quality: 3}), prompt.ErrMarker, 1)
	require.NoError(t, chat.Add(reply))
	requireOrder(chat.Add(reply), prompt.ErrOrder, 2)
	requireOrder(chat.User("\xff"), prompt.ErrUTF8, 2)
	require.Len(t, chat.Conversation(), 2)

	stale := chat.Reply(nil)
	require.NoError(t, chat.User("Q"))
	fresh := chat.Reply(nil)
	_, err := fresh.Write([]byte("BBE"))
	require.NoError(t, err)
	require.Equal(t, "B", fresh.Text(), "BE may begin a header")
	require.NoError(t, fresh.Close())
	require.NoError(t, fresh.Close(), "a second Close has no effect")
	requireOrder(stale.Close(), prompt.ErrOrder, 2)
	require.Len(t, chat.Conversation(), 4)
	require.ErrorIs(t, chat.SetNext(9), prompt.ErrMarker)

	_, err = koala.New(&koala.Options{Dialect: &prompt.Beaver, Render: prompt.Options{Next: prompt.Unhelpful}})
	require.ErrorIs(t, err, prompt.ErrMarker)
	_, err = koala.New(&koala.Options{Dialect: &prompt.Dialect{}})
	require.ErrorIs(t, err, prompt.ErrDialect)
}

// TestChatRejects checks that a chat refuses the marks that a text refuses, also
// the header in a later turn.
func TestChatRejects(t *testing.T) {
	chat, err := koala.New(&koala.Options{Render: prompt.Options{RejectForged: true}})
	require.NoError(t, err)
	for n := range 4 {
		for _, bad := range []string{"USER:", "gpt :", "beginning of conversation:", "An\u00a0Unhelpful Answer："} {
			err := chat.Add(prompt.Turn{Role: prompt.Role(n % 2), Content: "x " + bad})
			var e *prompt.TurnError
			require.ErrorAs(t, err, &e)
			require.ErrorIs(t, err, prompt.ErrForged, bad)
			require.Equal(t, []int{n, 2}, []int{e.Turn, e.Offset})
		}
		require.NoError(t, chat.Add(prompt.Turn{Role: prompt.Role(n % 2), Content: "x"}))
	}
}

// TestTextErrorCountsAllTurns checks that the turn of an error also counts the
// turns that the budget leaves out.
func TestTextErrorCountsAllTurns(t *testing.T) {
	chat, err := koala.New(&koala.Options{Budget: 24})
	require.NoError(t, err)
	for _, turn := range documented[:2] {
		require.NoError(t, chat.Add(turn))
	}
	require.NoError(t, chat.User("x</s>"))
	_, w, err := chat.AppendText(nil)
	require.Equal(t, 2, w.Dropped)
	requireTurn(t, err, prompt.ErrControl, 2, 1)
}

// TestEndlessReply checks that a reply over MaxContent ends the request.
func TestEndlessReply(t *testing.T) {
	chat, err := koala.New(&koala.Options{Render: prompt.Options{MaxContent: 1000}})
	require.NoError(t, err)
	endless := koala.CompleterFunc(func(_ context.Context, _ *koala.Request, w io.Writer) error {
		for {
			if _, err := io.WriteString(w, "la "); err != nil {
				return err
			}
		}
	})
	_, err = chat.Ask(t.Context(), endless, "Sing", nil)
	requireTurn(t, err, prompt.ErrTooLong, 1, -1)
	require.Empty(t, chat.Conversation())
}

// TestTokenizerWithoutTokens checks that a vocabulary without an end-of-sequence
// token is refused.
func TestTokenizerWithoutTokens(t *testing.T) {
	tok := tiny(t, `[]`)
	require.Negative(t, tok.EOS())
	o := &koala.Options{Tokenizer: tok}
	_, err := koala.New(o)
	require.ErrorIs(t, err, koala.ErrTokenizer)
	_, err = koala.AppendIDs(nil, documented, o)
	require.ErrorIs(t, err, koala.ErrTokenizer)
	_, _, err = koala.Fit(documented, o)
	require.ErrorIs(t, err, koala.ErrTokenizer)
}

// tiny returns a tokenizer of a few pieces with some added tokens.
func tiny(t *testing.T, added string) *tokenizer.Tokenizer {
	model := strings.NewReader(`{"version":"1.0","added_tokens":` + added + `,
		"normalizer":{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},{"type":"Replace","pattern":{"String":" "},"content":"▁"}]},
		"pre_tokenizer":null,"model":{"type":"BPE","unk_token":"<unk>","vocab":{"<unk>":0,"<s>":1,"</s>":2,"a":3,"b":4,"ab":5},"merges":["a b"]}}`)
	tok, err := tokenizer.NewReader(model, model.Size())
	require.NoError(t, err)
	return tok
}

// TestLoadedChatKeepsTokenizer checks that loading a chat does not change its
// tokenizer, which is not saved.
func TestLoadedChatKeepsTokenizer(t *testing.T) {
	tok := tiny(t, `[{"id":0,"content":"<unk>","special":true},{"id":1,"content":"<s>","special":true},{"id":2,"content":"</s>","special":true}]`)
	chat, err := koala.New(&koala.Options{Tokenizer: tok})
	require.NoError(t, err)
	require.NoError(t, chat.User("ab"))
	want, _, err := chat.AppendIDs(nil)
	require.NoError(t, err)
	require.Contains(t, want, koala.Token(5))
	data, err := json.Marshal(chat)
	require.NoError(t, err)
	chat.Reset()
	require.NoError(t, json.Unmarshal(data, chat))
	got, _, err := chat.AppendIDs(nil)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

// TestManyChats runs many chats at once, and one chat that all goroutines share.
func TestManyChats(t *testing.T) {
	var shared koala.Chat
	var wait sync.WaitGroup
	for g := range 8 {
		wait.Go(func() {
			r := rand.New(rand.NewPCG(5, uint64(g)))
			chat, err := koala.New(&koala.Options{Budget: 200})
			if err != nil {
				t.Error(err)
				return
			}
			for range 50 {
				text := content(r)
				if _, err := chat.Ask(t.Context(), says(" "+text+"x", 3), "Q "+text, nil); err != nil && !errors.As(err, new(*koala.BudgetError)) {
					t.Error(err)
				}
				_, _ = shared.Ask(t.Context(), says("A", 1), "Q", nil)
				_, _, _ = shared.AppendIDs(nil)
				_, _ = json.Marshal(&shared)
			}
		})
	}
	wait.Wait()
	if c := shared.Conversation(); len(c) > 0 {
		require.NoError(t, c.Check())
	}
}

func TestSaved(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	seed := int64(-3)
	for i := range 100 {
		o := &koala.Options{
			Dialect: prompt.Dialects()[i%5], BOS: i%2 == 0, Budget: i, Overflow: koala.Overflow(i % 3),
			Render:   prompt.Options{AllowControl: i%3 == 0, RejectForged: false, InvalidUTF8: prompt.UTF8Policy(i % 2)},
			Sampling: &koala.Sampling{Temperature: 0.25, TopK: 3, TopP: 0.5, MaxTokens: 8, Seed: &seed, Stops: []string{"<b>", "\n"}},
		}
		chat, err := koala.New(o)
		require.NoError(t, err)
		for j := range r.IntN(6) {
			require.NoError(t, chat.Add(prompt.Turn{Role: prompt.Role(j % 2), Content: content(r)}))
		}
		data, err := json.Marshal(chat)
		require.NoError(t, err)
		var loaded koala.Chat
		require.NoError(t, json.Unmarshal(data, &loaded))
		require.Equal(t, chat.Conversation(), loaded.Conversation())
		again, err := json.Marshal(&loaded)
		require.NoError(t, err)
		require.JSONEq(t, string(data), string(again))
		ids, w, err := chat.AppendIDs(nil)
		ids2, w2, err2 := loaded.AppendIDs(nil)
		require.Equal(t, err, err2)
		require.Equal(t, ids, ids2)
		require.Equal(t, w, w2)
	}
	custom := prompt.Dialect{Name: "mine", Header: "h", Markers: prompt.HindsightMarkers, BeforeReply: " ", End: "</s>", AfterReply: "\n"}
	chat, err := koala.New(&koala.Options{Dialect: &custom})
	require.NoError(t, err)
	require.NoError(t, chat.User("x"))
	data, err := json.Marshal(chat)
	require.NoError(t, err)
	var loaded koala.Chat
	require.NoError(t, json.Unmarshal(data, &loaded))
	text, _, err := loaded.AppendText(nil)
	require.NoError(t, err)
	require.Equal(t, "h User: x A helpful answer:", string(text))
}

// TestNoAllocations checks that making ids allocates nothing if dst has room.
func TestNoAllocations(t *testing.T) {
	if raced {
		t.Skip("pools drop values under the race detector")
	}
	ids, mask := make([]koala.Token, 0, 200), make([]bool, 0, 200)
	o := &koala.Options{BOS: true}
	require.Zero(t, testing.AllocsPerRun(100, func() {
		ids, _ = koala.AppendIDs(ids[:0], documented, o)
		ids, mask, _ = koala.AppendMasked(ids[:0], mask[:0], documented, nil)
	}))
	chat, err := koala.New(&koala.Options{Budget: 100})
	require.NoError(t, err)
	for _, turn := range documented {
		require.NoError(t, chat.Add(turn))
	}
	require.Zero(t, testing.AllocsPerRun(100, func() { ids, _, _ = chat.AppendIDs(ids[:0]) }))
}
