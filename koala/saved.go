package koala

import (
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/strictjson"
	"github.com/koala-go/sdk/prompt"
)

// savedVersion is the version of a saved chat.
const savedVersion = 1

// saved is a chat in JSON. The tokenizer is not in it.
type saved struct {
	Version  int          `json:"version"`
	Dialect  savedDialect `json:"dialect"`
	BOS      bool         `json:"bos"`
	Budget   int          `json:"budget"`
	Overflow string       `json:"overflow"`
	Next     string       `json:"next"`
	Control  bool         `json:"allow_control"`
	Forged   bool         `json:"reject_forged"`
	UTF8     string       `json:"invalid_utf8"`
	Longest  int          `json:"max_content"`
	Sampling Sampling     `json:"sampling"`
	Messages []message    `json:"messages"`
}

type savedDialect struct {
	Name        string `json:"name"`
	Header      string `json:"header"`
	User        string `json:"user"`
	Helpful     string `json:"helpful"`
	Unhelpful   string `json:"unhelpful"`
	BeforeReply string `json:"before_reply"`
	End         string `json:"end"`
	AfterReply  string `json:"after_reply"`
}

var utf8Names = []string{"refuse", "replace"}

// MarshalJSON saves the chat: its turns and its options but for the tokenizer.
func (c *Chat) MarshalJSON() ([]byte, error) {
	c.lock()
	defer c.mu.Unlock()
	d, r := c.m.Dialect, &c.m.Render
	s := c.m.sampling()
	for _, f := range []float64{s.Temperature, s.TopP} {
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, fmt.Errorf("sampling with %v: temperature or top_p: give a number", f)
		}
	}
	return appendJSON(nil, saved{
		savedVersion,
		savedDialect{d.Name, d.Header, d.Markers.User, d.Markers.Helpful, d.Markers.Unhelpful, d.BeforeReply, d.End, d.AfterReply},
		c.m.BOS, c.m.Budget, c.m.Overflow.String(), r.Next.String(), r.AllowControl, r.RejectForged,
		utf8Names[min(int(r.InvalidUTF8), 1)], r.MaxContent, s, messages(c.h.turns),
	})
}

// UnmarshalJSON loads a chat over this one, which keeps its tokenizer and its
// moderator and nothing else. A newer version is refused as ErrUnsupported, and all that
// ParseConversation refuses as it does; the chat is as it was then.
func (c *Chat) UnmarshalJSON(data []byte) error {
	c.lock()
	defer c.mu.Unlock()
	l := loader{reader: reader{j: strictjson.New(data, 0), turn: -1}}
	l.o.Tokenizer = c.m.Tokenizer
	l.o.Moderator, l.o.ModerateStep = c.m.Moderator, c.m.ModerateStep
	l.o.Dialect = new(prompt.Dialect)
	l.sampling = DefaultSampling()
	l.o.Sampling = &l.sampling
	err := l.chat()
	if err == nil {
		l.turn = -1
		err = l.j.End()
	}
	if err != nil {
		return l.located(err)
	}
	fresh, err := New(&l.o)
	if err != nil {
		return err
	}
	if len(l.turns) > 0 {
		if err := l.turns.Check(); err != nil {
			return err
		}
	}
	for _, t := range l.turns {
		if err := fresh.add(t); err != nil {
			return err
		}
	}
	c.m, c.h = fresh.m, fresh.h
	return nil
}

// loader reads a saved chat.
type loader struct {
	reader
	o        Options
	sampling Sampling
	turns    prompt.Conversation
}

// members reads an object that has all of these members and no others.
func (l *loader) members(readers map[string]func() error, optional ...string) error {
	start := l.j.Offset()
	seen := 0
	err := l.j.Object(func(name string) error {
		read, known := readers[name]
		if !known {
			return l.unknown(name)
		}
		if !slices.Contains(optional, name) {
			seen++
		}
		return read()
	})
	if err == nil && seen != len(readers)-len(optional) {
		err = refusal.Malformed(start, "", "%d of %d fields are missing", len(readers)-len(optional)-seen, len(readers))
	}
	return err
}

func (l *loader) chat() error {
	r := &l.o.Render
	return l.members(map[string]func() error{
		"version":       l.version,
		"dialect":       l.dialect,
		"bos":           l.flag(&l.o.BOS),
		"budget":        l.whole(&l.o.Budget),
		"overflow":      func() (err error) { l.o.Overflow, err = one[Overflow](l.j, overflowNames); return err },
		"next":          func() (err error) { r.Next, err = named(l.j, prompt.ParseQuality); return err },
		"allow_control": l.flag(&r.AllowControl),
		"reject_forged": l.flag(&r.RejectForged),
		"invalid_utf8":  func() (err error) { r.InvalidUTF8, err = one[prompt.UTF8Policy](l.j, utf8Names); return err },
		"max_content":   l.whole(&r.MaxContent),
		"sampling":      l.readSampling,
		"messages": func() error {
			err := l.array(func() error { return l.message(&l.turns) })
			if err == nil {
				l.turn = -1
			}
			return err
		},
	})
}

func (l *loader) version() error {
	at := l.j.Offset()
	n, err := l.j.Uint()
	if err == nil && n != savedVersion {
		err = refusal.Unsupported(at, "", "saved chat of version %d, of which %d is known here: update this program", n, savedVersion)
	}
	return err
}

func (l *loader) dialect() error {
	d := l.o.Dialect
	return l.members(map[string]func() error{
		"name": l.text(&d.Name), "header": l.text(&d.Header), "user": l.text(&d.Markers.User),
		"helpful": l.text(&d.Markers.Helpful), "unhelpful": l.text(&d.Markers.Unhelpful),
		"before_reply": l.text(&d.BeforeReply), "end": l.text(&d.End), "after_reply": l.text(&d.AfterReply),
	})
}

func (l *loader) readSampling() error {
	s := &l.sampling
	return l.members(map[string]func() error{
		"temperature": l.number(&s.Temperature), "top_k": l.whole(&s.TopK), "top_p": l.number(&s.TopP),
		"max_tokens": l.whole(&s.MaxTokens),
		"seed": func() error {
			seed, err := l.integer()
			s.Seed = &seed
			return err
		},
		"stops": func() error {
			return l.j.Array(func() error {
				stop, err := l.j.String()
				s.Stops = append(s.Stops, stop)
				return err
			})
		},
	}, "seed", "stops")
}

// Readers of single values.

func (l *loader) text(to *string) func() error {
	return func() (err error) { *to, err = l.j.String(); return err }
}

func (l *loader) flag(to *bool) func() error {
	return func() error {
		v, err := l.j.Value()
		if err == nil && v.Kind != 't' && v.Kind != 'f' {
			err = refusal.Malformed(v.Offset, "", "neither true nor false")
		}
		*to = v.True()
		return err
	}
}

func (l *loader) whole(to *int) func() error {
	return func() error {
		n, err := l.integer()
		*to = int(n)
		if err == nil && int64(*to) != n {
			err = refusal.Malformed(l.j.Offset(), "", "number %d is out of range", n)
		}
		return err
	}
}

func (l *loader) integer() (int64, error) {
	v, err := l.j.Value()
	if err != nil {
		return 0, err
	}
	n, wrong := strconv.ParseInt(v.Text, 10, 64)
	if v.Kind != '0' || wrong != nil {
		return 0, refusal.Malformed(v.Offset, "", "no whole number")
	}
	return n, nil
}

func (l *loader) number(to *float64) func() error {
	return func() error {
		v, err := l.j.Value()
		if err != nil {
			return err
		}
		f, wrong := strconv.ParseFloat(v.Text, 64)
		if v.Kind != '0' || wrong != nil {
			return refusal.Malformed(v.Offset, "", "no number")
		}
		*to = f
		return nil
	}
}

// one reads a name from a list and gives its place.
func one[T ~uint8](j *strictjson.Reader, names []string) (T, error) {
	return named(j, func(name string) (T, error) {
		i := slices.Index(names, name)
		if i < 0 {
			return 0, refusal.Reason(refusal.ErrMalformed, "%.40q is none of %q", name, names)
		}
		return T(i), nil
	})
}
