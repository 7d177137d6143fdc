// Package chatbot is what the bots share: it takes messages and shows replies.
// A chat has one reply at a time, all chats together have a bound; each turn is
// saved before the next thing happens, so that a restart forgets nothing.
package chatbot

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/koala-go/sdk/koala"
)

// Options are those of a bot. All but PerUser are needed.
type Options struct {
	Model   koala.Completer
	Chat    koala.Options // of every chat
	Store   *Store
	Style   Style
	AtOnce  int  // replies at a time
	PerUser bool // each user of a channel has a conversation of their own
	Log     *slog.Logger
}

// Bot replies to messages. It is safe for concurrent use.
type Bot struct {
	o     Options
	ctx   context.Context // of the replies
	stop  context.CancelFunc
	shown context.Context // of what is shown, which goes on a little longer
	leave context.CancelFunc
	// lastWords is how long it may take to show that replies were stopped.
	lastWords time.Duration

	mu      sync.Mutex
	running map[string]*running // by the name of the chat
	notices int
	closed  bool
	all     sync.WaitGroup
}

// running is a reply that is under way.
type running struct{ told bool }

// New makes a bot.
func New(o Options) *Bot {
	b := &Bot{o: o, lastWords: 10 * time.Second, running: make(map[string]*running)}
	b.ctx, b.stop = context.WithCancel(context.Background())
	b.shown, b.leave = context.WithCancel(context.Background())
	return b
}

// Message is what a person wrote.
type Message struct {
	Channel string // where, unique among all platforms
	User    string // who
	ID      string // of the message: one that is delivered twice is answered once
	Text    string
}

// chat is the name of the conversation that a message belongs to.
func (b *Bot) chat(m Message) string {
	if b.o.PerUser {
		return m.Channel + "/" + m.User
	}
	return m.Channel
}

// Log is the bot's log.
func (b *Bot) Log() *slog.Logger { return b.o.Log }

// maxNotices bounds the notices that are on their way.
const maxNotices = 16

// Handle begins to reply to a message and does not wait for it. Messages without
// text are left out.
func (b *Bot) Handle(m Message, place Place) {
	if strings.TrimSpace(m.Text) == "" {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	name := b.chat(m)
	already := b.running[name]
	switch {
	case b.closed || already != nil && already.told:
	case already != nil:
		already.told = true
		b.notice(place, oneAtATime)
	case len(b.running) >= b.o.AtOnce:
		b.notice(place, tooBusy)
	default:
		b.running[name] = new(running)
		b.all.Go(func() {
			defer b.finished(name)
			b.turn(b.ctx, name, m, place)
		})
	}
}

func (b *Bot) finished(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.running, name)
}

// notice shows a text, unless too many are on their way. The lock is held.
func (b *Bot) notice(place Place, text string) {
	if b.notices == maxNotices {
		b.o.Log.Warn("a notice was left out")
		return
	}
	b.notices++
	b.all.Go(func() {
		b.say(place, text)
		b.mu.Lock()
		defer b.mu.Unlock()
		b.notices--
	})
}

// say shows a text at once.
func (b *Bot) say(place Place, text string) {
	s := newStream(b.shown, place, &b.o.Style)
	if err := s.Close(text); err != nil {
		b.o.Log.Error("a message could not be shown", "error", err)
	}
}

// Close takes no more messages and waits for the replies under way until ctx
// ends. It then stops them and waits until that is shown, but not for long.
func (b *Bot) Close(ctx context.Context) {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	defer context.AfterFunc(ctx, func() {
		b.stop()
		time.AfterFunc(b.lastWords, b.leave)
	})()
	b.all.Wait()
	b.stop()
	b.leave()
}
