// Command telegram is a Telegram bot. The environment variable TELEGRAM_TOKEN is its token
// from @BotFather.
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

// platform returns the platform Telegram at a URL. Telegram permits one message per second
// in each chat and 20 per minute in a group.
func platform(url string) chatbot.Platform {
	return chatbot.Platform{
		Name: "telegram", Tokens: []string{"TELEGRAM_TOKEN"},
		Style: chatbot.Style{
			Max: 4096, Every: 3 * time.Second,
			Escape: strings.NewReplacer("@", "@\u2060"), // no mentions, which would notify people
		},
		Run: func(ctx context.Context, b *chatbot.Bot, tokens []backend.Secret) error {
			return run(ctx, b, url, string(tokens[0]))
		},
	}
}

// poll is the time for which the server may keep a request for messages open.
const poll = time.Minute

func run(ctx context.Context, b *chatbot.Bot, url, token string) error {
	var who me
	api, err := bot.New(token,
		bot.WithServerURL(url), bot.WithSkipGetMe(), bot.WithAllowedUpdates(bot.AllowedUpdates{"message"}),
		bot.WithHTTPClient(poll, &http.Client{Timeout: poll + 10*time.Second}),
		bot.WithErrorsHandler(func(err error) { b.Log().Warn("telegram", "error", err) }),
		bot.WithNotAsyncHandlers(), // keep the order of messages; Handle returns at once
		bot.WithDefaultHandler(func(_ context.Context, api *bot.Bot, u *models.Update) {
			if text := who.addressed(u.Message); text != "" {
				b.Handle(message(u.Message, text), &poster{api, u.Message.Chat.ID, topic(u.Message)})
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

// topic returns the topic of a group in which a message is, or 0. Replies outside a topic
// also have a thread, but nothing can be posted to that.
func topic(m *models.Message) int {
	if m.IsTopicMessage {
		return m.MessageThreadID
	}
	return 0
}

// message returns a message for the bot. Its channel may be a topic of a group.
func message(m *models.Message, text string) chatbot.Message {
	channel := "telegram/" + strconv.FormatInt(m.Chat.ID, 10)
	if t := topic(m); t != 0 {
		channel += "/" + strconv.Itoa(t)
	}
	return chatbot.Message{Channel: channel, User: strconv.FormatInt(m.From.ID, 10), ID: strconv.Itoa(m.ID), Text: text}
}

// me identifies the bot.
type me struct {
	id   int64
	name *regexp.Regexp // matches a mention of the bot
}

func newMe(u *models.User) me {
	return me{u.ID, regexp.MustCompile(`(?i)@` + regexp.QuoteMeta(u.Username) + `\b`)}
}

// addressed returns the text of a message to the bot, or "" for other messages. In a group,
// these are the messages that mention the bot or reply to it.
func (me me) addressed(m *models.Message) string {
	if m == nil || m.From == nil || m.From.IsBot {
		return ""
	}
	reply := m.ReplyToMessage != nil && m.ReplyToMessage.From != nil && m.ReplyToMessage.From.ID == me.id
	if m.Chat.Type != models.ChatTypePrivate && !reply && !me.name.MatchString(m.Text) {
		return ""
	}
	return strings.TrimSpace(me.name.ReplaceAllString(m.Text, ""))
}

// poster is a chatbot.Poster for a chat, or for a topic in it.
type poster struct {
	api    *bot.Bot
	chat   int64
	thread int
}

var noPreview = &models.LinkPreviewOptions{IsDisabled: bot.True()}

// Send posts a message without a parse mode, so that nothing in it is markup.
func (p *poster) Send(ctx context.Context, text string) (string, error) {
	m, err := p.api.SendMessage(ctx, &bot.SendMessageParams{ChatID: p.chat, MessageThreadID: p.thread, Text: text, LinkPreviewOptions: noPreview})
	if err != nil {
		return "", asWaitError(err)
	}
	return strconv.Itoa(m.ID), nil
}

// Edit replaces the text of a message.
func (p *poster) Edit(ctx context.Context, id, text string) error {
	n, err := strconv.Atoi(id)
	if err != nil {
		return err
	}
	_, err = p.api.EditMessageText(ctx, &bot.EditMessageTextParams{ChatID: p.chat, MessageID: n, Text: text, LinkPreviewOptions: noPreview})
	return asWaitError(err)
}

// asWaitError returns a *chatbot.WaitError if Telegram asks for a pause.
func asWaitError(err error) error {
	var many *bot.TooManyRequestsError
	if errors.As(err, &many) {
		return &chatbot.WaitError{After: time.Duration(many.RetryAfter) * time.Second, Err: err}
	}
	return err
}
