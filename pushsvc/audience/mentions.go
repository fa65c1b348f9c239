package audience

import (
	"maps"
	"slices"

	"cel.dev/cel-go/common/ast"
)

// Mentions returns the names of the events and attributes that a valid expression names literally, each once,
// sorted.
func Mentions(expression string) (events, attributes []string) {
	env, err := environment()
	if err != nil {
		return nil, nil
	}
	checked, issues := env.Compile(expression)
	if issues != nil && issues.Err() != nil {
		return nil, nil
	}
	found := map[string]map[string]bool{"events": {}, "profile": {}}
	add := func(operand ast.Expr, name string) {
		if operand.Kind() == ast.IdentKind && found[operand.AsIdent()] != nil {
			found[operand.AsIdent()][name] = true
		}
	}
	ast.PostOrderVisit(checked.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.SelectKind:
			add(e.AsSelect().Operand(), e.AsSelect().FieldName())
		case ast.CallKind:
			// events["a"], events[?"a"] and events.?a; "a" in events.
			args := e.AsCall().Args()
			if len(args) != 2 {
				return
			}
			for i, arg := range args {
				if arg.Kind() != ast.LiteralKind {
					continue
				}
				if name, ok := arg.AsLiteral().Value().(string); ok {
					add(args[1-i], name)
				}
			}
		}
	}))
	return slices.Sorted(maps.Keys(found["events"])), slices.Sorted(maps.Keys(found["profile"]))
}
