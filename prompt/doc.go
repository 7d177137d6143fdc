// Package prompt turns conversations into the text that Koala was trained on, and
// back.
//
// Begin with a [Conversation] and [Dialect.Text]:
//
//	text, err := prompt.FastChat.Text(prompt.Conversation{{Role: prompt.User, Content: "Hello!"}}, nil)
//
// A [Conversation] is a sequence of turns that begins with the user and
// alternates. A [Dialect] is a way to write it as text. Koala's training encoded the
// fields of a conversation one by one. Four texts stand for the result, which differ
// in two spaces:
//
//	FastChat  H USER: Hello! GPT: A</s>USER: Q GPT:
//	EasyLM    H USER: Hello! GPT:A</s>USER: Q GPT:
//	Eval      H USER: Hello! GPT: A</s> USER: Q GPT:
//	Beaver    H USER: Hello! ASSISTANT:A</s>USER: Q ASSISTANT:
//
// H is BEGINNING OF CONVERSATION:, and </s> ends a reply. Only the text of FastChat
// gives the tokens of the training, if the tokenizer splits it at </s> and puts its
// prefix before each piece. FastChat is therefore the default. Use its text for
// servers that take text, and the ids of package koala for servers that take ids.
//
// # Text and segments
//
// [Dialect.AppendText] makes the text. [Dialect.AppendSegments] makes the segments
// that the training encoded on their own, in order: the query with all marks around
// it, the reply, and the end of the reply, which is a token. This package has no
// tokenizer and imports only the standard library.
//
// [Parse] and [Dialect.Parse] read a text. The conversation that they return renders
// to the same text. If the text could be two conversations, they return ErrAmbiguous.
//
// # Untrusted content
//
// The content of a turn comes from a stranger. This package never changes it, but
// checks it:
//
//   - It must be UTF-8, unless Options.InvalidUTF8 permits other bytes.
//   - It must not be longer than Options.MaxContent.
//   - A text must not contain what servers read as tokens (<s>, </s>, <unk>) or NUL,
//     unless Options.AllowControl permits it. Segments may contain it, because it is
//     harmless among ids.
//   - Options.RejectForged refuses what looks like a mark of the dialect.
//     [Dialect.Inspect] finds it.
//
// # Errors
//
// Errors are [*TurnError] values, which name the turn and the byte, or
// [*OptionError] values for options that cannot be used.
package prompt
