package caddymodule

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// notOurs are words that the glossary replaces by others: message, provider and result.
var notOurs = regexp.MustCompile(`(?i)campaign|vendor|\bfate|Fate`)

// TestGlossaryNames: no source file, type, function, variable or constant is named by a word that
// the glossary replaces. Members are not checked: some are wire names.
func TestGlossaryNames(t *testing.T) {
	checked := 0
	for _, file := range sourceFiles(t) {
		source := strings.HasSuffix(file, ".go") || strings.HasSuffix(file, ".ts")
		if !source || strings.Contains(file, "testdata/") {
			continue
		}
		if notOurs.MatchString(file) {
			t.Errorf("%s: the glossary has another word for it", file)
		}
		if !strings.HasSuffix(file, ".go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", file), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range declaredNames(parsed) {
			checked++
			if notOurs.MatchString(name) {
				t.Errorf("%s: %s: the glossary has another word for it", file, name)
			}
		}
	}
	if checked < 5000 {
		t.Errorf("only %d names were found", checked)
	}
}

// declaredNames returns what a file declares at its top level.
func declaredNames(file *ast.File) (names []string) {
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			names = append(names, d.Name.Name)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					names = append(names, s.Name.Name)
				case *ast.ValueSpec:
					for _, name := range s.Names {
						names = append(names, name.Name)
					}
				}
			}
		}
	}
	return names
}
