package koalago

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The bounds of a file and of a function, in lines.
const (
	maxFileLines     = 400
	maxFunctionLines = 60
)

// shadowed are the names that no declaration may take: the builtins, and the
// packages that a reader would look for.
var shadowed = map[string]bool{
	"any": true, "append": true, "cap": true, "clear": true, "close": true, "complex": true, "copy": true, "delete": true,
	"error": true, "false": true, "imag": true, "iota": true, "len": true, "make": true, "max": true, "min": true, "new": true,
	"nil": true, "panic": true, "print": true, "println": true, "real": true, "recover": true, "true": true,
	"bool": true, "byte": true, "rune": true, "string": true, "int": true, "uint": true, "int64": true, "float32": true, "float64": true,
	"prompt": true, "diff": true, "weights": true,
}

// TestHouse checks every Go file of the module and of the modules in it for
// the rules that a reader relies on.
func TestHouse(t *testing.T) {
	var problems []string
	err := filepath.WalkDir(".", func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && path != "." && (strings.HasPrefix(e.Name(), ".") || e.Name() == "testdata"):
			return filepath.SkipDir
		case strings.HasSuffix(path, ".go"):
			problems = append(problems, checkFile(t, path)...)
		}
		return nil
	})
	require.NoError(t, err)
	require.Empty(t, strings.Join(problems, "\n"))
}

// checkFile returns the problems of a file, each with its place.
func checkFile(t *testing.T, path string) (problems []string) {
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, path, text, parser.ParseComments)
	require.NoError(t, err)
	if ast.IsGenerated(file) {
		return nil
	}
	report := func(at token.Pos, format string, args ...any) {
		problems = append(problems, fmt.Sprintf("%v: %s", set.Position(at), fmt.Sprintf(format, args...)))
	}
	if lines := strings.Count(string(text), "\n"); lines > maxFileLines {
		report(file.Package, "the file has %d lines, more than %d", lines, maxFileLines)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if lines := set.Position(n.End()).Line - set.Position(n.Pos()).Line + 1; lines > maxFunctionLines {
				report(n.Pos(), "function %s has %d lines, more than %d", n.Name, lines, maxFunctionLines)
			}
		case *ast.Ident:
			if shadowed[n.Name] && n.Obj != nil && n.Obj.Pos() == n.Pos() && !isField(file, n) {
				report(n.Pos(), "%s shadows a builtin or a package", n.Name)
			}
		}
		return true
	})
	if isPublic(path, file) {
		for _, d := range file.Decls {
			checkComments(set, d, report)
		}
	}
	return problems
}

// isField reports whether an identifier names a field of a struct or a method
// of an interface. Such a name shadows nothing, because it follows a dot.
func isField(file *ast.File, id *ast.Ident) (found bool) {
	ast.Inspect(file, func(n ast.Node) bool {
		var list *ast.FieldList
		switch n := n.(type) {
		case *ast.StructType:
			list = n.Fields
		case *ast.InterfaceType:
			list = n.Methods
		default:
			return !found
		}
		for _, f := range list.List {
			for _, name := range f.Names {
				found = found || name == id
			}
		}
		return !found
	})
	return found
}

// isPublic reports whether other modules can import the package of a file.
func isPublic(path string, file *ast.File) bool {
	return file.Name.Name != "main" && !strings.HasSuffix(path, "_test.go") && !strings.Contains(filepath.ToSlash("/"+path), "/internal/")
}

// checkComments reports exported names and fields without a comment.
func checkComments(set *token.FileSet, d ast.Decl, report func(token.Pos, string, ...any)) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && isExportedReceiver(d) && !startsWith(d.Doc, d.Name.Name) {
			report(d.Pos(), "the comment of %s does not begin with its name", d.Name)
		}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				checkType(set, d, s, report)
			case *ast.ValueSpec:
				for _, name := range s.Names {
					if name.IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
						report(s.Pos(), "%s has no comment", name)
					}
				}
			}
		}
	}
}

func checkType(set *token.FileSet, d *ast.GenDecl, s *ast.TypeSpec, report func(token.Pos, string, ...any)) {
	if !s.Name.IsExported() {
		return
	}
	if d.Doc == nil && s.Doc == nil && s.Comment == nil {
		report(s.Pos(), "%s has no comment", s.Name)
	}
	structure, ok := s.Type.(*ast.StructType)
	if !ok {
		return
	}
	commented := false // a comment above a run of fields serves all of the run
	for i, f := range structure.Fields.List {
		adjacent := i > 0 && set.Position(f.Pos()).Line == set.Position(structure.Fields.List[i-1].End()).Line+1
		commented = f.Doc != nil || f.Comment != nil || commented && adjacent
		for _, name := range f.Names {
			if name.IsExported() && !commented {
				report(f.Pos(), "field %s.%s has no comment", s.Name, name)
			}
		}
	}
}

func isExportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	t := d.Recv.List[0].Type
	if p, ok := t.(*ast.StarExpr); ok {
		t = p.X
	}
	if p, ok := t.(*ast.IndexExpr); ok {
		t = p.X
	}
	id, ok := t.(*ast.Ident)
	return ok && id.IsExported()
}

// startsWith reports whether a comment begins with a name.
func startsWith(doc *ast.CommentGroup, name string) bool {
	if doc == nil {
		return false
	}
	text := doc.Text()
	return strings.HasPrefix(text, name+" ") || strings.HasPrefix(text, name+",") || strings.HasPrefix(text, "Deprecated:")
}
