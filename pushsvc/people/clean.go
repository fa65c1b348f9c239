package people

import (
	"slices"
	"strings"
)

// Bounds of what browsers may send; the excess is cut or left out. They are CleverTap's, so that sites that
// move see no difference.
const (
	MaxEventName  = 1024 // characters
	MaxKey        = 1024 // characters
	MaxValue      = 1024 // characters
	MaxProps      = 100  // keys altogether
	MaxPropsDepth = 3    // levels of objects below the first, see below
	MaxList       = 100
)

// reservedEvents may not be pushed by pages: they are the product's own.
var reservedEvents = []string{
	"Stayed", "UTM Visited", "App Launched", "Notification Sent", "Notification Viewed", "Notification Clicked",
}

// CleanEventName returns the name as it is stored; false if it is empty or reserved.
func CleanEventName(name string) (string, bool) {
	name = strings.TrimSpace(cutRunes(strings.ReplaceAll(strings.ToValidUTF8(name, ""), "\x00", ""), MaxEventName))
	return name, name != "" && !slices.Contains(reservedEvents, name)
}

// cleanKey strips CleverTap's key syntax; "" if nothing is left.
func cleanKey(key string) string {
	key = strings.Map(func(r rune) rune {
		if r == 0 || strings.ContainsRune(`.:$'"\`, r) {
			return -1
		}
		return r
	}, key)
	key = strings.TrimSpace(cutRunes(strings.TrimSpace(key), MaxKey))
	if key == "__proto__" {
		return "" // scripts that read it would take it for the prototype
	}
	return key
}

// CleanProps returns what is stored of an event's properties or a profile's attributes: at most MaxProps
// keys, MaxPropsDepth levels of objects, texts of MaxValue. Empty values and nulls are left out. If nulls is
// true, a null on the first level stays: it removes the attribute.
func CleanProps(props map[string]any, nulls bool) map[string]any {
	left := MaxProps
	return cleanObject(props, 0, &left, nulls)
}

func cleanObject(object map[string]any, depth int, left *int, nulls bool) map[string]any {
	keys := make([]string, 0, len(object))
	for key := range object {
		keys = append(keys, key)
	}
	slices.Sort(keys) // so that the same ones are always left out
	var out map[string]any
	for _, key := range keys {
		clean := cleanKey(key)
		if clean == "" || *left == 0 {
			continue
		}
		value, ok := cleanValue(object[key], depth, false, left)
		if !ok && !(nulls && object[key] == nil) {
			continue
		}
		*left--
		setIn(&out, clean, value)
	}
	return out
}

// cleanValue returns false if nothing is left. depth is the level of the object or list that contains the
// value.
func cleanValue(value any, depth int, inList bool, left *int) (any, bool) {
	switch v := value.(type) {
	case string:
		return cutRunes(strings.ReplaceAll(strings.ToValidUTF8(v, ""), "\x00", ""), MaxValue), true
	case bool, float64, int64:
		return v, true
	case int:
		return float64(v), true
	case []any:
		depth = listLevel(depth, inList)
		if depth > MaxPropsDepth {
			return nil, false
		}
		list := make([]any, 0, min(len(v), MaxList))
		for _, item := range v[:min(len(v), MaxList)] {
			if clean, ok := cleanValue(item, depth, true, left); ok {
				list = append(list, clean)
			}
		}
		return list, len(list) > 0
	case map[string]any:
		if depth >= MaxPropsDepth {
			return nil, false
		}
		object := cleanObject(v, depth+1, left, false)
		return object, len(object) > 0
	}
	return nil, false
}

// listLevel returns the level of a list: that of its container, plus one for a list in a list, as CleverTap
// counts (web/src/compat/rules.ts).
func listLevel(depth int, inList bool) int {
	if inList {
		return depth + 1
	}
	return depth
}

// cutRunes cuts a text to most characters.
func cutRunes(s string, most int) string {
	if len(s) <= most {
		return s
	}
	n := 0
	for i := range s {
		if n == most {
			return s[:i]
		}
		n++
	}
	return s
}
