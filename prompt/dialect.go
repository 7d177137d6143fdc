package prompt

import (
	"strings"
	"unicode/utf8"
)

// Header begins every conversation. The package comment calls it H.
const Header = "BEGINNING OF CONVERSATION:"

// EndText is the text of the end-of-sequence token, which ends a reply.
const EndText = "</s>"

// Markers are the texts before turns, which name the author and the quality.
type Markers struct {
	User      string // before a query; "" for no marker
	Helpful   string // before a helpful reply
	Unhelpful string // before an unhelpful reply; "" if the system has no such replies
}

// The markers of published systems. For others, make a Markers value.
var (
	// KoalaMarkers are those of create_hf_data_v2.py in koala_data_pipeline.
	KoalaMarkers = Markers{"USER:", "GPT:", "An Unhelpful Answer:"}
	// HindsightMarkers are those of Chain of Hindsight (Liu et al. 2023).
	HindsightMarkers = Markers{"User:", "A helpful answer:", "An unhelpful answer:"}
	// KorbakMarkers are those of the code of Korbak et al. 2023, which has no
	// user's turns.
	KorbakMarkers = Markers{"", "<|aligned|>", "<|misaligned|>"}
	// BeaverMarkers are those of PKU's Safe-RLHF family.
	BeaverMarkers = Markers{"USER:", "ASSISTANT:", ""}
)

// reply returns the marker of replies of a quality, or "" if there is none.
func (m *Markers) reply(q Quality) string {
	switch q {
	case Helpful:
		return m.Helpful
	case Unhelpful:
		return m.Unhelpful
	}
	return ""
}

// Dialect is a way to write a conversation as text:
//
//	Header+" "+User+" "+query+" "+marker+BeforeReply+reply+End+AfterReply+User+…
//
// A prompt, whose last query has no reply, ends with the marker. If Header or
// Markers.User is "", its space is also left out.
type Dialect struct {
	Name        string  // the name for DialectNamed and error texts
	Header      string  // the beginning of a conversation
	Markers     Markers // the texts before turns
	BeforeReply string  // between the marker and the reply
	End         string  // after a reply; must not be empty
	AfterReply  string  // between End and the next turn
}

// The dialects in use.
var (
	// FastChat is koala_v1 of FastChat, whose text gives the tokens of the
	// training. It is the default.
	FastChat = Dialect{"fastchat", Header, KoalaMarkers, " ", EndText, ""}
	// EasyLM is the dialect of EasyLM's documentation and server.
	EasyLM = Dialect{"easylm", Header, KoalaMarkers, "", EndText, ""}
	// Eval is the dialect of koala_data_pipeline's evaluation export.
	Eval = Dialect{"eval", Header, KoalaMarkers, " ", EndText, " "}
	// Beaver is the dialect of PKU's Safe-RLHF family, which has one reply marker.
	// Its documentation shows queries only; its replies are written like EasyLM's.
	Beaver = Dialect{"beaver", Header, BeaverMarkers, "", EndText, ""}
	// EasyLMContext is the form of the context that EasyLM's /chat returns: EasyLM
	// without its header.
	EasyLMContext = Dialect{"easylm-context", "", KoalaMarkers, "", EndText, ""}
)

// Dialects returns the dialects in use, in the order in which Parse tries them.
func Dialects() []*Dialect {
	return []*Dialect{&FastChat, &Eval, &EasyLM, &Beaver, &EasyLMContext}
}

// DialectNamed returns the element of Dialects with a name. The error is an
// *OptionError of the kind ErrDialect.
func DialectNamed(name string) (*Dialect, error) {
	for _, d := range Dialects() {
		if d.Name == name {
			return d, nil
		}
	}
	return nil, optionError("dialect", ErrDialect, "unknown dialect %.40q", name)
}

// Check reports a dialect whose texts could be read in two ways: because End or the
// helpful marker is empty, because both reply markers are the same, or because End
// contains white space or could appear where it was not written. The error is an
// *OptionError of the kind ErrDialect. Every function that renders or parses calls
// Check.
func (d *Dialect) Check() error {
	if fault := d.fault(); fault != "" {
		return optionError("Dialect", ErrDialect, "dialect %.40q: %s", d.Name, fault)
	}
	return nil
}

// fault returns what is wrong with a dialect, or "".
func (d *Dialect) fault() string {
	m := &d.Markers
	switch {
	case d.End == "":
		return "End is empty"
	case m.Helpful == "":
		return "the helpful marker is empty"
	case m.Helpful == m.Unhelpful:
		return "both reply markers are the same"
	case strings.ContainsAny(d.End, " \t\r\n"):
		return "End has white space in it"
	case overlaps(d.End, d.End):
		return "End overlaps with itself"
	}
	for _, s := range [...]string{d.Header, m.User, m.Helpful, m.Unhelpful, d.BeforeReply, d.AfterReply, d.End} {
		if !utf8.ValidString(s) {
			return "a mark is not UTF-8"
		}
		if s != d.End && (strings.Contains(s, d.End) || overlaps(s, d.End)) {
			return "a mark contains End, or ends with a beginning of End"
		}
	}
	return ""
}

// overlaps reports whether an end of a is a beginning of b that is shorter than b.
func overlaps(a, b string) bool {
	for n := 1; n < len(b) && n <= len(a); n++ {
		if n < len(a) || a != b {
			if strings.HasSuffix(a, b[:n]) {
				return true
			}
		}
	}
	return false
}

// checkMarker returns an error of the kind ErrMarker if the dialect has no
// marker for replies of a quality.
func (d *Dialect) checkMarker(q Quality) error {
	if d.Markers.reply(q) != "" {
		return nil
	}
	return reason(ErrMarker, "dialect %.40q has no marker for replies of quality %s", d.Name, q)
}
