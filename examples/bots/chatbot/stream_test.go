package chatbot

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/stretchr/testify/require"
)

// TestSplit checks that no message is too long, that no text is lost, and that more text
// does not change full messages.
func TestSplit(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 1))
	style := &Style{Max: 20, Escape: strings.NewReplacer("*", `\*`, "@", "@\u2060")}
	for range 2000 {
		var text strings.Builder
		for range r.IntN(60) {
			text.WriteString([]string{"a", "word", " ", "\n", "🦙", "é", "*", "@", "你好"}[r.IntN(9)])
		}
		parts := style.split(text.String())
		require.Equal(t, text.String(), strings.Join(parts, ""))
		for i, part := range parts {
			require.LessOrEqual(t, len(utf16.Encode([]rune(style.Escape.Replace(part)))), style.Max)
			require.True(t, i == 0 && text.Len() == 0 || part != "")
		}
		more := style.split(text.String() + "more and more")
		require.Equal(t, parts[:len(parts)-1], more[:len(parts)-1])
	}
	require.Equal(t, []string{"one two three four ", "five six"}, style.split("one two three four five six"))
}

// TestLongReply checks that a long reply is shown in several messages.
func TestLongReply(t *testing.T) {
	style := &Style{Max: 50, Every: time.Millisecond, Escape: strings.NewReplacer()}
	var p board
	s := newStream(t.Context(), &p, style)
	text := strings.Repeat("some words, ", 30)
	for _, word := range strings.SplitAfter(text, " ") {
		_, err := s.Write([]byte(word))
		require.NoError(t, err)
		time.Sleep(time.Millisecond)
	}
	require.NoError(t, s.Close("end"))
	require.Equal(t, text+"end", strings.Join(p.all(), ""))
	require.Greater(t, len(p.all()), 7)
	require.Greater(t, len(p.states), len(p.all()))
}

// TestEditsWait checks that edits make the pause that the platform asks for.
func TestEditsWait(t *testing.T) {
	var calls []time.Time
	p := board{fail: func(call int) error {
		calls = append(calls, time.Now())
		if call == 1 {
			return &WaitError{100 * time.Millisecond, errBroken}
		}
		return nil
	}}
	s := newStream(t.Context(), &p, &Style{Max: 500, Every: time.Millisecond, Escape: strings.NewReplacer()})
	for len(p.all()) == 0 {
		_, err := s.Write([]byte("word "))
		require.NoError(t, err)
		time.Sleep(time.Millisecond)
	}
	require.NoError(t, s.Close("end"))
	require.GreaterOrEqual(t, calls[1].Sub(calls[0]), 100*time.Millisecond)
}

// TestPlatformFails checks that messages which the platform refuses for a while are shown
// later, after the pauses that it asks for.
func TestPlatformFails(t *testing.T) {
	style := &Style{Max: 50, Every: time.Millisecond, Escape: strings.NewReplacer()}
	for name, fail := range map[string]func(int) error{
		"first calls": func(call int) error {
			if call < 4 {
				return errBroken
			}
			return nil
		},
		"every other": func(call int) error {
			if call%2 == 0 {
				return &WaitError{2 * time.Millisecond, errBroken}
			}
			return nil
		},
	} {
		p := board{fail: fail}
		s := newStream(t.Context(), &p, style)
		_, err := s.Write([]byte(strings.Repeat("some words, ", 10)))
		require.NoError(t, err)
		require.NoError(t, s.Close("end"), name)
		require.Equal(t, strings.Repeat("some words, ", 10)+"end", strings.Join(p.all(), ""), name)
	}
	p := board{fail: func(int) error { return errBroken }}
	s := newStream(t.Context(), &p, style)
	require.ErrorIs(t, s.Close("x"), errBroken)
	require.Equal(t, maxTries, p.calls)

	// Close makes the pause that the platform asks for, and gives up after maxTries.
	p = board{fail: func(call int) error {
		if call == 1 {
			return &WaitError{100 * time.Millisecond, errBroken}
		}
		return nil
	}}
	began := time.Now()
	require.NoError(t, newStream(t.Context(), &p, style).Close("x"))
	require.GreaterOrEqual(t, time.Since(began), 100*time.Millisecond)
	require.Equal(t, 2, p.calls)
	s = newStream(done(), &board{fail: func(int) error { return &WaitError{time.Hour, errBroken} }}, style)
	require.ErrorIs(t, s.Close("x"), errBroken)
}
