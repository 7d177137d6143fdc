package torchfile_test

import (
	"encoding/binary"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/refusal/refusaltest"
)

// value returns a row for a dictionary with the single value v.
func value(name, v string, kind error) refusaltest.Bad {
	return bad(name, dictOf("w", v), kind, "")
}

func shortText(s string) string { return "\x8c" + string([]byte{byte(len(s))}) + s }

func stackGlobal(module, name string) string { return shortText(module) + shortText(name) + "¦\x93" }

// payloads returns pickles that would run code in Python. The mark stands where
// a pickle names what it would call, and the error names the global.
func payloads() []struct{ name, pickle, global string } {
	return []struct{ name, pickle, global string }{
		{"os.system", proto + "¦cos\nsystem\n" + text("id") + "\x85R.", "os.system"},
		{"posix.system", proto + "¦cposix\nsystem\n(" + text("id") + "tR.", "posix.system"},
		{"nt.system", proto + "¦cnt\nsystem\n(" + text("id") + "tR.", "nt.system"},
		{"builtins.eval", proto + "¦cbuiltins\neval\n" + text("1") + "\x85R.", "builtins.eval"},
		{"builtins.exec", proto + "¦cbuiltins\nexec\n" + text("1") + "\x85R.", "builtins.exec"},
		{"builtins.getattr", proto + "¦cbuiltins\ngetattr\n.", "builtins.getattr"},
		{"Python 2's builtins", proto + "¦c__builtin__\neval\n.", "__builtin__.eval"},
		{"builtins.__import__", proto + "¦cbuiltins\n__import__\n.", "builtins.__import__"},
		{"subprocess.Popen", proto + "¦csubprocess\nPopen\n.", "subprocess.Popen"},
		{"subprocess.check_output", proto + "¦csubprocess\ncheck_output\n.", "subprocess.check_output"},
		{"runpy", proto + "¦crunpy\n_run_code\n.", "runpy._run_code"},
		{"webbrowser", proto + "¦cwebbrowser\nopen\n.", "webbrowser.open"},
		{"copyreg", proto + "¦ccopyreg\n_reconstructor\n.", "copyreg._reconstructor"},
		{"Python 2's copyreg", proto + "¦ccopy_reg\n_reconstructor\n.", "copy_reg._reconstructor"},
		{"operator.attrgetter", proto + "¦coperator\nattrgetter\n.", "operator.attrgetter"},
		{"functools.partial", proto + "¦cfunctools\npartial\n.", "functools.partial"},
		{"a chain of __reduce__", dictOf("w", "¦cbuiltins\ngetattr\n(cbuiltins\n__import__\n"+text("os")+"\x85R"+text("system")+"tR"+text("id")+"\x85R"), "builtins.getattr"},
		{"after a tensor", dictOf("w", plainHalf, "x", "¦cos\nsystem\n"+text("id")+"\x85R"), "os.system"},
		{"in a hook", dictOf("w", rebuild+"("+stored("HalfStorage", "0", 12)+"K\x00"+tup(12)+tup(1)+"\x89"+noHooks+"(K\x00¦cos\nsystem\nutR"), "os.system"},
		{"in metadata", proto + noHooks + "}" + text("_metadata") + "¦cos\nsystem\n)Rsb.", "os.system"},
		{"in a list", dictOf("w", "](¦cos\nsystem\n)Re"), "os.system"},
		{"STACK_GLOBAL", "\x80\x04" + stackGlobal("os", "system") + shortText("id") + "\x85R.", "os.system"},
		{"STACK_GLOBAL of a dotted name", "\x80\x04" + stackGlobal("collections", "OrderedDict.__init__") + ".", "collections.OrderedDict.__init__"},
		{"STACK_GLOBAL through the memo", "\x80\x05" + shortText("system") + "\x94" + shortText("os") + "\x94h\x01h\x00¦\x93.", "os.system"},
		{"INST", proto + "(" + text("id") + "¦ios\nsystem\n.", "os.system"},
		{"INST of an allowed class", proto + "(¦icollections\nOrderedDict\n.", "collections.OrderedDict"},
		{"OBJ", proto + "(¦cos\nsystem\n" + text("id") + "o.", "os.system"},
		{"OBJ of an allowed class", proto + "(ccollections\nOrderedDict\n¦o.", "OBJ"},
		{"NEWOBJ", proto + "¦cos\nsystem\n)\x81.", "os.system"},
		{"NEWOBJ of an allowed class", proto + "ccollections\nOrderedDict\n)¦\x81.", "NEWOBJ"},
		{"NEWOBJ_EX", "\x80\x04ccollections\nOrderedDict\n)}¦\x92.", "NEWOBJ_EX"},
		{"EXT1", proto + "¦\x82\x01)R.", "EXT1"},
		{"EXT2", proto + "¦\x83\x01\x00)R.", "EXT2"},
		{"EXT4", proto + "¦\x84\x01\x00\x00\x00)R.", "EXT4"},
		{"torch.load", proto + "¦ctorch\nload\n.", "torch.load"},
		{"torch.hub.load", proto + "¦ctorch.hub\nload\n.", "torch.hub.load"},
		{"torch._utils by another name", proto + "¦ctorch._utils\n_rebuild_tensor_v3\n.", "torch._utils._rebuild_tensor_v3"},
		{"a Parameter with state", proto + "¦ctorch._utils\n_rebuild_parameter_with_state\n.", "torch._utils._rebuild_parameter_with_state"},
		{"a tensor's subclass", proto + "¦ctorch._tensor\n_rebuild_from_type_v2\n.", "torch._tensor._rebuild_from_type_v2"},
		{"an untyped storage", proto + "¦ctorch.storage\nUntypedStorage\n.", "torch.storage.UntypedStorage"},
		{"a storage of complex numbers", proto + "¦ctorch\nComplexFloatStorage\n.", "torch.ComplexFloatStorage"},
		{"a storage from elsewhere", proto + "¦cos\nHalfStorage\n.", "os.HalfStorage"},
		{"a storage's class with a dot", proto + "¦ctorch\nHalfStorage.mro\n.", "torch.HalfStorage.mro"},
		{"the module's last dot elsewhere", proto + "¦ctorch\n_utils._rebuild_tensor_v2\n.", "torch._utils._rebuild_tensor_v2"},
		{"space before an allowed name", proto + "¦ccollections\n OrderedDict\n.", "collections. OrderedDict"},
		{"carriage returns", proto + "¦ccollections\r\nOrderedDict\r\n.", "collections?.OrderedDict?"},
		{"an empty name", proto + "¦c\n\n.", "."},
		{"numpy", proto + "¦cnumpy.core.multiarray\nscalar\n.", "numpy.core.multiarray.scalar"},
		{"argparse", dictOf("args", "¦cargparse\nNamespace\n)\x81}b"), "argparse.Namespace"},
	}
}

func TestPayloads(t *testing.T) {
	for _, test := range payloads() {
		t.Run(test.name, func(t *testing.T) {
			row := bad(test.name, test.pickle, refusal.ErrUnsupported, "")
			e := refusaltest.Refused(t, refusaltest.Lawful(t, len(row.Bytes), func() error { return read(row.Bytes) }), refusal.ErrUnsupported)
			require.Equal(t, row.Offset, e.Offset, "offset of the error: %v", e)
			require.Contains(t, e.Error(), test.global)
		})
	}
}

func TestBadCalls(t *testing.T) {
	s := stored("HalfStorage", "0", 12)
	args := func(a ...string) string { return rebuild + "(" + strings.Join(a, "") + "t¦R" }
	one, f := tup(1), "\x89"
	refusaltest.Run(t, []refusaltest.Bad{
		value("REDUCE of a storage's class", "ctorch\nHalfStorage\n)¦R", refusal.ErrUnsupported),
		value("REDUCE of a string", text("os.system")+")¦R", refusal.ErrUnsupported),
		value("REDUCE of a tensor", plainHalf+")¦R", refusal.ErrUnsupported),
		value("REDUCE with no tuple", "ccollections\nOrderedDict\n]¦R", refusal.ErrMalformed),
		value("REDUCE with a dictionary", "ccollections\nOrderedDict\n}¦R", refusal.ErrMalformed),
		value("OrderedDict of a list", "ccollections\nOrderedDict\n]\x85¦R", refusal.ErrUnsupported),
		value("tensor of nothing", args(), refusal.ErrMalformed),
		value("tensor of five", args(s, num(0), one, one, f), refusal.ErrMalformed),
		value("tensor of seven", args(s, num(0), one, one, f, noHooks, "}"), refusal.ErrUnsupported),
		value("tensor of eight", args(s, num(0), one, one, f, noHooks, "}", "}"), refusal.ErrMalformed),
		value("tensor of no storage", args(text("0"), num(0), one, one, f, noHooks), refusal.ErrMalformed),
		value("tensor of a tensor", args(plainHalf, num(0), one, one, f, noHooks), refusal.ErrMalformed),
		value("tensor of a storage's class", args(glob("torch.HalfStorage"), num(0), one, one, f, noHooks), refusal.ErrMalformed),
		value("offset is a string", args(s, text("0"), one, one, f, noHooks), refusal.ErrMalformed),
		value("offset is a float", args(s, "G\x00\x00\x00\x00\x00\x00\x00\x00", one, one, f, noHooks), refusal.ErrMalformed),
		value("offset is negative", args(s, num(-1), one, one, f, noHooks), refusal.ErrMalformed),
		value("offset has nine bytes", args(s, "\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01", one, one, f, noHooks), refusal.ErrMalformed),
		value("shape is a list", args(s, num(0), "]", one, f, noHooks), refusal.ErrMalformed),
		value("shape is a number", args(s, num(0), num(1), one, f, noHooks), refusal.ErrMalformed),
		value("shape of truth values", args(s, num(0), "\x88\x85", one, f, noHooks), refusal.ErrMalformed),
		value("strides of strings", args(s, num(0), one, text("a")+"\x85", f, noHooks), refusal.ErrMalformed),
		value("more strides than dimensions", args(s, num(0), one, tup(1, 1), f, noHooks), refusal.ErrMalformed),
		value("fewer strides than dimensions", args(s, num(0), tup(1, 1), one, f, noHooks), refusal.ErrMalformed),
		value("65 dimensions", args(s, num(0), tup(make(dims, 65)...), tup(make(dims, 65)...), f, noHooks), refusal.ErrMalformed),
		value("requires_grad is a number", args(s, num(0), one, one, num(0), noHooks), refusal.ErrMalformed),
		value("hooks are None", args(s, num(0), one, one, f, "N"), refusal.ErrUnsupported),
		value("hooks are a plain dictionary", args(s, num(0), one, one, f, "}"), refusal.ErrUnsupported),
		value("hooks are not empty", args(s, num(0), one, one, f, noHooks+num(0)+num(0)+"s"), refusal.ErrUnsupported),
		value("Parameter of nothing", rebuildP+")¦R", refusal.ErrMalformed),
		value("Parameter of a storage", rebuildP+s+"\x88"+noHooks+"\x87¦R", refusal.ErrMalformed),
		value("Parameter whose requires_grad is None", rebuildP+plainHalf+"N"+noHooks+"\x87¦R", refusal.ErrMalformed),
		value("Parameter with hooks", rebuildP+plainHalf+"\x88"+noHooks+num(1)+num(1)+"s\x87¦R", refusal.ErrUnsupported),
		value("BUILD of a tensor", plainHalf+"}¦b", refusal.ErrUnsupported),
		value("BUILD of a plain dictionary", "}}"+text("_metadata")+"}s¦b", refusal.ErrUnsupported),
		value("BUILD of a list", "]}¦b", refusal.ErrUnsupported),
		value("BUILD of a global", glob("torch._utils._rebuild_tensor_v2")+"}¦b", refusal.ErrUnsupported),
		value("BUILD with a tuple", noHooks+"N}\x86¦b", refusal.ErrUnsupported),
		value("BUILD of another attribute", noHooks+"}"+text("__class__")+"Ns¦b", refusal.ErrUnsupported),
		value("BUILD of _metadata and another", noHooks+"}("+text("_metadata")+"}"+text("x")+"Nu¦b", refusal.ErrUnsupported),
	}, read)
}

func TestBadItems(t *testing.T) {
	refusaltest.Run(t, []refusaltest.Bad{
		value("SETITEM on a tensor", plainHalf+text("a")+"N¦s", refusal.ErrMalformed),
		value("SETITEMS on a tensor", plainHalf+"("+text("a")+"N¦u", refusal.ErrMalformed),
		value("SETITEM on a list", "]"+num(0)+"N¦s", refusal.ErrMalformed),
		value("SETITEM on a tuple", ")"+num(0)+"N¦s", refusal.ErrMalformed),
		value("SETITEM on a storage", stored("HalfStorage", "0", 12)+num(0)+"N¦s", refusal.ErrMalformed),
		value("SETITEM on a global", glob("collections.OrderedDict")+text("x")+"N¦s", refusal.ErrMalformed),
		value("SETITEM on a string", text("x")+text("x")+"N¦s", refusal.ErrMalformed),
		value("SETITEMS of three", "}("+text("a")+"NN¦u", refusal.ErrMalformed),
		value("APPEND to a dictionary", "}N¦a", refusal.ErrMalformed),
		value("APPENDS to a tensor", plainHalf+"(N¦e", refusal.ErrMalformed),
		value("APPEND to a tuple", ")N¦a", refusal.ErrMalformed),
		value("a key twice", "}("+text("a")+"N"+text("a")+"N¦u", refusal.ErrMalformed),
		value("a key twice, far apart", "}"+text("a")+"Ns"+text("b")+"Ns"+text("a")+"N¦s", refusal.ErrMalformed),
		value("a number twice as a key", "}(K\x01NM\x01\x00N¦u", refusal.ErrMalformed),
		value("a tuple as a key", "})N¦s", refusal.ErrUnsupported),
		value("None as a key", "}NN¦s", refusal.ErrUnsupported),
		value("a truth value as a key", "}\x88N¦s", refusal.ErrUnsupported),
		value("a tensor as a key", "}"+plainHalf+"N¦s", refusal.ErrUnsupported),
		value("a mark as a value", "}"+text("a")+"(¦s", refusal.ErrMalformed),
		bad("a dictionary in itself", proto+"¦}q\x00"+text("a")+"h\x00s.", refusal.ErrMalformed, ""),
		bad("17 dictionaries in each other", proto+strings.Repeat("}"+text("a"), 16)+"¦}"+strings.Repeat("s", 16)+".", refusal.ErrMalformed, ""),
		bad("a tensor twice", proto+"}("+text("w")+plainHalf+text("w")+plainHalf+"¦u.", refusal.ErrMalformed, ""),
		bad("names that meet when joined", dictOf("a.b", plainHalf, "a", "}"+text("b")+half(0, dims{1}, dims{1})+"s"), refusal.ErrMalformed, "a.b"),
		bad("a number and its digits", proto+"}("+num(1)+plainHalf+text("1")+half(0, dims{1}, dims{1})+"u.", refusal.ErrMalformed, "1"),
	}, read)
}

func TestBadRoots(t *testing.T) {
	var rows []refusaltest.Bad
	for name, root := range map[string]string{
		"a tensor": plainHalf, "a list": "]", "a tuple": ")", "None": "N", "a number": num(7), "a string": text("x"),
		"a storage": stored("HalfStorage", "0", 12), "a global": glob("torch.HalfStorage"), "a float": "G\x00\x00\x00\x00\x00\x00\x00\x00",
	} {
		rows = append(rows, bad("root is "+name, proto+root+"¦.", refusal.ErrUnsupported, ""))
	}
	refusaltest.Run(t, rows, read)
}

func TestBadReferences(t *testing.T) {
	id := func(s string) string { return s + "¦Q" }
	class := glob("torch.HalfStorage")
	refusaltest.Run(t, []refusaltest.Bad{
		value("reference by a string", id(text("0")), refusal.ErrMalformed),
		value("reference by a number", id(num(0)), refusal.ErrMalformed),
		value("reference by None", id("N"), refusal.ErrMalformed),
		value("reference by an empty tuple", id(")"), refusal.ErrMalformed),
		value("reference by four", id("("+text("storage")+class+text("0")+text("cpu")+"t"), refusal.ErrMalformed),
		value("reference by six", id("("+text("storage")+class+text("0")+text("cpu")+num(12)+"Nt"), refusal.ErrMalformed),
		value("reference to a module", id("("+text("module")+class+text("0")+text("cpu")+num(12)+"t"), refusal.ErrMalformed),
		value("class is a string", id("("+text("storage")+text("HalfStorage")+text("0")+text("cpu")+num(12)+"t"), refusal.ErrMalformed),
		value("class is a function", id("("+text("storage")+glob("collections.OrderedDict")+text("0")+text("cpu")+num(12)+"t"), refusal.ErrMalformed),
		value("key is a number", id("("+text("storage")+class+num(0)+text("cpu")+num(12)+"t"), refusal.ErrMalformed),
		value("location is None", id("("+text("storage")+class+text("0")+"N"+num(12)+"t"), refusal.ErrMalformed),
		value("number is None", id("("+text("storage")+class+text("0")+text("cpu")+"Nt"), refusal.ErrMalformed),
		value("number is negative", id("("+text("storage")+class+text("0")+text("cpu")+num(-12)+"t"), refusal.ErrMalformed),
		value("reference by PERSID", "¦P0\n", refusal.ErrUnsupported),
		bad("two lengths of a storage", dictOf("w", plainHalf, "x", strings.Replace(stored("HalfStorage", "0", 11), "Q", "¦Q", 1)), refusal.ErrMalformed, ""),
		bad("two classes of a storage", dictOf("w", plainHalf, "x", strings.Replace(stored("ShortStorage", "0", 12), "Q", "¦Q", 1)), refusal.ErrMalformed, ""),
	}, read)
}

// reference returns a row for a tensor with an invalid storage.
func reference(name, class, key string, numel int64) refusaltest.Bad {
	s := stored(class, key, numel)
	v := unmarked(view(s[:len(s)-1], 0, dims{1}, dims{1}))
	at := strings.Index(v, "tK\x00") // the offset of the missing BINPERSID
	return bad(name, dictOf("w", plainHalf, "x", v[:at+1]+"¦Q"+v[at+1:]), refusal.ErrMalformed, "x")
}

func TestBadStorages(t *testing.T) {
	refusaltest.Run(t, []refusaltest.Bad{
		reference("no member", "HalfStorage", "2", 1),
		reference("member in other letter case", "HalfStorage", "../DATA/0", 1),
		reference("member above", "HalfStorage", "../data/1", 1),
		reference("empty key", "HalfStorage", "", 1),
		reference("one element over the member", "FloatStorage", "1", 17),
		reference("one element under the member", "FloatStorage", "1", 15),
		reference("no elements, a member of 64 bytes", "FloatStorage", "1", 0),
		reference("a narrower type", "HalfStorage", "1", 16),
		reference("a wider type", "DoubleStorage", "1", 16),
		reference("2^62 elements", "HalfStorage", "1", 1<<62),
		reference("2^63-1 elements", "DoubleStorage", "1", math.MaxInt64),
		value("no member, and no tensor", strings.Replace(stored("HalfStorage", "2", 1), "Q", "¦Q", 1), refusal.ErrMalformed),
		bad("no member, in a list", dictOf("w", "]"+strings.Replace(stored("HalfStorage", "2", 1), "Q", "¦Q", 1)+"a"), refusal.ErrMalformed, ""),
	}, read)
}

func TestBadExtents(t *testing.T) {
	var rows []refusaltest.Bad
	for _, r := range []struct {
		name           string
		first          int64
		shape, strides dims
	}{
		{"one element too many", 0, dims{13}, dims{1}},
		{"begins too late", 1, dims{12}, dims{1}},
		{"begins at the end", 12, dims{1}, dims{1}},
		{"a scalar beyond the end", 12, nil, nil},
		{"begins beyond the end", 13, dims{0}, dims{1}},
		{"begins at 2^63-1", math.MaxInt64, dims{1}, dims{1}},
		{"strides leave the storage", 0, dims{3, 4}, dims{5, 1}},
		{"columns leave the storage", 0, dims{4, 4}, dims{1, 3}},
		{"a stride of 2^62", 0, dims{2}, dims{1 << 62}},
		{"strides whose sum overflows", 0, dims{2, 2, 2}, dims{1 << 62, 1 << 62, 1 << 62}},
		{"steps times stride overflows", 0, dims{1<<32 + 1}, dims{1 << 32}},
		{"a negative stride", 11, dims{12}, dims{-1}},
		{"a negative stride of no element", 0, dims{0}, dims{-1}},
		{"a negative stride of one element", 0, dims{1}, dims{-1}},
		{"a negative dimension", 0, dims{-1}, dims{1}},
		{"two negative dimensions", 0, dims{-1, -1}, dims{1, 1}},
		{"a broadcast", 0, dims{13}, dims{0}},
		{"a broadcast of 2^40", 0, dims{1 << 40}, dims{0}},
		{"a broadcast of 2^62", 0, dims{1 << 31, 1 << 31}, dims{0, 0}},
		{"a broadcast that overflows", 0, dims{1 << 32, 1 << 32}, dims{0, 0}},
		{"an overflow before a zero", 0, dims{1 << 32, 1 << 32, 0}, dims{0, 0, 0}},
		{"a broadcast row", 0, dims{4, 4}, dims{0, 1}},
		{"overlapping windows", 0, dims{5, 8}, dims{1, 1}},
	} {
		pickle := dictOf("a", plainHalf, "w", half(r.first, r.shape, r.strides))
		rows = append(rows, bad(r.name, pickle, refusal.ErrMalformed, "w"))
	}
	rows = append(rows,
		bad("in a dictionary", dictOf("m", "}"+text("w")+half(1, dims{12}, dims{1})+"s"), refusal.ErrMalformed, "m.w"),
		bad("a Parameter", dictOf("w", rebuildP+half(1, dims{12}, dims{1})+"\x88"+noHooks+"\x87R"), refusal.ErrMalformed, "w"),
		bad("in a list, without a name", dictOf("w", "]"+half(1, dims{12}, dims{1})+"a"), refusal.ErrMalformed, ""),
		bad("by its first name", proto+"}("+text("b")+half(1, dims{12}, dims{1})+"q\x00"+text("a")+"h\x00u.", refusal.ErrMalformed, "b"),
	)
	refusaltest.Run(t, rows, read)
}

func TestBadMachine(t *testing.T) {
	refusaltest.Run(t, []refusaltest.Bad{
		bad("empty pickle's one byte", "¦\x80", refusal.ErrMalformed, ""),
		bad("no protocol", "¦}.", refusal.ErrMalformed, ""),
		bad("protocol 0", "¦\x80\x00}.", refusal.ErrUnsupported, ""),
		bad("protocol 1", "¦\x80\x01}.", refusal.ErrUnsupported, ""),
		bad("protocol 6", "¦\x80\x06}.", refusal.ErrUnsupported, ""),
		bad("a second protocol", proto+"¦"+proto+"}.", refusal.ErrUnsupported, ""),
		bad("no STOP", proto+"}¦", io.ErrUnexpectedEOF, ""),
		bad("nothing before STOP", proto+"¦.", refusal.ErrMalformed, ""),
		bad("a mark before STOP", proto+"}(¦.", refusal.ErrMalformed, ""),
		bad("two values before STOP", proto+"}}¦.", refusal.ErrMalformed, ""),
		bad("a byte after STOP", proto+"}.¦.", refusal.ErrMalformed, ""),
		bad("a second pickle", proto+"}.¦"+proto+"}.", refusal.ErrMalformed, ""),
		bad("unknown opcode", proto+"¦\xff", refusal.ErrMalformed, ""),
		bad("opcode 0", proto+"¦\x00", refusal.ErrMalformed, ""),
		bad("TUPLE1 of nothing", proto+"¦\x85.", refusal.ErrMalformed, ""),
		bad("TUPLE3 of two", proto+"NN¦\x87.", refusal.ErrMalformed, ""),
		bad("TUPLE2 over a mark", proto+"N(N¦\x86.", refusal.ErrMalformed, ""),
		bad("TUPLE without a mark", proto+"NN¦t.", refusal.ErrMalformed, ""),
		bad("SETITEM of nothing", proto+"¦s.", refusal.ErrMalformed, ""),
		bad("SETITEM without a dictionary", proto+"NN¦s.", refusal.ErrMalformed, ""),
		bad("SETITEMS without a mark", proto+"}¦u.", refusal.ErrMalformed, ""),
		bad("SETITEMS of nothing", proto+"(¦u.", refusal.ErrMalformed, ""),
		bad("APPEND of nothing", proto+"¦a.", refusal.ErrMalformed, ""),
		bad("APPENDS without a mark", proto+"]¦e.", refusal.ErrMalformed, ""),
		bad("APPENDS without a list", proto+"(¦e.", refusal.ErrMalformed, ""),
		bad("REDUCE of nothing", proto+"¦R.", refusal.ErrMalformed, ""),
		bad("REDUCE of one", proto+")¦R.", refusal.ErrMalformed, ""),
		bad("BUILD of nothing", proto+"¦b.", refusal.ErrMalformed, ""),
		bad("BUILD of one", proto+"}¦b.", refusal.ErrMalformed, ""),
		bad("BINPERSID of nothing", proto+"¦Q.", refusal.ErrMalformed, ""),
		bad("STACK_GLOBAL of one", "\x80\x04"+text("os")+"¦\x93.", refusal.ErrMalformed, ""),
		bad("STACK_GLOBAL of numbers", "\x80\x04"+num(1)+num(2)+"¦\x93.", refusal.ErrMalformed, ""),
		bad("GLOBAL without a newline", proto+"¦cos", io.ErrUnexpectedEOF, ""),
		bad("GLOBAL with one newline", proto+"¦cos\nsystem", io.ErrUnexpectedEOF, ""),
	}, read)
}

func TestBadMemo(t *testing.T) {
	refusaltest.Run(t, []refusaltest.Bad{
		bad("memo of nothing", proto+"¦q\x00.", refusal.ErrMalformed, ""),
		bad("memo of a mark", proto+"(¦q\x00.", refusal.ErrMalformed, ""),
		bad("memo number twice", proto+"}q\x00¦q\x00.", refusal.ErrMalformed, ""),
		bad("missing memo", proto+"¦h\x00.", refusal.ErrMalformed, ""),
		bad("missing memo after another one", proto+"}q\x00¦h\x01.", refusal.ErrMalformed, ""),
		bad("missing memo 2^32-1", proto+"¦j\xff\xff\xff\xff.", refusal.ErrMalformed, ""),
		bad("LONG_BINPUT 2^32-1", proto+"}¦r\xff\xff\xff\xff.", refusal.ErrMalformed, ""),
		bad("LONG_BINPUT 2^31", proto+"}¦r\x00\x00\x00\x80.", refusal.ErrMalformed, ""),
	}, read)
}

func TestBadLengths(t *testing.T) {
	le := binary.LittleEndian
	refusaltest.Run(t, []refusaltest.Bad{
		bad("BINUNICODE of 4 GiB", proto+"¦X\xff\xff\xff\xff.", io.ErrUnexpectedEOF, ""),
		bad("BINUNICODE8 of 2^64-1", "\x80\x04¦\x8d\xff\xff\xff\xff\xff\xff\xff\xff.", io.ErrUnexpectedEOF, ""),
		bad("BINUNICODE8 of 2^63", "\x80\x04¦\x8d\x00\x00\x00\x00\x00\x00\x00\x80.", io.ErrUnexpectedEOF, ""),
		bad("SHORT_BINUNICODE of 255", "\x80\x04¦\x8c\xff.", io.ErrUnexpectedEOF, ""),
		bad("BINBYTES of 4 GiB", "\x80\x03¦B\xff\xff\xff\xff.", io.ErrUnexpectedEOF, ""),
		bad("BINBYTES8 of 2^64-1", "\x80\x04¦\x8e\xff\xff\xff\xff\xff\xff\xff\xff.", io.ErrUnexpectedEOF, ""),
		bad("BYTEARRAY8 of 2^64-1", "\x80\x05¦\x96\xff\xff\xff\xff\xff\xff\xff\xff.", io.ErrUnexpectedEOF, ""),
		bad("LONG4 of -1", proto+"¦\x8b\xff\xff\xff\xff.", io.ErrUnexpectedEOF, ""),
		bad("LONG1 of 255", proto+"¦\x8a\xff.", io.ErrUnexpectedEOF, ""),
		bad("BININT cut", proto+"¦J\x00\x00", io.ErrUnexpectedEOF, ""),
		bad("BINFLOAT cut", proto+"¦G\x00\x00", io.ErrUnexpectedEOF, ""),
		bad("FRAME over the end", "\x80\x04¦\x95\x03\x00\x00\x00\x00\x00\x00\x00}.", io.ErrUnexpectedEOF, ""),
		bad("FRAME of 2^64-1", "\x80\x04¦\x95\xff\xff\xff\xff\xff\xff\xff\xff}.", io.ErrUnexpectedEOF, ""),
		bad("a string not UTF-8", proto+"¦X\x01\x00\x00\x00\xff.", refusal.ErrMalformed, ""),
		bad("a surrogate", proto+"¦X\x03\x00\x00\x00\xed\xa0\x80.", refusal.ErrMalformed, ""),
		bad("out-of-band buffer", "\x80\x05¦\x97.", refusal.ErrUnsupported, ""),
		bad("8193 values", proto+strings.Repeat("N", 8192)+"¦N.", refusal.ErrMalformed, ""),
		bad("8193 marks", proto+strings.Repeat("(", 8192)+"¦(.", refusal.ErrMalformed, ""),
		bad("a length beyond the end", proto+"¦X"+string(le.AppendUint32(nil, 2))+".", io.ErrUnexpectedEOF, ""),
	}, read)
}

// TestRefusedOpcodes reads opcodes that picklers of protocols 2 to 5 do not use
// for checkpoints.
func TestRefusedOpcodes(t *testing.T) {
	var rows []refusaltest.Bad
	for code, name := range map[string]string{
		"0": "POP", "1": "POP_MARK", "2": "DUP", "F1\n": "FLOAT", "I1\n": "INT", "L1L\n": "LONG", "S'a'\n": "STRING",
		"T\x01\x00\x00\x00a": "BINSTRING", "U\x01a": "SHORT_BINSTRING", "Va\n": "UNICODE", "(d": "DICT", "(l": "LIST",
		"g0\n": "GET", "p0\n": "PUT", "\x8f": "EMPTY_SET", "(\x90": "ADDITEMS", "(\x91": "FROZENSET", "\x98": "READONLY_BUFFER",
	} {
		at := strings.TrimPrefix(code, "(")
		rows = append(rows, bad(name, "\x80\x05}"+code[:len(code)-len(at)]+"¦"+at+".", refusal.ErrUnsupported, ""))
	}
	refusaltest.Run(t, rows, read)
}
