package chatbot

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/koala-go/sdk/backend"
	"github.com/koala-go/sdk/backend/local"
	"github.com/koala-go/sdk/koala"
)

// completer returns the model that --backend names. This is the only place where a model is
// chosen.
func (f *flags) completer(ctx context.Context, key backend.Secret) (koala.Completer, error) {
	switch f.backend {
	case "echo":
		return echo, nil
	case "local":
		return local.Open(ctx, f.model, &local.Options{Context: f.context})
	}
	kind := backend.Kind(f.backend)
	if f.url == "" {
		f.url = kind.DefaultURL()
	}
	return backend.New(kind, &backend.Options{URL: f.url, Model: f.modelName, Key: key, Text: f.text, Context: f.context})
}

// echo repeats the query, word by word.
var echo = koala.CompleterFunc(func(ctx context.Context, r *koala.Request, w io.Writer) error {
	last := r.Conversation[len(r.Conversation)-1].Content
	for _, word := range strings.SplitAfter(" You said: "+last, " ") {
		if _, err := io.WriteString(w, word); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
})
