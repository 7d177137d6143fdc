//go:build !race

package koala_test

const raced = false
