package modeltest_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/koala-go/sdk/backend/local"
	"github.com/koala-go/sdk/koala"
	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/weights"
)

// Write the same model in two formats and compare a weight.
func ExampleModel_Write() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	m := modeltest.Tiny
	query := weights.Param{Layer: 1, Role: weights.Q}
	for _, format := range []weights.Format{weights.FormatSafetensors, weights.FormatEasyLM} {
		path := filepath.Join(dir, string(format))
		if err := m.Write(path, &modeltest.Options{Format: format, Values: m.Base}); err != nil {
			log.Fatal(err)
		}
		c, err := weights.Open(context.Background(), path, &weights.OpenOptions{Heads: m.Heads})
		if err != nil {
			log.Fatal(err)
		}
		v, err := c.View(query, weights.Meta)
		if err != nil {
			log.Fatal(err)
		}
		row := make([]byte, v.RowBytes())
		if err := v.ReadRows(row, 5, 1, nil); err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s %#04x, want %#04x\n", format, uint16(row[0])|uint16(row[1])<<8, m.Base(query, 5, 0))
		c.Close()
	}
	// Output:
	// safetensors 0x20d9, want 0x20d9
	// easylm 0x20d9, want 0x20d9
}

// Chat with a model that is made in memory.
func ExampleScripted() {
	checkpoint, err := modeltest.Scripted()
	if err != nil {
		log.Fatal(err)
	}
	defer checkpoint.Close()
	ctx := context.Background()
	server, err := local.New(ctx, checkpoint, nil)
	if err != nil {
		log.Fatal(err)
	}
	chat, err := koala.New(nil)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := chat.Ask(ctx, server, "Hi", os.Stdout); err != nil {
		log.Fatal(err)
	}
	// Output:
	// Hello! This is a tiny model. How can I help you?
}
