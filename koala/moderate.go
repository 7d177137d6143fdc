package koala

import (
	"bytes"
	"context"
	"fmt"

	"github.com/koala-go/sdk/prompt"
)

// Moderator decides which texts are let through. Package backend has one for
// OpenAI's interface and one with a list of words. A chat calls it with each
// query before the request, and with each reply as far as it has come: every
// ModerateStep bytes, at a space where there is one, and at the end. What it
// flags is withheld: the part of the reply that holds it and all that follows.
// Of a reply only that is shown after which another step has been let through,
// so nothing that is shorter than a step is shown in part.
type Moderator interface {
	// Moderate gives the reason for which a text is withheld, or "". With an
	// error the text is withheld too.
	Moderate(ctx context.Context, text string) (reason string, err error)
}

// Moderators ask one after the other, until one flags the text.
type Moderators []Moderator

// Moderate is the first reason or error.
func (all Moderators) Moderate(ctx context.Context, text string) (string, error) {
	for _, m := range all {
		if reason, err := m.Moderate(ctx, text); reason != "" || err != nil {
			return reason, err
		}
	}
	return "", nil
}

// Moderate asks the chat's moderator about a text of the user's or of a reply,
// as Ask does. The error is a *FlaggedError, or that of the moderator.
func (c *Chat) Moderate(ctx context.Context, role prompt.Role, text string) error {
	c.lock()
	m := c.m.Moderator
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

// defaultModerateStep is enough for a sentence or two.
const defaultModerateStep = 256

// longWord is how many bytes more are awaited for a space, so that no word is
// checked in part.
const longWord = 64

// gate lets a reply through in steps.
type gate struct {
	step    int // negative: the whole
	checked int // bytes that the moderator has seen and let through
	shown   int // bytes that may be shown
}

// open asks the moderator about what is new of a reply, if that is enough or
// the last. What it lets through may be shown when the next step is too.
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
		case end-g.checked < g.step+longWord:
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
