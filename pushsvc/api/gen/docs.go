package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
)

// module is the beginning of our packages' import paths.
const module = "github.com/caddy-webpush/caddy-webpush/"

// docs has the sources' information on types: comments, and the constants of a type.
type docs struct {
	root     string // of the module
	packages map[string]*packageDocs
}

type packageDocs struct {
	types  map[string]string            // by name
	fields map[string]map[string]string // by type and name
	values map[string][]string          // of string constants, by type
}

func newDocs(root string) *docs { return &docs{root, map[string]*packageDocs{}} }

// packageOf returns those of the type's package; empty ones for a package that is not ours.
func (d *docs) packageOf(t reflect.Type) *packageDocs {
	path := t.PkgPath()
	if p := d.packages[path]; p != nil {
		return p
	}
	p := &packageDocs{map[string]string{}, map[string]map[string]string{}, map[string][]string{}}
	d.packages[path] = p
	dir, ours := strings.CutPrefix(path, module)
	if !ours {
		return p
	}
	files, err := filepath.Glob(filepath.Join(d.root, filepath.FromSlash(dir), "*.go"))
	if err != nil || len(files) == 0 {
		panic(fmt.Sprintf("no sources of %s: %v", path, err))
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		p.readFile(name)
	}
	return p
}

func (p *packageDocs) readFile(name string) {
	file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
	if err != nil {
		panic(err)
	}
	p.read(file)
}

func (p *packageDocs) read(file *ast.File) {
	for _, decl := range file.Decls {
		group, ok := decl.(*ast.GenDecl)
		if !ok {
			continue
		}
		last := ""
		for _, spec := range group.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				doc := spec.Doc
				if doc == nil {
					doc = group.Doc
				}
				p.types[spec.Name.Name] = plain(doc)
				if s, ok := spec.Type.(*ast.StructType); ok {
					p.fields[spec.Name.Name] = fieldDocs(s)
				}
			case *ast.ValueSpec:
				last = p.constant(group, spec, last)
			}
		}
	}
}

// constant notes the values of a constant of a named type, and returns the type's name.
func (p *packageDocs) constant(group *ast.GenDecl, spec *ast.ValueSpec, last string) string {
	if group.Tok != token.CONST {
		return ""
	}
	if name, ok := spec.Type.(*ast.Ident); ok {
		last = name.Name
	} else if len(spec.Values) > 0 {
		last = ""
	}
	for _, value := range spec.Values {
		literal, ok := value.(*ast.BasicLit)
		if !ok || literal.Kind != token.STRING || last == "" {
			continue
		}
		if text, err := strconv.Unquote(literal.Value); err == nil && text != "" {
			p.values[last] = append(p.values[last], text)
		}
	}
	return last
}

func fieldDocs(s *ast.StructType) map[string]string {
	fields := map[string]string{}
	for _, field := range s.Fields.List {
		doc := field.Doc
		if doc == nil {
			doc = field.Comment
		}
		for _, name := range field.Names {
			fields[name.Name] = plain(doc)
		}
	}
	return fields
}

// plain is a comment as one paragraph.
func plain(doc *ast.CommentGroup) string {
	return docLink.ReplaceAllString(strings.Join(strings.Fields(doc.Text()), " "), "$1")
}

// docLink matches a link to a name, as in [Popup.Variant].
var docLink = regexp.MustCompile(`\[([A-Z]\w*(?:\.\w+)?|[a-z]\w*\.[A-Z]\w*)\]`)
