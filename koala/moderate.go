package koala

import (
	"bytes"
	"context"
	"fmt"

	"github.com/koala-go/sdk/prompt"
)

// Moderator decides which texts pass. Package backend has a client of OpenAI's
// moderation interface and a list of words.
//
// A chat asks the moderator about each query before it sends the request. It asks
// about a reply after every Options.ModerateStep bytes, at a space if there is
// one, and at the end, each time with the whole reply so far. If the moderator
// flags the reply, the chat withholds the last step and all that follows. A step
// is written only after the next one has passed, so that no flagged text shorter
// than a step is written in part.
type Moderator interface {
	// Moderate returns the reason for withholding a text, or "" if it passes.
	// A text is also withheld if Moderate returns an error.
	Moderate(ctx context.Context, text string) (reason string, err error)
}

// Moderators is a Moderator that asks each of its elements in order until one
// flags the text.
type Moderators []Moderator

// Moderate returns the first reason or error.
func (all Moderators) Moderate(ctx context.Context, text string) (string, error) {
	for _, m := range all {
		if reason, err := m.Moderate(ctx, text); reason != "" || err != nil {
			return reason, err
		}
	}
	return "", nil
}

// Moderate asks the chat's moderator about a text of the user or a reply, as Ask
// does. The error is a *FlaggedError, or wraps the error of the moderator.
func (c *Chat) Moderate(ctx context.Context, role prompt.Role, text string) error {
	c.lock()
	m := c.s.Moderator
	c.mu.Unlock()
	if m == nil {
		return nil
	}
	reason, err := m.Moderate(ctx, text)
	switch {
	case err != nil:
		return fmt.Errorf("asking the moderator: %w", err)
	case reason != "":
		return &FlaggedError{role, reason}
	}
	return nil
}

// defaultModerateStep is the default of Options.ModerateStep in bytes: a sentence
// or two.
const defaultModerateStep = 256

// maxWord is the number of bytes by which a step may grow until it ends at a
// space, so that no word is checked in part.
const maxWord = 64

// gate passes a reply through the moderator in steps.
type gate struct {
	step    int // bytes of a step; negative for the whole reply
	checked int // bytes of the reply that the moderator has passed
	shown   int // bytes of the reply that may be written
}

// open asks the moderator about text, the reply so far, if the new part of it is
// a step or last is set. It then permits writing the steps before the new one.
func (g *gate) open(ctx context.Context, c *Chat, text []byte, last bool) error {
	end := len(text)
	if !last {
		if g.step < 0 || end-g.checked < g.step {
			return nil
		}
		space := bytes.LastIndexAny(text[g.checked:], " \n\t")
		switch {
		case space > 0:
			end = g.checked + space
		case end-g.checked < g.step+maxWord:
			return nil
		}
	}
	if err := c.Moderate(ctx, prompt.Assistant, string(text[:end])); err != nil {
		return err
	}
	g.shown, g.checked = g.checked, end
	if last {
		g.shown = end
	}
	return nil
}
