package backend

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// Moderation asks a server with OpenAI's /v1/moderations about texts. It is a
// koala.Moderator, and safe for concurrent use.
type Moderation struct{ c *Client }

// NewModeration makes a client. Of the options, Text and Context say nothing
// here; FirstToken is for the whole answer. The error is that of New.
func NewModeration(o *Options) (*Moderation, error) {
	c, err := New(OpenAI, o)
	if err != nil {
		return nil, err
	}
	c.url = strings.TrimSuffix(c.url, c.p.path) + moderations.path
	c.p = moderations
	return &Moderation{c}, nil
}

var moderations = &protocol{path: "/v1/moderations", take: moderationTake}

// Moderate gives the names of the categories under which the server flagged a
// text, and "" for a text that is fine. The errors are those of
// Client.Complete.
func (m *Moderation) Moderate(ctx context.Context, text string) (string, error) {
	if text == "" {
		return "", nil
	}
	body, err := json.Marshal(struct {
		Input string `json:"input"`
		Model string `json:"model,omitempty"`
	}{text, m.c.o.Model})
	if err != nil {
		return "", err
	}
	var flagged strings.Builder
	_, err = m.c.send(ctx, body, &flagged, 0)
	return m.c.clean(flagged.String()), err
}

func moderationTake(event []byte, rep *Report) (string, bool, error) {
	var e struct {
		Error   json.RawMessage `json:"error"`
		Results []struct {
			Flagged    *bool           `json:"flagged"`
			Categories map[string]bool `json:"categories"`
		} `json:"results"`
	}
	if err := object(event, &e, &e.Error); err != nil {
		return "", false, err
	}
	if len(e.Results) != 1 || e.Results[0].Flagged == nil {
		return "", false, broken("no single result")
	}
	rep.Finish = Stopped
	if !*e.Results[0].Flagged {
		return "", true, nil
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(e.Results[0].Categories)) {
		if e.Results[0].Categories[name] {
			names = append(names, name)
		}
	}
	if names == nil {
		names = []string{"flagged"}
	}
	return strings.Join(names, ", "), true, nil
}
