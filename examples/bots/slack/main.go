// Command slack is a Slack bot that uses socket mode. The environment variables
// SLACK_BOT_TOKEN (xoxb-…) and SLACK_APP_TOKEN (xapp-…) are its tokens.
package main

import (
	"context"
	"errors"
	"io"
	"log"
	"log/slog"
	"strings"
	"time"

	"github.com/slack-go/slack"
	"github.com/slack-go/slack/slackevents"
	"github.com/slack-go/slack/socketmode"

	"github.com/koala-go/sdk/backend"
	"github.com/koala-go/sdk/examples/bots/chatbot"
)

func main() { chatbot.Main(platform(slack.APIURL)) }

// platform returns the platform Slack at a URL. Slack permits one message per second in
// each channel and about fifty edits per minute.
func platform(url string) chatbot.Platform {
	return chatbot.Platform{
		Name: "slack", Tokens: []string{"SLACK_BOT_TOKEN", "SLACK_APP_TOKEN"},
		Style: chatbot.Style{Max: 4000, Every: 1500 * time.Millisecond, Escape: strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")},
		Run: func(ctx context.Context, b *chatbot.Bot, tokens []backend.Secret) error {
			return run(ctx, b, url, string(tokens[0]), string(tokens[1]))
		},
	}
}

func run(ctx context.Context, b *chatbot.Bot, url, token, appToken string) error {
	lines := log.New(logWriter{b.Log()}, "", 0)
	api := slack.New(token, slack.OptionAppLevelToken(appToken), slack.OptionAPIURL(url), slack.OptionLog(lines))
	me, err := api.AuthTestContext(ctx)
	if err != nil {
		return err
	}
	client := socketmode.New(api, socketmode.OptionLog(lines))
	ended := make(chan error, 1)
	go func() { ended <- client.RunContext(ctx) }()
	for {
		select {
		case e := <-client.Events:
			if e.Type == socketmode.EventTypeEventsAPI && e.Request != nil {
				if err := client.Ack(*e.Request); err != nil {
					b.Log().Warn("slack", "error", err)
				}
				handleEvent(b, api, me, e.Data)
			}
		case err := <-ended:
			if ctx.Err() != nil {
				return nil // the bot is being stopped
			}
			return err
		}
	}
}

// handleEvent handles a message to the bot: a direct message, or one that mentions the bot.
func handleEvent(b *chatbot.Bot, api *slack.Client, me *slack.AuthTestResponse, data any) {
	outer, _ := data.(slackevents.EventsAPIEvent)
	var user, channel, thread, id, text string
	switch m := outer.InnerEvent.Data.(type) {
	case *slackevents.MessageEvent:
		if m.ChannelType != slack.TYPE_IM || m.SubType != "" || m.BotID != "" {
			return
		}
		user, channel, thread, id, text = m.User, m.Channel, m.ThreadTimeStamp, m.TimeStamp, m.Text
	case *slackevents.AppMentionEvent:
		if m.BotID != "" {
			return
		}
		user, channel, thread, id, text = m.User, m.Channel, m.ThreadTimeStamp, m.TimeStamp, m.Text
	}
	if user == "" || user == me.UserID {
		return
	}
	text = strings.ReplaceAll(text, "<@"+me.UserID+">", "")
	text = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&").Replace(text)
	name := "slack/" + me.TeamID + "/" + channel
	if thread != "" {
		name += "/" + thread
	}
	b.Handle(chatbot.Message{Channel: name, User: user, ID: id, Text: strings.TrimSpace(text)}, &poster{api, channel, thread})
}

// poster is a chatbot.Poster for a channel, or for a thread in it.
type poster struct {
	api             *slack.Client
	channel, thread string
}

// options returns the options of a message without markup and notifications.
func (p *poster) options(text string) []slack.MsgOption {
	o := []slack.MsgOption{
		slack.MsgOptionText(text, false), slack.MsgOptionParse(false), slack.MsgOptionLinkNames(false), slack.MsgOptionDisableMarkdown(),
		slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl(),
	}
	if p.thread != "" {
		o = append(o, slack.MsgOptionTS(p.thread))
	}
	return o
}

// Send posts a message. The id is the time of the message.
func (p *poster) Send(ctx context.Context, text string) (string, error) {
	_, id, err := p.api.PostMessageContext(ctx, p.channel, p.options(text)...)
	return id, asWaitError(err)
}

// Edit replaces the text of a message.
func (p *poster) Edit(ctx context.Context, id, text string) error {
	_, _, _, err := p.api.UpdateMessageContext(ctx, p.channel, id, p.options(text)...)
	return asWaitError(err)
}

// asWaitError returns a *chatbot.WaitError if Slack asks for a pause.
func asWaitError(err error) error {
	var many *slack.RateLimitedError
	if errors.As(err, &many) {
		return &chatbot.WaitError{After: many.RetryAfter, Err: err}
	}
	return err
}

// logWriter writes the lines of the library to the log.
type logWriter struct{ l *slog.Logger }

var _ io.Writer = logWriter{}

func (t logWriter) Write(line []byte) (int, error) {
	t.l.Warn("slack", "text", strings.TrimSpace(string(line)))
	return len(line), nil
}
