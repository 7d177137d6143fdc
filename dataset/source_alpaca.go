package dataset

// alpacaRecord makes a record of an instruction and an output. An input that is
// not empty follows the instruction after a space.
func alpacaRecord(o *ruleOutput, data []byte) (string, error) {
	v, err := readTexts(data, "instruction", "input", "output")
	if err != nil {
		return "", err
	}
	human, err := v[0].requireText("instruction")
	if err != nil {
		return "", err
	}
	input, err := v[1].requireText("input")
	if err != nil {
		return "", err
	}
	if input != "" {
		human += " " + input
	}
	reply := Field{Key: "gpt_1", Text: v[2].text}
	switch {
	case o.opts.Compat && v[2].kind == 'n': // the reference passes None on, and json.dumps writes it as null
		reply.Text, reply.JSON = "null", true
	case v[2].kind != '"':
		_, err = v[2].requireText("output")
	default:
		err = o.checkReply("output", reply.Text)
	}
	if err == nil {
		o.addPair(human, reply)
	}
	return "", err
}
