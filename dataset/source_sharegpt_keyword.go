package dataset

import "strings"

// hasKeyword reports whether a text names the model that wrote it or its maker:
// openai, chatgpt, gpt-3, chadgpt, gpt3, chat-gpt, open-ai or open ai, in any
// case. It looks for the letter p, which each keyword has once and which is rare
// in English, instead of lower-casing the text. The reference lower-cases by
// Unicode: among the characters outside ASCII only İ has a lower-case form that
// begins with a letter of a keyword.
func hasKeyword(text string) bool {
	for i := 1; i < len(text)-1; i++ {
		if text[i]|0x20 != 'p' {
			continue
		}
		switch text[i-1] | 0x20 {
		case 'g':
			if text[i+1]|0x20 == 't' && isGPTKeyword(text[:i-1], text[i+2:]) {
				return true
			}
		case 'o':
			if isOpenKeyword(text[i+1:]) {
				return true
			}
		}
	}
	return false
}

// isGPTKeyword reports whether gpt and the texts around it make a keyword.
func isGPTKeyword(before, after string) bool {
	return strings.HasPrefix(after, "3") || strings.HasPrefix(after, "-3") ||
		hasSuffixFold(before, "chat") || hasSuffixFold(before, "chat-") || hasSuffixFold(before, "chad")
}

// isOpenKeyword reports whether op and the text after it make a keyword.
func isOpenKeyword(after string) bool {
	if len(after) < 4 || !strings.EqualFold(after[:2], "en") {
		return false
	}
	after = after[2:]
	if after[0] == '-' || after[0] == ' ' {
		after = after[1:]
	}
	return len(after) >= 2 && after[0]|0x20 == 'a' && (after[1]|0x20 == 'i' || strings.HasPrefix(after[1:], "İ"))
}

// hasSuffixFold reports whether a text ends with a word of ASCII letters, in any
// case.
func hasSuffixFold(text, word string) bool {
	return len(text) >= len(word) && strings.EqualFold(text[len(text)-len(word):], word)
}
