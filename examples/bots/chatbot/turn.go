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

// turn is what is done about one message.
type turn struct {
	*Bot
	name  string // of the chat
	m     Message
	place Place
	chat  *koala.Chat
	last  string // the message that was taken before
}

// turn does what a message asks for, and tells what went wrong.
func (b *Bot) turn(ctx context.Context, name string, m Message, place Place) {
	t := &turn{Bot: b, name: name, m: m, place: place}
	if err := t.do(ctx); err != nil {
		b.o.Log.Warn("no reply", "chat", name, "error", err)
		b.say(place, sorry(err))
	}
}

func (t *turn) do(ctx context.Context) error {
	if err := t.load(ctx); err != nil {
		return err
	}
	open := t.chat.Conversation().Open()
	again := t.m.ID == t.last && t.last != ""
	switch name := command(t.m.Text); {
	case again && open: // it was taken, and a kill came before the reply
		return t.answer(ctx, nil)
	case again:
		return nil
	case name == "help" || name == "start":
		t.say(t.place, help)
		return nil
	case name == "reset":
		t.chat.Reset()
		if err := t.save(ctx); err != nil {
			return err
		}
		t.say(t.place, forgotten)
		return nil
	case name == "retry":
		return t.retry(ctx)
	}
	return t.ask(ctx)
}

// command is the name of a command, "" for any other text: /reset and
// !reset, and with the bot's name behind it, as Telegram writes it.
func command(text string) string {
	text = strings.ToLower(strings.TrimSpace(text))
	if !strings.HasPrefix(text, "/") && !strings.HasPrefix(text, "!") {
		return ""
	}
	name, _, _ := strings.Cut(text[1:], "@")
	return name
}

// load makes the chat of what was saved. The options are today's.
func (t *turn) load(ctx context.Context) error {
	saved, last, err := t.o.Store.Load(ctx, t.name)
	if err != nil {
		return err
	}
	t.last = last
	t.chat, err = koala.New(&t.o.Chat)
	if err != nil || saved == nil {
		return err
	}
	var before koala.Chat
	if err := json.Unmarshal(saved, &before); err != nil {
		return err
	}
	for _, said := range before.Conversation() {
		if err := t.chat.Add(said); err != nil {
			return err
		}
	}
	return nil
}

// save keeps the chat, also when the bot is told to stop meanwhile.
func (t *turn) save(ctx context.Context) error {
	data, err := json.Marshal(t.chat)
	if err != nil {
		return err
	}
	return t.o.Store.Save(context.WithoutCancel(ctx), t.name, data, t.m.ID)
}

// ask adds what the person said and replies to it. It is saved before the reply
// begins, so that a kill loses the reply at most.
func (t *turn) ask(ctx context.Context) error {
	if t.chat.Conversation().Open() {
		t.chat.Undo() // it never had a reply
	}
	if err := t.chat.Moderate(ctx, prompt.User, t.m.Text); err != nil {
		return err
	}
	if err := t.chat.User(t.m.Text); err != nil {
		return err
	}
	if err := t.save(ctx); err != nil {
		return err
	}
	return t.answer(ctx, nil)
}

// retry replies to the last query again.
func (t *turn) retry(ctx context.Context) error {
	turns := t.chat.Conversation()
	switch {
	case len(turns) == 0:
		t.say(t.place, nothingToRetry)
		return nil
	case turns.Open():
		return t.answer(ctx, nil)
	}
	t.chat.Undo()
	return t.answer(ctx, &turns[len(turns)-1])
}

// answer shows the reply that is due while it comes, and saves it. When there is
// none, the old one stays.
func (t *turn) answer(ctx context.Context, old *prompt.Turn) error {
	began := time.Now()
	s := newStream(t.shown, t.place, &t.o.Style)
	ending, err := t.chat.Answer(ctx, t.o.Model, s)
	if err != nil && old != nil {
		err = errors.Join(err, t.chat.Add(*old))
	}
	note := noteOn(ending, err, s.String())
	if err == nil {
		err = t.save(ctx)
	}
	log := t.o.Log.With("chat", t.name, "seconds", time.Since(began).Seconds())
	if err != nil {
		log.Warn("no reply", "error", err)
	} else {
		log.Info("reply", "finish", ending.Report.Finish, "tokens", ending.Window.Tokens, "left out", ending.Window.Dropped)
	}
	if err := s.Close(note); err != nil {
		t.o.Log.Error("a reply could not be shown", "chat", t.name, "error", err)
	}
	return nil // it was told in the note
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

// noteOn is what is added to a reply about the way it ended.
func noteOn(ending koala.Ending, err error, shown string) string {
	switch {
	case err != nil && shown == "":
		return sorry(err)
	case err != nil:
		return "\n(" + sorry(err) + ")"
	case strings.TrimSpace(shown) == "":
		return noWords
	case ending.Report.Finish == koala.Limit:
		return " …"
	}
	return ""
}

// sorry says what went wrong to a person, and nothing about the machine.
func sorry(err error) string {
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
