package people

import (
	"encoding/binary"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// OpKind is how an operation changes an attribute.
type OpKind string

// The operations, CleverTap's $incr, $decr, $set, $add, $remove and $delete.
const (
	// OpIncrement and OpDecrement change a number. A missing attribute begins at 0, but not within another
	// attribute.
	OpIncrement OpKind = "incr"
	OpDecrement OpKind = "decr"
	// OpSet, OpAdd and OpRemove change a list of distinct values.
	OpSet    OpKind = "set"
	OpAdd    OpKind = "add"
	OpRemove OpKind = "remove"
	// OpDelete removes the attribute.
	OpDelete OpKind = "delete"
)

// Known reports whether k is one of the kinds.
func (k OpKind) Known() bool {
	return slices.Contains([]OpKind{OpIncrement, OpDecrement, OpSet, OpAdd, OpRemove, OpDelete}, k)
}

// Op changes one attribute. Key is a path such as "A[0].b".
type Op struct {
	Kind  OpKind `json:"op" api:"required"`
	Key   string `json:"key" api:"required"`
	Value any    `json:"value"`
}

// maxPath is the maximum number of steps of a path.
const maxPath = 8

// step is one step of a path: a key, or an index if the key is empty.
type step struct {
	key   string
	index int
}

// parsePath splits "A[0].b" into steps; nil if it is not a path.
func parsePath(path string) (steps []step) {
	for i, part := range strings.Split(path, ".") {
		name, indexes, _ := strings.Cut(part, "[")
		name = cleanKey(name)
		if name == "" || i >= maxPath {
			return nil
		}
		steps = append(steps, step{key: name})
		for indexes != "" {
			digits, after, closed := strings.Cut(indexes, "]")
			n, err := strconv.Atoi(digits)
			if !closed || err != nil || n < 0 || n >= MaxList || len(steps) >= maxPath {
				return nil
			}
			steps = append(steps, step{index: n})
			if after == "" {
				break
			}
			if after[0] != '[' {
				return nil
			}
			indexes = after[1:]
		}
	}
	return steps
}

// maxOpWork bounds the operations of one batch, in the units of Tracked.Work; later ones are left out. A list
// of 10,000 values may be added to five times.
const maxOpWork = 400 << 10

// nodeWork is the cost of one value that an operation copies or compares.
const nodeWork = 8

// applyOp changes the attributes, a map that the caller owns; an operation that doesn't fit changes nothing.
// Values are copied, never changed in place. The cost of what it read is added to work.
func applyOp(attributes map[string]any, op Op, work *int) map[string]any {
	*work += len(op.Key)
	steps := parsePath(op.Key)
	if steps == nil {
		return attributes
	}
	left := MaxProps
	value, _ := cleanValue(op.Value, 0, false, &left)
	_, exists := attributes[steps[0].key]
	if !exists && (len(steps) > 1 || len(attributes) >= MaxAttributes) {
		return attributes
	}
	fn := func(old any) (any, bool) { return operate(op.Kind, old, value, work) }
	out, ok := changeAt(attributes[steps[0].key], steps[1:], fn, work)
	switch {
	case !ok:
	case out == nil:
		delete(attributes, steps[0].key)
	default:
		setIn(&attributes, steps[0].key, out)
	}
	return attributes
}

// changeAt replaces the value at the end of the path with fn's result; nil removes it. It returns false if the
// path leads nowhere or fn refuses.
func changeAt(at any, steps []step, fn func(any) (any, bool), work *int) (any, bool) {
	if len(steps) == 0 {
		return fn(at)
	}
	s := steps[0]
	if s.key == "" {
		list, _ := at.([]any)
		if s.index >= len(list) {
			return nil, false
		}
		*work += nodeWork * len(list)
		v, ok := changeAt(list[s.index], steps[1:], fn, work)
		switch {
		case !ok:
			return nil, false
		case v == nil:
			return slices.Delete(slices.Clone(list), s.index, s.index+1), true
		}
		list = slices.Clone(list)
		list[s.index] = v
		return list, true
	}
	object, isObject := at.(map[string]any)
	if !isObject && at != nil {
		return nil, false
	}
	*work += 8 * nodeWork * len(object) // a map costs more to copy than a list
	v, ok := changeAt(object[s.key], steps[1:], fn, work)
	if !ok {
		return nil, false
	}
	out := make(map[string]any, len(object)+1)
	for k, have := range object {
		if k != s.key {
			out[k] = have
		}
	}
	if v != nil {
		out[s.key] = v
	}
	return out, true
}

// operate returns the value after an operation; false if the operation doesn't fit.
func operate(kind OpKind, old, value any, work *int) (any, bool) {
	switch kind {
	case OpIncrement, OpDecrement:
		n, isNumber := value.(float64)
		have, wasNumber := old.(float64)
		if !isNumber || n < 0 || old != nil && !wasNumber {
			return nil, false
		}
		if kind == OpDecrement {
			n = -n
		}
		return have + n, !math.IsInf(have+n, 0) // JSON has no such number
	case OpSet:
		return listOrNil(distinct(nil, asList(value), work))
	case OpAdd:
		return listOrNil(distinct(asList(old), asList(value), work))
	case OpRemove:
		if old == nil {
			return nil, false
		}
		gone := map[any]bool{}
		for _, v := range asList(value) {
			gone[valueKey(v, work)] = true
		}
		kept := slices.DeleteFunc(slices.Clone(asList(old)), func(v any) bool { return gone[valueKey(v, work)] })
		return listOrNil(kept)
	case OpDelete:
		return nil, old != nil
	}
	return nil, false
}

// listOrNil returns the list, or nil if it is empty.
func listOrNil(list []any) (any, bool) {
	if len(list) == 0 {
		return nil, true
	}
	return list, true
}

func asList(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		return v
	}
	return []any{v}
}

// distinct adds values to a list, each once, and keeps the newest MaxList of them.
func distinct(list, add []any, work *int) []any {
	out := slices.Clone(list)
	seen := make(map[any]bool, len(list)+len(add))
	for _, v := range list {
		seen[valueKey(v, work)] = true
	}
	for _, v := range add {
		if m := valueKey(v, work); !seen[m] {
			seen[m] = true
			out = append(out, v)
		}
	}
	return out[max(len(out)-MaxList, 0):]
}

// composed is the mark of a list or an object.
type compositeKey string

// valueKey returns a key that is equal for equal values.
func valueKey(v any, work *int) any {
	switch v := v.(type) {
	case string:
		*work += nodeWork + len(v)/8
		return v
	case float64, bool, int64:
		*work += nodeWork
		return v
	}
	return compositeKey(appendValueKey(nil, v, work))
}

// appendValueKey writes a value unambiguously: its kind, then its length where it has one, then its content.
// Objects are in the order of their keys.
func appendValueKey(b []byte, v any, work *int) []byte {
	*work += nodeWork
	switch v := v.(type) {
	case string:
		*work += len(v) / 8
		b = binary.AppendUvarint(append(b, 's'), uint64(len(v)))
		return append(b, v...)
	case float64:
		return binary.BigEndian.AppendUint64(append(b, 'n'), math.Float64bits(v))
	case int64:
		return binary.BigEndian.AppendUint64(append(b, 'n'), math.Float64bits(float64(v)))
	case bool:
		if v {
			return append(b, 't')
		}
		return append(b, 'f')
	case []any:
		b = binary.AppendUvarint(append(b, 'l'), uint64(len(v)))
		for _, item := range v {
			b = appendValueKey(b, item, work)
		}
		return b
	case map[string]any:
		b = binary.AppendUvarint(append(b, 'o'), uint64(len(v)))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			b = appendValueKey(appendValueKey(b, key, work), v[key], work)
		}
		return b
	}
	return append(b, '?') // not a JSON value: the row is refused when it is stored
}
