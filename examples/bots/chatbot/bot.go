// Package chatbot is what the bots share: it receives messages and shows replies. Begin
// with [Main], which runs a [Platform].
//
// A chat has one reply at a time, and the number of replies in all chats is bounded. A
// bot saves each turn before it goes on, so that a restart forgets nothing.
package chatbot

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/koala-go/sdk/koala"
)

// Options are the options of a bot. All except PerUser are required.
type Options struct {
	Model      koala.Completer // the model that replies
	Chat       koala.Options   // the options of every chat
	Store      *Store          // the file with the chats
	Style      Style           // how the platform shows messages
	MaxReplies int             // the maximum number of replies at a time
	PerUser    bool            // whether each user of a channel has a conversation of their own
	Log        *slog.Logger    // the log of replies and errors
}

// Bot replies to messages. It is safe for concurrent use.
type Bot struct {
	o     Options
	ctx   context.Context // for making replies
	stop  context.CancelFunc
	shown context.Context // for showing messages, which ends later than ctx
	leave context.CancelFunc
	grace time.Duration // the time for showing that replies were stopped

	mu      sync.Mutex
	running map[string]*running // by the names of the chats
	notices int
	closed  bool
	all     sync.WaitGroup
}

// running is a reply that is being made. notified says that the chat was asked to wait.
type running struct{ notified bool }

// New returns a bot.
func New(o Options) *Bot {
	b := &Bot{o: o, grace: 10 * time.Second, running: make(map[string]*running)}
	b.ctx, b.stop = context.WithCancel(context.Background())
	b.shown, b.leave = context.WithCancel(context.Background())
	return b
}

// Message is a message of a person.
type Message struct {
	Channel string // the channel, unique among all platforms
	User    string // the author, unique in the channel
	ID      string // the id of the message: a message that is delivered twice gets one reply
	Text    string // the text
}

// chat returns the name of the conversation of a message.
func (b *Bot) chat(m Message) string {
	if b.o.PerUser {
		return m.Channel + "/" + m.User
	}
	return m.Channel
}

// Log returns the log of the bot.
func (b *Bot) Log() *slog.Logger { return b.o.Log }

// maxNotices bounds the number of notices that are being shown.
const maxNotices = 16

// Handle starts a reply to a message and does not wait for it. It ignores messages
// without text.
func (b *Bot) Handle(m Message, poster Poster) {
	if strings.TrimSpace(m.Text) == "" {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	name := b.chat(m)
	already := b.running[name]
	switch {
	case b.closed || already != nil && already.notified:
	case already != nil:
		already.notified = true
		b.notice(poster, oneAtATime)
	case len(b.running) >= b.o.MaxReplies:
		b.notice(poster, tooBusy)
	default:
		b.running[name] = new(running)
		b.all.Go(func() {
			defer b.finished(name)
			b.reply(b.ctx, name, m, poster)
		})
	}
}

func (b *Bot) finished(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.running, name)
}

// notice shows a text, unless too many notices are being shown. The caller holds the
// lock.
func (b *Bot) notice(poster Poster, text string) {
	if b.notices == maxNotices {
		b.o.Log.Warn("a notice was left out")
		return
	}
	b.notices++
	b.all.Go(func() {
		b.say(poster, text)
		b.mu.Lock()
		defer b.mu.Unlock()
		b.notices--
	})
}

// say shows a text.
func (b *Bot) say(poster Poster, text string) {
	s := newStream(b.shown, poster, &b.o.Style)
	if err := s.Close(text); err != nil {
		b.o.Log.Error("a message could not be shown", "error", err)
	}
}

// Close refuses further messages and waits until the replies have ended. When ctx ends, it
// stops the replies and waits for a short time until the chats show that.
func (b *Bot) Close(ctx context.Context) {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	defer context.AfterFunc(ctx, func() {
		b.stop()
		time.AfterFunc(b.grace, b.leave)
	})()
	b.all.Wait()
	b.stop()
	b.leave()
}
