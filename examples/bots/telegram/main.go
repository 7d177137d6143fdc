// Command telegram is a bot on Telegram. Its token, which @BotFather gives, is in
// TELEGRAM_TOKEN.
package main

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/go-telegram/bot"
	"github.com/go-telegram/bot/models"

	"github.com/koala-go/sdk/backend"
	"github.com/koala-go/sdk/examples/bots/chatbot"
)

func main() { chatbot.Main(platform("https://api.telegram.org")) }

// platform is Telegram at a URL. A bot may send a message a second to a chat, 20
// a minute to a group.
func platform(url string) chatbot.Platform {
	return chatbot.Platform{
		Name: "telegram", Tokens: []string{"TELEGRAM_TOKEN"},
		Style: chatbot.Style{
			Max: 4096, Every: 3 * time.Second,
			Escape: strings.NewReplacer("@", "@\u2060"), // no mention, which would notify somebody
		},
		Run: func(ctx context.Context, b *chatbot.Bot, tokens []backend.Secret) error {
			return run(ctx, b, url, string(tokens[0]))
		},
	}
}

// poll is how long the server may keep a request for messages open.
const poll = time.Minute

func run(ctx context.Context, b *chatbot.Bot, url, token string) error {
	var who me
	api, err := bot.New(token,
		bot.WithServerURL(url), bot.WithSkipGetMe(), bot.WithAllowedUpdates(bot.AllowedUpdates{"message"}),
		bot.WithHTTPClient(poll, &http.Client{Timeout: poll + 10*time.Second}),
		bot.WithErrorsHandler(func(err error) { b.Log().Warn("telegram", "error", err) }),
		bot.WithNotAsyncHandlers(), // in their order: Handle does not wait
		bot.WithDefaultHandler(func(_ context.Context, api *bot.Bot, u *models.Update) {
			if text := who.meant(u.Message); text != "" {
				b.Handle(message(u.Message, text), &place{api, u.Message.Chat.ID, topic(u.Message)})
			}
		}))
	if err != nil {
		return err
	}
	user, err := api.GetMe(ctx)
	if err != nil {
		return err
	}
	who = newMe(user)
	api.Start(ctx)
	return nil
}

// topic is the topic of a group that a message is in, 0 for none. The thread of a
// reply outside a topic cannot be posted to.
func topic(m *models.Message) int {
	if m.IsTopicMessage {
		return m.MessageThreadID
	}
	return 0
}

// message names the channel, which may be a topic of a group.
func message(m *models.Message, text string) chatbot.Message {
	channel := "telegram/" + strconv.FormatInt(m.Chat.ID, 10)
	if t := topic(m); t != 0 {
		channel += "/" + strconv.Itoa(t)
	}
	return chatbot.Message{Channel: channel, User: strconv.FormatInt(m.From.ID, 10), ID: strconv.Itoa(m.ID), Text: text}
}

// me is the bot itself.
type me struct {
	id   int64
	name *regexp.Regexp // as a mention
}

func newMe(u *models.User) me {
	return me{u.ID, regexp.MustCompile(`(?i)@` + regexp.QuoteMeta(u.Username) + `\b`)}
}

// meant is the text of a message that is for the bot, else "". In a group that is
// one that names it or replies to it.
func (me me) meant(m *models.Message) string {
	if m == nil || m.From == nil || m.From.IsBot {
		return ""
	}
	reply := m.ReplyToMessage != nil && m.ReplyToMessage.From != nil && m.ReplyToMessage.From.ID == me.id
	if m.Chat.Type != models.ChatTypePrivate && !reply && !me.name.MatchString(m.Text) {
		return ""
	}
	return strings.TrimSpace(me.name.ReplaceAllString(m.Text, ""))
}

// place is a chat, or a topic in it.
type place struct {
	api    *bot.Bot
	chat   int64
	thread int
}

var noPreview = &models.LinkPreviewOptions{IsDisabled: bot.True()}

// Send posts a message, without a parse mode: as it is.
func (p *place) Send(ctx context.Context, text string) (string, error) {
	m, err := p.api.SendMessage(ctx, &bot.SendMessageParams{ChatID: p.chat, MessageThreadID: p.thread, Text: text, LinkPreviewOptions: noPreview})
	if err != nil {
		return "", slow(err)
	}
	return strconv.Itoa(m.ID), nil
}

// Edit changes a message.
func (p *place) Edit(ctx context.Context, id, text string) error {
	n, err := strconv.Atoi(id)
	if err != nil {
		return err
	}
	_, err = p.api.EditMessageText(ctx, &bot.EditMessageTextParams{ChatID: p.chat, MessageID: n, Text: text, LinkPreviewOptions: noPreview})
	return slow(err)
}

// slow tells when Telegram asks for a pause.
func slow(err error) error {
	var many *bot.TooManyRequestsError
	if errors.As(err, &many) {
		return &chatbot.WaitError{After: time.Duration(many.RetryAfter) * time.Second, Err: err}
	}
	return err
}
