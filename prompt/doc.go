// Package prompt turns conversations into the text that Koala was trained on,
// and back.
//
// A [Conversation] is a row of turns that begins with the user and alternates.
// A [Dialect] is a way to write it down. Koala's tokens were made from fields
// that were encoded one by one; four strings stand for them, which differ in
// two spaces:
//
//	FastChat  H USER: Hello! GPT: A</s>USER: Q GPT:
//	EasyLM    H USER: Hello! GPT:A</s>USER: Q GPT:
//	Eval      H USER: Hello! GPT: A</s> USER: Q GPT:
//	Beaver    H USER: Hello! ASSISTANT:A</s>USER: Q ASSISTANT:
//
// where H is BEGINNING OF CONVERSATION: and </s> ends a reply. Of these,
// FastChat's gives the tokens of the training when a tokenizer splits at </s>
// and puts its prefix before each piece; the others do not. So use FastChat,
// the default everywhere, for servers that take text, and ids, which package
// koala makes, for those that take ids.
//
// # Text and segments
//
// [Dialect.AppendText] makes the text. [Dialect.AppendSegments] makes what is
// encoded on its own, in the order of the training: the query with all marks
// around it, the reply, the end of the reply as a token. This package knows no
// tokens, and imports nothing but the standard library.
//
// [Parse] and [Dialect.Parse] read a text. What they give renders to the same
// text again; where a text could be two conversations they give ErrAmbiguous.
//
// # Whom to trust
//
// The content of a turn is from a stranger. It is never changed, but:
//
//   - It must be UTF-8, unless Options.InvalidUTF8 says otherwise.
//   - It must not be longer than Options.MaxContent.
//   - Text that servers read as tokens (<s>, </s>, <unk>) and NUL are refused
//     in a text, unless Options.AllowControl says otherwise. Among ids they are
//     harmless.
//   - What looks like a mark of the dialect is found by [Dialect.Inspect], and
//     refused with Options.RejectForged.
//
// Errors are *TurnError values, which say what, in which turn, and at which
// byte.
package prompt
