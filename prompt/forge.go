package prompt

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// FindingKind says what a Finding looks like.
type FindingKind uint8

// The kinds.
const (
	LooksLikeMark FindingKind = iota // a marker of the dialect, or its header
	ControlText                      // <s>, </s>, <unk>, NUL, or the dialect's End
	ByteName                         // the name of a byte token such as <0x0A>, which some servers read as the byte
)

// String returns the name of the kind: marker, control, byte name.
func (k FindingKind) String() string {
	switch k {
	case LooksLikeMark:
		return "marker"
	case ControlText:
		return "control"
	}
	return "byte name"
}

// Finding is a part of the content of a turn that a model or a server could read as
// something other than content.
type Finding struct {
	Kind   FindingKind // what it looks like
	Turn   int         // the index of the turn
	Offset int         // the offset of its first byte in the content
	Length int         // its length in bytes
	Mark   string      // the mark that it looks like
	Exact  bool        // whether it is the mark itself, not a look-alike
}

// Inspect finds text that a stranger may have put into a conversation to forge turns.
// It changes nothing.
//
// It finds exact marks anywhere. It finds look-alikes unless they continue a word:
// in upper or lower case, with other letters that look the same (full-width, Cyrillic
// and Greek ones), with other colons, with any white space, ▁ or no-break space in
// place of a space, with white space before the colon, and with invisible characters
// and accents anywhere. It is an aid for moderators and no guarantee, because other
// look-alikes exist.
func (d *Dialect) Inspect(c Conversation) []Finding {
	var all []Finding
	f := d.finder()
	for i := range c {
		for at := 0; ; {
			found, ok := f.next(c[i].Content, at)
			if !ok {
				break
			}
			found.Turn = i
			all = append(all, found)
			at = found.Offset + found.Length
		}
	}
	return all
}

// finder finds the marks of a dialect.
type finder struct {
	d     *Dialect
	marks []mark
	start [utf8.RuneSelf]bool // the ASCII characters with which a finding may begin
	end   rune                // the first character of the dialect's End
}

// mark is a mark of a dialect.
type mark struct {
	text string
	look []rune // the visible characters of text, folded
}

func (d *Dialect) finder() *finder {
	f := &finder{d: d}
	f.start['<'], f.start[0] = true, true
	for _, text := range [...]string{d.Header, d.Markers.User, d.Markers.Helpful, d.Markers.Unhelpful} {
		if strings.TrimSpace(text) != "" {
			f.add(text)
		}
	}
	f.end, _ = utf8.DecodeRuneInString(d.End)
	return f
}

func (f *finder) add(text string) {
	m := mark{text: text}
	for _, r := range text {
		if folded := fold(r); folded != invisible {
			m.look = append(m.look, folded)
		}
	}
	if len(m.look) == 0 {
		return
	}
	f.marks = append(f.marks, m)
	for r := range rune(utf8.RuneSelf) {
		if fold(r) == m.look[0] {
			f.start[r] = true
		}
	}
}

// next returns the first finding at or after an offset. It does not set Turn.
func (f *finder) next(content string, from int) (Finding, bool) {
	for at := from; at < len(content); {
		r, size := rune(content[at]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(content[at:])
		}
		if f.begins(r) {
			if found, ok := f.at(content, at); ok {
				return found, true
			}
		}
		at += size
	}
	return Finding{}, false
}

// begins reports whether a character may begin a finding.
func (f *finder) begins(r rune) bool {
	if r < utf8.RuneSelf {
		return f.start[r] || r == f.end
	}
	folded := fold(r)
	return r == f.end || folded >= utf8.RuneSelf || folded >= 0 && f.start[folded]
}

// forged returns the first finding that looks like a mark.
func (f *finder) forged(content string) (Finding, bool) {
	for at := 0; ; {
		found, ok := f.next(content, at)
		if !ok || found.Kind == LooksLikeMark {
			return found, ok
		}
		at = found.Offset + found.Length
	}
}

// at returns the longest finding that begins at an offset.
func (f *finder) at(content string, at int) (Finding, bool) {
	rest := content[at:]
	if !f.letter(rest[0]) {
		if found, ok := f.notMark(rest, at); ok {
			return found, true
		}
	}
	best := Finding{Offset: at}
	r, _ := utf8.DecodeRuneInString(rest)
	first, inWord := fold(r), endsInWord(content[:at])
	for i := range f.marks {
		m := &f.marks[i]
		if m.look[0] != first {
			continue
		}
		if strings.HasPrefix(rest, m.text) && len(m.text) > best.Length {
			best.Mark, best.Length, best.Exact = m.text, len(m.text), true
		} else if !inWord {
			if n := m.matchLookAlike(rest); n > best.Length {
				best.Mark, best.Length, best.Exact = m.text, n, false
			}
		}
	}
	return best, best.Length > 0
}

// letter reports whether a byte is a letter, which begins only marks.
func (f *finder) letter(c byte) bool {
	return ('A' <= c && c <= 'Z' || 'a' <= c && c <= 'z') && f.end != rune(c)
}

// notMark returns the control text or byte name with which a text begins.
func (f *finder) notMark(rest string, at int) (Finding, bool) {
	if text := f.special(rest); text != "" {
		return Finding{ControlText, 0, at, len(text), text, true}, true
	}
	if isByteName(rest) {
		return Finding{ByteName, 0, at, len("<0x00>"), rest[:len("<0x00>")], true}, true
	}
	return Finding{}, false
}

// special returns the control text with which a text begins, or "".
func (f *finder) special(rest string) string {
	if at, text := f.d.control(rest[:min(len(rest), max(len(f.d.End), len("<unk>")))], 0); at == 0 {
		return text
	}
	return ""
}

// isByteName reports whether a text begins with the name of a byte token, like
// <0x0A>.
func isByteName(s string) bool {
	return len(s) >= 6 && s[:3] == "<0x" && isHex(s[3]) && isHex(s[4]) && s[5] == '>'
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'F' || 'a' <= c && c <= 'f'
}

// endsInWord reports whether a text ends with a letter or a digit.
func endsInWord(before string) bool {
	if before == "" {
		return false
	}
	r, _ := utf8.DecodeLastRuneInString(before)
	return unicode.IsLetter(r) || unicode.IsDigit(r)
}

// matchLookAlike returns the length of the look-alike of the mark with which a text
// begins, or 0.
func (m *mark) matchLookAlike(text string) int {
	at := 0
	for _, want := range m.look {
		end, ok := matchRune(text, at, want)
		if !ok {
			return 0
		}
		at = end
	}
	return at
}

// matchRune reads one character of a mark and the invisible characters around it.
func matchRune(text string, at int, want rune) (end int, ok bool) {
	for at < len(text) {
		r, size := utf8.DecodeRuneInString(text[at:])
		switch got := fold(r); {
		case got == invisible:
			if at == 0 {
				return 0, false // a finding begins with a visible character
			}
		case got == want && want == ' ':
			ok = true
		case got == want:
			return at + size, true
		case want == ':' && got == ' ': // skip white space before the colon
		default:
			return at, ok
		}
		at += size
	}
	return at, ok
}

// invisible is the result of fold for characters that do not show.
const invisible = -1

// fold maps characters that look the same to one character.
func fold(r rune) rune {
	switch {
	case 'a' <= r && r <= 'z':
		return r - 'a' + 'A'
	case '!' <= r && r < utf8.RuneSelf-1:
		return r
	case r == ' ' || r == '▁' || r == '\u2800' || r == '\u3164' || unicode.IsSpace(r):
		return ' '
	case r < utf8.RuneSelf:
		return invisible // control characters
	case '！' <= r && r <= '～':
		return fold(r - '！' + '!')
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Variation_Selector) || r == '\u115f' || r == '\u1160':
		return invisible
	}
	if same, ok := lookAlikes[unicode.ToUpper(r)]; ok {
		return same
	}
	return unicode.ToUpper(r)
}

// lookAlikes maps upper-case characters to the ASCII characters that they look like.
var lookAlikes = map[rune]rune{
	'﹕': ':', '꞉': ':', '∶': ':', 'ː': ':', '˸': ':', '׃': ':', '։': ':', '︓': ':', '܃': ':', 'ः': ':',
	'А': 'A', 'В': 'B', 'Е': 'E', 'Ѕ': 'S', 'І': 'I', 'Ј': 'J', 'К': 'K', 'М': 'M', 'Н': 'H', 'О': 'O', 'Р': 'P',
	'С': 'C', 'Т': 'T', 'У': 'Y', 'Х': 'X', 'Ԍ': 'G', 'Ѵ': 'V',
	'Α': 'A', 'Β': 'B', 'Ε': 'E', 'Ζ': 'Z', 'Η': 'H', 'Ι': 'I', 'Κ': 'K', 'Μ': 'M', 'Ν': 'N', 'Ο': 'O', 'Ρ': 'P',
	'Τ': 'T', 'Υ': 'Y', 'Χ': 'X', 'Ϲ': 'C', 'Ꮪ': 'S', 'Ꭱ': 'R', 'Ꭼ': 'E', 'Ꮐ': 'G', 'Ꮲ': 'P', 'Ꭲ': 'T', 'Ս': 'U',
}
