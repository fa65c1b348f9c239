// Package audience evaluates CEL expressions over what is known about a visitor. An expression can loop only
// over a visitor's own lists, sees nothing but the visitor, and stops after a bounded number of steps.
package audience

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/ext"
	"cel.dev/cel-go/interpreter"
)

// Bounds of an expression.
const (
	// MaxExpression is the maximum length in bytes.
	MaxExpression = 4 << 10
	// maxDepth is the maximum nesting depth.
	maxDepth = 50
	// maxCost is the maximum number of steps for one visitor.
	maxCost = 20_000
)

// Visitor is the visitor that an expression is evaluated for.
type Visitor struct {
	// Attributes are the profile's: strings, float64, booleans, and lists and maps of them.
	Attributes map[string]any
	Events     map[string]Event
	// Device is "desktop", "phone" or "tablet"; empty if unknown.
	Device     string
	Subscribed bool
	// Visits includes the current visit.
	Visits int64
	// Language is a BCP 47 tag.
	Language string
	// Known reports whether the visitor has logged in. Created is the time of the first visit; Seen is when
	// the visitor was last noticed.
	Known         bool
	Created, Seen time.Time
	Now           time.Time
}

// Event is an event in expressions. For a visitor who never had the event, Count is 0, and First and
// Last are in 1970.
type Event struct {
	Count int64     `cel:"count"`
	First time.Time `cel:"first"`
	Last  time.Time `cel:"last"`
}

// never is the Event of a visitor who never had it.
var never = Event{First: time.Unix(0, 0).UTC(), Last: time.Unix(0, 0).UTC()}

// variables lists the names that expressions may use, for messages.
const variables = "profile, events, device, subscribed, visits, language, known, created, seen, now"

// environment is shared by all expressions. Making it takes milliseconds, so it is made once.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(
		ext.NativeTypes(ext.ParseStructTags(true), reflect.TypeFor[Event]()),
		cel.Variable("profile", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("events", cel.MapType(cel.StringType, cel.ObjectType("audience.Event"))),
		cel.Variable("device", cel.StringType),
		cel.Variable("subscribed", cel.BoolType),
		cel.Variable("visits", cel.IntType),
		cel.Variable("language", cel.StringType),
		cel.Variable("known", cel.BoolType),
		cel.Variable("created", cel.TimestampType),
		cel.Variable("seen", cel.TimestampType),
		cel.Variable("now", cel.TimestampType),
		cel.OptionalTypes(),
		cel.CrossTypeNumericComparisons(true),
		cel.ParserRecursionLimit(maxDepth),
		cel.ParserExpressionSizeLimit(MaxExpression),
		cel.ASTValidators(cel.ValidateRegexLiterals(), cel.ValidateTimestampLiterals(), cel.ValidateDurationLiterals(), cel.ValidateRegexProgramSizeLimit(1000)),
	)
})

// Audience is a compiled expression. It is safe for concurrent use. The zero value and nil include every
// visitor.
type Audience struct{ program cel.Program }

// Error is a fault in an expression, worded for its author.
type Error struct {
	// Line and Column count from 1; both are 0 if the fault is in the expression as a whole.
	Line, Column int
	Problem      string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Problem
	}
	return fmt.Sprintf("has a fault in line %d, column %d: %s", e.Line, e.Column, e.Problem)
}

// Compile compiles an expression. An empty one includes every visitor. Faults are *Error.
func Compile(expression string) (*Audience, error) {
	if strings.TrimSpace(expression) == "" {
		return &Audience{}, nil
	}
	if len(expression) > MaxExpression {
		return nil, &Error{Problem: fmt.Sprintf("is longer than %d bytes", MaxExpression)}
	}
	env, err := environment()
	if err != nil {
		return nil, fmt.Errorf("preparing CEL: %w", err)
	}
	checked, issues := env.Compile(expression)
	if issues != nil && issues.Err() != nil {
		return nil, explain(issues)
	}
	if t := checked.OutputType(); !t.IsExactType(cel.BoolType) && !t.IsExactType(cel.DynType) {
		return nil, &Error{Problem: fmt.Sprintf(`is neither true nor false but %s: compare it, as in "events.Charged.count > 0"`, kind(t.String()))}
	}
	if err := checkUse(checked); err != nil {
		return nil, err
	}
	program, err := env.Program(checked, cel.CostLimit(maxCost), cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		return nil, &Error{Problem: "can't be compiled: " + err.Error()}
	}
	return &Audience{program}, nil
}

// Names reports whether a valid expression uses a variable.
func Names(expression, variable string) (uses bool) {
	env, err := environment()
	if err != nil {
		return false
	}
	checked, issues := env.Compile(expression)
	if issues != nil && issues.Err() != nil {
		return false
	}
	ast.PostOrderVisit(checked.NativeRep().Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		uses = uses || e.Kind() == ast.IdentKind && e.AsIdent() == variable
	}))
	return uses
}

// explain returns the first fault, in words for people who don't know CEL's.
func explain(issues *cel.Issues) error {
	first := issues.Errors()[0]
	e := &Error{Line: first.Location.Line(), Column: first.Location.Column() + 1, Problem: inWords(first.Message)}
	name, undeclared := strings.CutPrefix(first.Message, "undeclared reference to '")
	if undeclared {
		name, _, _ = strings.Cut(name, "'")
		e.Problem = fmt.Sprintf("%q is not known: there are %s, and CEL's own functions", name, variables)
		if !strings.Contains(name, ".") && strings.HasPrefix(name, strings.ToUpper(name[:1])) {
			e.Problem += fmt.Sprintf("; an attribute is profile.%s, an event events[%q]", name, name)
		}
	}
	if strings.HasPrefix(first.Message, "undefined field") {
		e.Problem += ": an event has count, first and last"
	}
	if e.Line < 1 {
		e.Line, e.Column = 1, 1
	}
	return e
}

// checkUse refuses expressions that compile but do not work as they seem to.
func checkUse(checked *cel.Ast) error {
	native := checked.NativeRep()
	var fault *Error
	at := func(e ast.Expr, problem string) {
		if fault == nil {
			where := native.SourceInfo().GetStartLocation(e.ID())
			fault = &Error{Line: max(where.Line(), 1), Column: where.Column() + 1, Problem: problem}
		}
	}
	ast.PostOrderVisit(native.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.SelectKind:
			s := e.AsSelect()
			if s.IsTestOnly() && s.Operand().Kind() == ast.IdentKind && s.Operand().AsIdent() == "events" {
				at(e, fmt.Sprintf("has() is true for every event, with a count of 0: write events.%s.count > 0", s.FieldName()))
			}
		case ast.CallKind:
			c := e.AsCall()
			args := c.Args()
			if c.FunctionName() == "matches" && len(args) > 0 && args[len(args)-1].Kind() != ast.LiteralKind {
				at(e, `matches() takes a pattern that is written out, as in profile.City.matches("^Ber")`)
			}
		}
	}))
	if fault != nil {
		return fault
	}
	return nil
}

// ErrCost means that an expression took too many steps for a visitor.
var ErrCost = errors.New("the audience's expression takes too many steps")

// Includes reports whether the visitor is in the audience. A missing attribute is unknown, like NULL in SQL:
// a comparison with it is neither true nor false, and a visitor for whom the result stays unknown is not
// included. The only error is ErrCost, with false.
func (a *Audience) Includes(v Visitor) (bool, error) {
	if a == nil || a.program == nil {
		return true, nil
	}
	attributes := v.Attributes
	if attributes == nil {
		attributes = map[string]any{}
	}
	out, _, err := a.program.Eval(map[string]any{
		"profile": attributes, "events": newEvents(v.Events), "device": v.Device, "subscribed": v.Subscribed,
		"visits": v.Visits, "language": v.Language, "known": v.Known, "created": v.Created, "seen": v.Seen, "now": v.Now,
	})
	var cancelled interpreter.EvalCancelledError
	if errors.As(err, &cancelled) {
		return false, ErrCost
	}
	return err == nil && out == types.True, nil
}

// events is a map that has every event: missing ones are never.
type events struct {
	traits.Mapper
	never ref.Val
}

func newEvents(counts map[string]Event) ref.Val {
	env, err := environment()
	if err != nil {
		return types.WrapErr(err)
	}
	if counts == nil {
		counts = map[string]Event{}
	}
	adapter := env.CELTypeAdapter()
	mapper, ok := adapter.NativeToValue(counts).(traits.Mapper)
	if !ok {
		return types.NewErr("events are not a map")
	}
	return &events{mapper, adapter.NativeToValue(never)}
}

// Find implements traits.Mapper.
func (e *events) Find(key ref.Val) (ref.Val, bool) {
	if v, ok := e.Mapper.Find(key); ok {
		return v, true
	}
	_, name := key.(types.String)
	return e.never, name
}

// Get implements traits.Indexer.
func (e *events) Get(key ref.Val) ref.Val {
	if v, ok := e.Find(key); ok {
		return v
	}
	return e.Mapper.Get(key)
}
