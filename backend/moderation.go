package backend

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/koala-go/sdk/koala"
)

// Moderation asks a server with OpenAI's /v1/moderations about texts. It is a
// koala.Moderator and is safe for concurrent use.
type Moderation struct{ client *Client }

// NewModeration returns a client of a moderation server. Options.Text and
// Options.Context have no effect, and FirstToken limits the time of the whole
// answer. The error is that of New.
func NewModeration(o *Options) (*Moderation, error) {
	resolved, err := o.resolve(OpenAI)
	if err != nil {
		return nil, err
	}
	c, err := newClient(OpenAI, resolved, &moderations)
	if err != nil {
		return nil, err
	}
	return &Moderation{c}, nil
}

// moderations is the protocol of /v1/moderations. Moderate makes the body.
var moderations = protocol{path: "/v1/moderations", take: moderationTake}

// Moderate returns the names of the categories under which the server flagged
// a text, or "" for a text that is fine. The errors are those of
// Client.Complete.
func (m *Moderation) Moderate(ctx context.Context, text string) (string, error) {
	if text == "" {
		return "", nil
	}
	body, err := json.Marshal(struct {
		Input string `json:"input"`
		Model string `json:"model,omitempty"`
	}{text, m.client.o.Model})
	if err != nil {
		return "", err
	}
	var flagged strings.Builder
	_, err = m.client.send(ctx, body, &flagged, 0)
	return m.client.clean(flagged.String()), err
}

func moderationTake(event []byte, rep *koala.Report) (streamText, bool, error) {
	var e struct {
		Results []struct {
			Flagged    *bool           `json:"flagged"`
			Categories map[string]bool `json:"categories"`
		} `json:"results"`
	}
	if err := unmarshalEvent(event, &e); err != nil {
		return "", false, err
	}
	if len(e.Results) != 1 || e.Results[0].Flagged == nil {
		return "", false, broken("%d results, want 1 with the member flagged", len(e.Results))
	}
	rep.Finish = koala.Stopped
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
	return streamText(strings.Join(names, ", ")), true, nil
}
