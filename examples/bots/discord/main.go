// Command discord is a bot on Discord. Its token, from the developer portal, is in
// DISCORD_TOKEN.
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

// platform is Discord, reached by a transport. A bot may change a channel's
// messages some five times in five seconds.
func platform(transport http.RoundTripper) chatbot.Platform {
	return chatbot.Platform{
		Name: "discord", Tokens: []string{"DISCORD_TOKEN"},
		Style: chatbot.Style{Max: 2000, Every: 1500 * time.Millisecond, Escape: markdown()},
		Run: func(ctx context.Context, b *chatbot.Bot, tokens []backend.Secret) error {
			return run(ctx, b, transport, string(tokens[0]))
		},
	}
}

// markdown puts a backslash before what Discord would read as markup.
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
	s.ShouldRetryOnRateLimit = false // the bot waits itself, and edits less often
	s.SyncEvents = true              // in their order: Handle does not wait
	discordgo.Logger = func(_, _ int, format string, args ...any) {
		b.Log().Warn("discord", "text", fmt.Sprintf(format, args...))
	}
	s.AddHandler(func(s *discordgo.Session, m *discordgo.MessageCreate) {
		if text := meant(m.Message, s.State.User); text != "" {
			b.Handle(chatbot.Message{Channel: "discord/" + m.ChannelID, User: m.Author.ID, ID: m.ID, Text: text}, &place{s, m.ChannelID})
		}
	})
	if err := s.Open(); err != nil {
		return err
	}
	<-ctx.Done()
	return s.Close()
}

// meant is the text of a message that is for the bot, else "". In a server that
// is one that mentions it. Other people's mentions become their names.
func meant(m *discordgo.Message, me *discordgo.User) string {
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

// place is a channel.
type place struct {
	s       *discordgo.Session
	channel string
}

// Send posts a message that notifies nobody and shows no previews.
func (p *place) Send(ctx context.Context, text string) (string, error) {
	m, err := p.s.ChannelMessageSendComplex(p.channel, &discordgo.MessageSend{
		Content: text, AllowedMentions: &discordgo.MessageAllowedMentions{}, Flags: discordgo.MessageFlagsSuppressEmbeds,
	}, discordgo.WithContext(ctx))
	if err != nil {
		return "", slow(err)
	}
	return m.ID, nil
}

// Edit changes a message.
func (p *place) Edit(ctx context.Context, id, text string) error {
	_, err := p.s.ChannelMessageEditComplex(&discordgo.MessageEdit{
		Channel: p.channel, ID: id, Content: &text, AllowedMentions: &discordgo.MessageAllowedMentions{}, Flags: discordgo.MessageFlagsSuppressEmbeds,
	}, discordgo.WithContext(ctx))
	return slow(err)
}

// slow tells when Discord asks for a pause.
func slow(err error) error {
	var many *discordgo.RateLimitError
	if errors.As(err, &many) {
		return &chatbot.WaitError{After: many.RetryAfter, Err: err}
	}
	return err
}
