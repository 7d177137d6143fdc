// Command telegram is a bot on Telegram. Its token, which @BotFather gives, is in
// TELEGRAM_TOKEN.
package main

import (
	"context"
	"errors"
	"net/http"
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
	var me *models.User
	api, err := bot.New(token,
		bot.WithServerURL(url), bot.WithSkipGetMe(), bot.WithAllowedUpdates(bot.AllowedUpdates{"message"}),
		bot.WithHTTPClient(poll, &http.Client{Timeout: poll + 10*time.Second}),
		bot.WithErrorsHandler(func(err error) { b.Log().Warn("telegram", "error", err) }),
		bot.WithNotAsyncHandlers(), // in their order: Handle does not wait
		bot.WithDefaultHandler(func(_ context.Context, api *bot.Bot, u *models.Update) {
			if text := meant(u.Message, me); text != "" {
				b.Handle(message(u.Message, text), &place{api, u.Message.Chat.ID, u.Message.MessageThreadID})
			}
		}))
	if err != nil {
		return err
	}
	if me, err = api.GetMe(ctx); err != nil {
		return err
	}
	api.Start(ctx)
	return nil
}

// message names the channel, which may be a topic of a group.
func message(m *models.Message, text string) chatbot.Message {
	channel := "telegram/" + strconv.FormatInt(m.Chat.ID, 10)
	if m.MessageThreadID != 0 {
		channel += "/" + strconv.Itoa(m.MessageThreadID)
	}
	return chatbot.Message{Channel: channel, User: strconv.FormatInt(m.From.ID, 10), ID: strconv.Itoa(m.ID), Text: text}
}

// meant is the text of a message that is for the bot, else "". In a group that is
// one that names it or replies to it.
func meant(m *models.Message, me *models.User) string {
	if m == nil || m.From == nil || m.From.IsBot {
		return ""
	}
	name := "@" + me.Username
	text := strings.TrimSpace(m.Text)
	reply := m.ReplyToMessage != nil && m.ReplyToMessage.From != nil && m.ReplyToMessage.From.ID == me.ID
	at := strings.Index(strings.ToLower(text), strings.ToLower(name))
	switch {
	case at >= 0 && len(strings.ToLower(text)) == len(text):
		return strings.TrimSpace(text[:at] + text[at+len(name):])
	case m.Chat.Type == models.ChatTypePrivate || reply:
		return text
	}
	return ""
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
