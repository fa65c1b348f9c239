package delivery

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDesignNames: the functions and files that DESIGN.md names on a push's way
// from plan to checkpoint exist.
func TestDesignNames(t *testing.T) {
	doc, err := os.ReadFile("DESIGN.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(doc), "\n## From plan to checkpoint\n")
	section, _, found := strings.Cut(section, "\n## ")
	if !found {
		t.Fatal("DESIGN.md lacks the section")
	}
	declared := declaredNames(t)
	names := regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(section, -1)
	if len(names) < 20 {
		t.Errorf("found %d names", len(names))
	}
	for _, n := range names {
		parts := strings.Split(n[1], ".")
		if parts[0] == "pushsvc" || parts[0] == "webpush" {
			continue
		}
		if parts[len(parts)-1] == "go" {
			if _, err := os.Stat(n[1]); err != nil {
				t.Error(err)
			}
		} else if !declared[n[1]] {
			t.Errorf("DESIGN.md names %s, which the package does not declare", n[1])
		}
	}
}

// declaredNames are the package's types, functions, methods ("f" and "T.f")
// and fields.
func declaredNames(t *testing.T) map[string]bool {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[string]bool)
	for _, name := range files {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				names[n.Name.Name] = true
				if n.Recv != nil {
					receiver := n.Recv.List[0].Type
					if star, ok := receiver.(*ast.StarExpr); ok {
						receiver = star.X
					}
					if id, ok := receiver.(*ast.Ident); ok {
						names[id.Name+"."+n.Name.Name] = true
					}
				}
			case *ast.TypeSpec:
				names[n.Name.Name] = true
			case *ast.Field:
				for _, id := range n.Names {
					names[id.Name] = true
				}
			}
			return true
		})
	}
	return names
}
