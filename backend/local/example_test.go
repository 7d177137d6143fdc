package local_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/koala-go/sdk/backend/local"
	"github.com/koala-go/sdk/koala"
	"github.com/koala-go/sdk/modeltest"
)

// Chat without a server. Open reads a checkpoint from files; this model is a tiny one
// that is made in memory.
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

// Open a checkpoint from a file, here a GGUF file of the same tiny model.
func ExampleOpen() {
	file, err := modeltest.ScriptedGGUF()
	if err != nil {
		panic(err)
	}
	dir, err := os.MkdirTemp("", "koala")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "tiny.gguf")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		panic(err)
	}
	model, err := local.Open(context.Background(), path, &local.Options{Context: 64, Workers: 1})
	if err != nil {
		panic(err)
	}
	chat, err := koala.New(&koala.Options{Sampling: &koala.Sampling{TopP: 1, MaxTokens: 3}})
	if err != nil {
		panic(err)
	}
	ending, err := chat.Ask(context.Background(), model, "Hi!", os.Stdout)
	fmt.Println()
	fmt.Println(ending.Report.Finish, err)
	// Output:
	// Hello! This
	// limit <nil>
}
