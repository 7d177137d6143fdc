package chatbot

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/koala-go/sdk/backend"
	"github.com/koala-go/sdk/koala"
	"github.com/koala-go/sdk/prompt"
)

// handler handles one message.
type handler struct {
	*Bot
	name   string // the name of the chat
	m      Message
	poster Poster
	chat   *koala.Chat
	last   string // the id of the last message of the chat
}

// reply handles a message and shows an error to the person.
func (b *Bot) reply(ctx context.Context, name string, m Message, poster Poster) {
	h := &handler{Bot: b, name: name, m: m, poster: poster}
	if err := h.handle(ctx); err != nil {
		b.o.Log.Warn("no reply", "chat", name, "error", err)
		b.say(poster, apology(err))
	}
}

func (h *handler) handle(ctx context.Context) error {
	if err := h.load(ctx); err != nil {
		return err
	}
	open := h.chat.Conversation().Open()
	again := h.m.ID == h.last && h.last != ""
	switch name := command(h.m.Text); {
	case again && open: // a kill came between the query and its reply
		return h.answer(ctx, nil)
	case again:
		return nil
	case name == "help" || name == "start":
		h.say(h.poster, help)
		return nil
	case name == "reset":
		h.chat.Reset()
		if err := h.save(ctx); err != nil {
			return err
		}
		h.say(h.poster, forgotten)
		return nil
	case name == "retry":
		return h.retry(ctx)
	}
	return h.ask(ctx)
}

// command returns the name of a command, or "" for any other text. A command begins with
// / or !, and on Telegram the name of the bot may follow it after @.
func command(text string) string {
	text = strings.ToLower(strings.TrimSpace(text))
	if !strings.HasPrefix(text, "/") && !strings.HasPrefix(text, "!") {
		return ""
	}
	name, _, _ := strings.Cut(text[1:], "@")
	return name
}

// load loads the chat. Its options are those of the bot, not the saved ones.
func (h *handler) load(ctx context.Context) error {
	saved, last, err := h.o.Store.Load(ctx, h.name)
	if err != nil {
		return err
	}
	h.last = last
	h.chat, err = koala.New(&h.o.Chat)
	if err != nil || saved == nil {
		return err
	}
	var before koala.Chat
	if err := json.Unmarshal(saved, &before); err != nil {
		return err
	}
	for _, turn := range before.Conversation() {
		if err := h.chat.Add(turn); err != nil {
			return err
		}
	}
	return nil
}

// save saves the chat, even if the bot is being stopped.
func (h *handler) save(ctx context.Context) error {
	data, err := json.Marshal(h.chat)
	if err != nil {
		return err
	}
	return h.o.Store.Save(context.WithoutCancel(ctx), h.name, data, h.m.ID)
}

// ask adds a query and replies to it. It saves the query before the reply starts, so that
// a kill loses at most the reply.
func (h *handler) ask(ctx context.Context) error {
	if h.chat.Conversation().Open() {
		h.chat.Undo() // the last query never got a reply
	}
	if err := h.chat.Moderate(ctx, prompt.User, h.m.Text); err != nil {
		return err
	}
	if err := h.chat.User(h.m.Text); err != nil {
		return err
	}
	if err := h.save(ctx); err != nil {
		return err
	}
	return h.answer(ctx, nil)
}

// retry replies to the last query once more.
func (h *handler) retry(ctx context.Context) error {
	turns := h.chat.Conversation()
	switch {
	case len(turns) == 0:
		h.say(h.poster, nothingToRetry)
		return nil
	case turns.Open():
		return h.answer(ctx, nil)
	}
	h.chat.Undo()
	return h.answer(ctx, &turns[len(turns)-1])
}

// answer shows the reply to the last query while it arrives, and saves it. If that fails,
// the old reply stays.
func (h *handler) answer(ctx context.Context, old *prompt.Turn) error {
	start := time.Now()
	s := newStream(h.shown, h.poster, &h.o.Style)
	ending, err := h.chat.Answer(ctx, h.o.Model, s)
	if err != nil && old != nil {
		err = errors.Join(err, h.chat.Add(*old))
	}
	note := noteFor(ending, err, s.String())
	if err == nil {
		err = h.save(ctx)
	}
	log := h.o.Log.With("chat", h.name, "seconds", time.Since(start).Seconds())
	if err != nil {
		log.Warn("no reply", "error", err)
	} else {
		log.Info("reply", "finish", ending.Report.Finish, "tokens", ending.Window.Tokens, "left out", ending.Window.Dropped)
	}
	if err := s.Close(note); err != nil {
		h.o.Log.Error("a reply could not be shown", "chat", h.name, "error", err)
	}
	return nil // the note has reported it
}

// The texts that people see.
const (
	help           = "Write to me, and I reply. /retry asks for another reply, /reset forgets our conversation. With ! instead of / they work everywhere."
	forgotten      = "I have forgotten our conversation."
	nothingToRetry = "There is nothing to reply to yet."
	oneAtATime     = "One moment: I am still replying."
	tooBusy        = "I am talking with too many people just now. Please try again in a minute."
	noWords        = "(I have nothing to say to this.)"
)

// noteFor returns the text to append to a reply because of the way it ended.
func noteFor(ending koala.Ending, err error, shown string) string {
	switch {
	case err != nil && shown == "":
		return apology(err)
	case err != nil:
		return "\n(" + apology(err) + ")"
	case strings.TrimSpace(shown) == "":
		return noWords
	case ending.Report.Finish == koala.Limit || ending.Report.Truncated:
		return " …"
	}
	return ""
}

// apology returns a text about an error for people. It reveals nothing about the machine.
func apology(err error) string {
	var flagged *koala.FlaggedError
	switch {
	case errors.Is(err, prompt.ErrForged) || errors.Is(err, prompt.ErrControl):
		return "I cannot take a text with marks like USER: or </s> in it: they would confuse me."
	case errors.Is(err, prompt.ErrTooLong):
		return "That is too long for me."
	case errors.As(err, &flagged) && flagged.Role == prompt.User:
		return "I do not talk about that."
	case flagged != nil:
		return "I had better not say this."
	case errors.Is(err, context.Canceled):
		return "I was stopped. /retry asks again."
	case errors.Is(err, backend.ErrOverloaded):
		return "I am too busy just now. /retry asks again."
	}
	return "I have no reply: something is wrong. /retry asks again."
}
