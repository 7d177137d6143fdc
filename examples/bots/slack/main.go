// Command slack is a bot on Slack, over socket mode. Its tokens are in
// SLACK_BOT_TOKEN (xoxb-…) and SLACK_APP_TOKEN (xapp-…).
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

// platform is Slack at a URL. A bot may post a message a second to a channel and
// edit some fifty times a minute.
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
	lines := log.New(toLog{b.Log()}, "", 0)
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
				take(b, api, me, e.Data)
			}
		case err := <-ended:
			if ctx.Err() != nil {
				return nil // as it was told to
			}
			return err
		}
	}
}

// take hands a message on if it is for the bot: a direct one, or one that
// mentions it.
func take(b *chatbot.Bot, api *slack.Client, me *slack.AuthTestResponse, data any) {
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
	b.Handle(chatbot.Message{Channel: name, User: user, ID: id, Text: strings.TrimSpace(text)}, &place{api, channel, thread})
}

// place is a channel, or a thread in it.
type place struct {
	api             *slack.Client
	channel, thread string
}

// options are those of a message that is shown as it is and notifies nobody.
func (p *place) options(text string) []slack.MsgOption {
	o := []slack.MsgOption{
		slack.MsgOptionText(text, false), slack.MsgOptionParse(false), slack.MsgOptionLinkNames(false), slack.MsgOptionDisableMarkdown(),
		slack.MsgOptionDisableLinkUnfurl(), slack.MsgOptionDisableMediaUnfurl(),
	}
	if p.thread != "" {
		o = append(o, slack.MsgOptionTS(p.thread))
	}
	return o
}

// Send posts a message; its time is its id.
func (p *place) Send(ctx context.Context, text string) (string, error) {
	_, id, err := p.api.PostMessageContext(ctx, p.channel, p.options(text)...)
	return id, slow(err)
}

// Edit changes a message.
func (p *place) Edit(ctx context.Context, id, text string) error {
	_, _, _, err := p.api.UpdateMessageContext(ctx, p.channel, id, p.options(text)...)
	return slow(err)
}

// slow tells when Slack asks for a pause.
func slow(err error) error {
	var many *slack.RateLimitedError
	if errors.As(err, &many) {
		return &chatbot.WaitError{After: many.RetryAfter, Err: err}
	}
	return err
}

// toLog is the log as a writer, for the library's lines.
type toLog struct{ l *slog.Logger }

var _ io.Writer = toLog{}

func (t toLog) Write(line []byte) (int, error) {
	t.l.Warn("slack", "text", strings.TrimSpace(string(line)))
	return len(line), nil
}
