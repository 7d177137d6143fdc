package half

func init() {
	for _, k := range available() {
		k.exact, k.fast, k.fold = generic.exact, generic.fast, generic.fold
	}
}
