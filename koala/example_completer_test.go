package koala_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/koala-go/sdk/koala"
	"github.com/koala-go/sdk/prompt"
)

// parrot is a Completer that repeats the query. A real one sends r.IDs, or the
// text of r.Text, to a model and copies the output to w.
type parrot struct{}

func (parrot) Complete(ctx context.Context, r *koala.Request, w io.Writer) (koala.Report, error) {
	report := koala.Report{Model: "parrot", PromptTokens: len(r.IDs), Tries: 1}
	query := r.Conversation[len(r.Conversation)-1].Content
	for word := range strings.FieldsSeq(query) {
		if err := ctx.Err(); err != nil {
			return report, err
		}
		if _, err := io.WriteString(w, " "+word); err != nil {
			return report, err
		}
		report.ReplyTokens++
	}
	report.Finish = koala.EndToken
	return report, nil
}

// A chat with a model of your own needs one method.
func ExampleCompleter() {
	chat, err := koala.New(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	ending, err := chat.Ask(context.Background(), parrot{}, "Hello, Koala!", os.Stdout)
	fmt.Println()
	fmt.Println(ending.Report.Model, ending.Report.PromptTokens, ending.Report.Finish, err)
	// Output:
	// Hello, Koala!
	// parrot 20 end token <nil>
}

// Undo and Answer ask for another reply to the last query.
func ExampleChat_Answer() {
	chat, _ := koala.New(nil)
	_, _ = chat.Ask(context.Background(), parrot{}, "Hello!", io.Discard)
	chat.Undo()
	sampling := chat.Sampling()
	sampling.Temperature = 0.5
	chat.SetSampling(sampling)
	_, err := chat.Answer(context.Background(), parrot{}, os.Stdout)
	fmt.Println()
	fmt.Println(len(chat.Conversation()), err)
	// Output:
	// Hello!
	// 2 <nil>
}

// noShouting is a Moderator that flags texts in upper case.
type noShouting struct{}

func (noShouting) Moderate(_ context.Context, text string) (string, error) {
	if text == strings.ToUpper(text) {
		return "shouting", nil
	}
	return "", nil
}

// A moderator withholds queries and replies.
func ExampleModerator() {
	chat, _ := koala.New(&koala.Options{Moderator: noShouting{}})
	_, err := chat.Ask(context.Background(), parrot{}, "HELLO!", io.Discard)
	fmt.Println(err, errors.Is(err, koala.ErrFlagged), len(chat.Conversation()))
	// Output: withheld by the moderator: the query (shouting): ask for something else true 0
}

// Options that cannot be used are errors of the kind ErrOptions.
func ExampleNew_badOptions() {
	_, err := koala.New(&koala.Options{
		Dialect: &prompt.Beaver,
		Render:  prompt.Options{Next: prompt.Unhelpful},
	})
	fmt.Println(err)
	fmt.Println(errors.Is(err, koala.ErrOptions))
	// Output:
	// option Next: dialect "beaver" has no marker for replies of quality unhelpful: use a quality that the dialect has a marker for
	// true
}
