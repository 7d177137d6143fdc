package local_test

import (
	"context"
	"fmt"
	"os"

	"github.com/koala-go/sdk/backend/local"
	"github.com/koala-go/sdk/koala"
	"github.com/koala-go/sdk/modeltest"
)

// A chat with no server. Open reads a checkpoint from files; the model here is
// a tiny one that is made in memory.
func Example() {
	ctx := context.Background()
	checkpoint, err := modeltest.Scripted()
	if err != nil {
		panic(err)
	}
	model, err := local.New(ctx, checkpoint, nil)
	if err != nil {
		panic(err)
	}
	chat, err := koala.New(nil)
	if err != nil {
		panic(err)
	}
	ending, err := chat.Ask(ctx, model, "Hi!", os.Stdout)
	if err != nil {
		panic(err)
	}
	fmt.Printf("\n%d tokens, %s\n", ending.Report.ReplyTokens, ending.Reason)
	// Output:
	// Hello! This is a tiny model. How can I help you?
	// 15 tokens, stream end
}
