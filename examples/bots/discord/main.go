// Command discord is a Discord bot. The environment variable DISCORD_TOKEN is its token
// from the developer portal.
package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/bwmarrin/discordgo"

	"github.com/koala-go/sdk/backend"
	"github.com/koala-go/sdk/examples/bots/chatbot"
)

func main() { chatbot.Main(platform(http.DefaultTransport)) }

// platform returns the platform Discord behind an HTTP transport. Discord permits about
// five edits in five seconds for each channel.
func platform(transport http.RoundTripper) chatbot.Platform {
	return chatbot.Platform{
		Name: "discord", Tokens: []string{"DISCORD_TOKEN"},
		Style: chatbot.Style{Max: 2000, Every: 1500 * time.Millisecond, Escape: markdown()},
		Run: func(ctx context.Context, b *chatbot.Bot, tokens []backend.Secret) error {
			return run(ctx, b, transport, string(tokens[0]))
		},
	}
}

// markdown returns a replacer that puts a backslash before characters of markup.
func markdown() *strings.Replacer {
	var pairs []string
	for _, c := range "\\*_~`|<>#[]@" {
		pairs = append(pairs, string(c), `\`+string(c))
	}
	return strings.NewReplacer(pairs...)
}

func run(ctx context.Context, b *chatbot.Bot, transport http.RoundTripper, token string) error {
	s, err := discordgo.New("Bot " + token)
	if err != nil {
		return err
	}
	s.Client = &http.Client{Transport: transport, Timeout: 30 * time.Second}
	s.Identify.Intents = discordgo.IntentsGuildMessages | discordgo.IntentsDirectMessages
	s.ShouldRetryOnRateLimit = false // chatbot makes the pauses and edits less often
	s.SyncEvents = true              // keep the order of messages; Handle returns at once
	discordgo.Logger = func(_, _ int, format string, args ...any) {
		b.Log().Warn("discord", "text", fmt.Sprintf(format, args...))
	}
	s.AddHandler(func(s *discordgo.Session, m *discordgo.MessageCreate) {
		if text := addressed(m.Message, s.State.User); text != "" {
			b.Handle(chatbot.Message{Channel: "discord/" + m.ChannelID, User: m.Author.ID, ID: m.ID, Text: text}, &poster{s, m.ChannelID})
		}
	})
	if err := s.Open(); err != nil {
		return err
	}
	<-ctx.Done()
	return s.Close()
}

// addressed returns the text of a message to the bot, or "" for other messages. On a
// server, these are the messages that mention the bot. It replaces mentions of people by
// their names.
func addressed(m *discordgo.Message, me *discordgo.User) string {
	if m.Author == nil || m.Author.Bot || m.Type != discordgo.MessageTypeDefault && m.Type != discordgo.MessageTypeReply {
		return ""
	}
	named := m.GuildID == ""
	for _, user := range m.Mentions {
		named = named || user.ID == me.ID
	}
	if !named {
		return ""
	}
	m.Content = strings.NewReplacer("<@"+me.ID+">", "", "<@!"+me.ID+">", "").Replace(m.Content)
	return strings.TrimSpace(m.ContentWithMentionsReplaced())
}

// poster is a chatbot.Poster for a channel.
type poster struct {
	s       *discordgo.Session
	channel string
}

// Send posts a message without notifications and previews.
func (p *poster) Send(ctx context.Context, text string) (string, error) {
	m, err := p.s.ChannelMessageSendComplex(p.channel, &discordgo.MessageSend{
		Content: text, AllowedMentions: &discordgo.MessageAllowedMentions{}, Flags: discordgo.MessageFlagsSuppressEmbeds,
	}, discordgo.WithContext(ctx))
	if err != nil {
		return "", asWaitError(err)
	}
	return m.ID, nil
}

// Edit replaces the text of a message.
func (p *poster) Edit(ctx context.Context, id, text string) error {
	_, err := p.s.ChannelMessageEditComplex(&discordgo.MessageEdit{
		Channel: p.channel, ID: id, Content: &text, AllowedMentions: &discordgo.MessageAllowedMentions{}, Flags: discordgo.MessageFlagsSuppressEmbeds,
	}, discordgo.WithContext(ctx))
	return asWaitError(err)
}

// asWaitError returns a *chatbot.WaitError if Discord asks for a pause.
func asWaitError(err error) error {
	var many *discordgo.RateLimitError
	if errors.As(err, &many) {
		return &chatbot.WaitError{After: many.RetryAfter, Err: err}
	}
	return err
}
